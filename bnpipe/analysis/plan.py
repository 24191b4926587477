"""The analysis plan as a document, docs/analysis-plan.md: generated from the registry, with hand-written parts.

RULE, HISTORY and VERSION_1 below are written by hand; everything else follows from the registry. `make schema` writes
the document, and a test checks that it equals what this module returns.
"""

import textwrap
from collections.abc import Iterable

from bnpipe.analysis.registry.claim import Claim
from bnpipe.analysis.registry.family import FAMILY, FIXED, GROUPS, plan_digest
from bnpipe.analysis.verdicts import LEVEL, e_value, threshold
from bnpipe.analysis.words import whole
from bnpipe.core.settings import EXPLORED_SEEDS, FIRST_SEED, FRESH_SEED, TUNING_SEEDS
from bnpipe.core.smallest_effects import SMALLEST_EFFECTS

WIDTH = 120  # of a line
EFFECTS = {key: effect.size for key, effect in SMALLEST_EFFECTS.items()}
UNITS = {
    "ratio": "ratio",
    "points": "points",
    "decades": "decades",
    "share": "share",
    "gap": "no unit",
}

RULE = """\
Each seed gives one value for a claim, oriented so that larger favours the claim. The claim has a smallest effect that
would matter. A seed whose value exceeds it speaks for the claim; a seed whose value is below it speaks against the
claim. With n counted seeds, k of which speak for the claim, the evidence that most seeds do is the e-value

    E(n, k) = 1/2 * 2^n * [k = n]  +  1/2 * 2^(n+1) * B(k+1, n-k+1) * (1 - I_{1/2}(k+1, n-k+1))

with B the beta function and I the regularized incomplete beta function. It is a likelihood ratio of the share p of
seeds that agree against one half, averaged with half of the weight on p = 1 and half spread evenly from 1/2 to 1
(Ramdas et al. 2023, arXiv 2210.01948).

- **Supported**: E(n, k) passes Holm's step-down over the whole family.
- **Refuted**: the same holds for the seeds that speak against the claim. The effect is *reversed* if most seeds are
  also beyond the smallest effect in the other direction; otherwise it is *too small to matter*.
- **Undecided**: neither. The table says how many more agreeing seeds would decide it.

What this buys: the chance of even one wrong verdict in the family is at most 5% on each side, whatever the distribution
of the values, whatever the dependence between claims, and however often somebody looks at the results and adds seeds.
The price: a verdict is about most seeds, that is about the median, and not about the mean. So the worst seed is shown
beside every claim.

Ties, values that are not known, and pairs in which both arms are censored stay in n and count for neither side. A
network that never reaches 90% gives a bound. If it is vanilla, the ratio is at least as large as measured, and the seed
may speak for the claim but not against it; if it is batchnorm, the reverse. A diverged network has the accuracy that
argmax gives it. No seed is left out because of its outcome.

A yes-or-no claim (an outcome) has the value 1 in a seed where it is as claimed and -1 where it is not, and the smallest
effect 1/2. Values and limits are compared at nine digits, as the tables hold them."""

HISTORY = """\
- 2026-11-25: version 2 fixed, before any seed from 2000 on was trained.

What the specification of version 2 left open, and what was decided before the fresh seeds were run:

- *Range of usable rates.* Ranges are counted in grid steps of a quarter decade and the smallest effect is half a
  decade, two steps. A range is only known to a step, so a difference of two steps is a tie that counts for neither
  side; three steps or more are certainly above half a decade, and one step or less is certainly below. The grid cannot
  decide the verdict. If a usable rate is at an end of the grid, the range is a lower bound.
- *Regularization.* The gap is averaged over the four fixed levels of training loss and compared as a share of vanilla's
  own. A seed in which a network does not reach a level is not known and counts for neither side. Both arms train at the
  study's one learning rate, 0.05; a best rate on few images was not looked for.
- *Death of units.* A layer that died passes no gradient down and a constant up, so such a network stays finite. The
  outcome is therefore read from the end of training: a finite network with a dead layer, against numbers that stopped
  being finite or no dead layer.
- *Time.* The interval of the step-time ratio is that of the median over processes, by order statistics; at least six
  processes are needed.
- *First batch.* The share of the gain is taken in updates, and is not known in a seed in which batch normalization
  gains nothing.
- *Steps at the fixed rate.* The budget is that of the tutorial's conditions, 2,000 steps. With explored seeds most
  vanilla relu networks do not reach 90% in it. Their ratio is then a lower bound, which may speak for the claim only.
- *Stopping.* Networks that stop at the first evaluation with 90% are read slightly early by the smoothing, in all arms
  alike.
- *Initializations.* The spread is over five initializations at the tutorial's rate, in a study of their own.
- *Steadiness.* The trend is a straight line. The reasons are in `bnpipe/analysis/curves.py`.
- *Shift and smoothness.* Averages over layers and steps are geometric; a value that is not known makes the average
  unknown. Networks take 601 steps and are measured every 60. The inputs of a layer are what its product receives, in
  training mode, on 300 training images. A unit's standard deviation is that of t and t + 60 together: with the one at t
  alone, single relu units that had almost died moved by hundreds of standard deviations.
- *Best rates.* A trial has 1,001 steps and is evaluated every 30. A rate at which fewer trials miss 90% is better, and
  among equals the smaller mean of log steps. If a best rate is less than two steps inside the grid, claims that need it
  are not decided.
- *Budgets.* Usable rates are judged after 1,001 steps, from 0.00562 to 31.6: with explored seeds no rate was usable at
  either end. In the study of the first batch and of noise, networks have 3,001 steps to reach 90%.
- *Noise.* After algorithm 1 of Santurkar et al. (2018), appendix, whose constants are quoted from memory: per unit and
  step a mean from -0.5 to 0.5 and a scale from 1 to 1.25, per image noise of 0.1 around both; hidden layers and
  training mode only. Inference has no noise, so its inputs are scaled by 1/1.125 on average.

Before the plan was fixed, the measures were tried with seeds 42 to 46 and 500 to 504."""

VERSION_1 = """\
Version 1 decided by a bootstrap interval of the mean, a sign-flip test against 0 and Holm's correction. Simulated with
25 claims whose true effect is exactly the smallest that matters, ten pairs each, it made at least one wrong "supported"
in 70% of families and at least one wrong "refuted" in 74%. Holm's correction protected against an effect of 0, and
nobody had asked about 0. Its thresholds had also been written after seeds 42 to 51 were run. Several verdicts followed
from how something was measured, and not from batch normalization:

- *Orthogonality (tanh)* was measured from weights of standard deviation 1 only.
- *Steadiness without lag* was compared on 300 images with a claim on 5,000. The difference (0.54 on 5,000 images with
  the lag of the moving averages, 0.06 on 300 with it, -0.24 on 300 without it) was that of the images too.
- *Steadiness (relu)* had no verdict, because pairs in which vanilla dipped below 80% were left out.
- The tutorial's own remark on steadiness, about bad weights, was never tested. It holds in 10 of 10 seeds.
- *Regularization on all images* could only be refuted: vanilla's whole gap is 0.02, and 0.05 was asked for.
- *Less time* passed by 0.3%, and depended on how many networks were trained side by side.
- *The largest usable learning rate* was at the end of its grid, and the smallest effect was a grid step.
- *Independence of the initialization* compared a network at a rate that had been chosen for another one.
- *Death of units* could not be seen, because numbers overflow first in single precision.
- *Moving averages* were judged by a mean of absolute values, which is never 0."""


def document() -> str:
    """Return the plan as Markdown."""
    return "\n".join(
        [
            "# Analysis plan, version 2",
            "",
            *_paragraph(
                "What is claimed, how it is measured and how it is decided. Generated by `make schema` from "
                "`bnpipe/analysis/registry/`; the rule, the history and the part on version 1 are written by hand in "
                "`bnpipe/analysis/plan.py`."
            ),
            *_paragraph(
                f"Fixed on {FIXED}. Digest (SHA-256 of all claims, measures, conditions, smallest effects, the level "
                f"and the size of the family): `{plan_digest(EFFECTS)}`. It is the column `plan` of `claims.csv` and "
                'is on the pages. Other smallest effects have another digest, and the pages then say "own plan".'
            ),
            "## The rule",
            "",
            RULE,
            "",
            *_family_size(),
            "## Seeds",
            "",
            *_seeds(),
            "## The claims",
            "",
            *(line for group in GROUPS for line in _group(group)),
            "## The smallest effects that would matter",
            "",
            *_table(
                ["key in `config.yaml`", "size", "unit", "of what", "why this size"],
                (
                    (f"`{key}`", f"{effect.size:g}", UNITS[effect.unit], effect.meaning.rstrip("."), effect.reason)
                    for key, effect in SMALLEST_EFFECTS.items()
                ),
            ),
            "",
            "## History",
            "",
            HISTORY,
            "",
            "## What version 1 got wrong",
            "",
            VERSION_1,
            "",
        ]
    )


def _family_size() -> list[str]:
    m = len(FAMILY)
    first, second = (whole(threshold(rank, m)) for rank in (1, 2))
    agreement = ", ".join(f"{agreeing(n, threshold(1, m))} of {n}" for n in (11, 12, 15, 20, 25, 30, 40, 60))
    return _paragraph(
        f"The family has {m} claims, whatever a run measures, and the level is {LEVEL:g}. So the largest evidence must "
        f"reach {m} / {LEVEL:g} = {first}, the second largest {second}, and so on. The first claim needs this many "
        f"agreeing seeds: {agreement}. Fewer than 11 seeds cannot decide it."
    )


def agreeing(n: int, needed: float) -> int:
    """Return how many of n seeds must agree for evidence of this size; n + 1 if not even all n are enough."""
    return next((k for k in range(n + 1) if e_value(n, k) >= needed), n + 1)


def _seeds() -> list[str]:
    return _paragraph(
        f"Seeds {_ranges(EXPLORED_SEEDS)} had been seen when the plan was fixed. They are trained and shown if they "
        f"are listed, and they never count. The tutorial's seed {FIRST_SEED} is shown alone, as its reproduction. "
        f"Seeds {_ranges(TUNING_SEEDS)} choose the best learning rates and do not count either. Fresh seeds are "
        f"counted from {FRESH_SEED}: `seeds: 12` means {FRESH_SEED} to {FRESH_SEED + 11}. If a measure has to change "
        f"after fresh seeds have been seen, the history says so, and counting goes on from {FRESH_SEED + 1000}."
    )


def _paragraph(text: str) -> list[str]:
    return [*textwrap.wrap(text, WIDTH), ""]


def _ranges(seeds: Iterable[int]) -> str:
    """Write seeds as ranges of neighbours: 42 to 51 and 1000 to 1009."""
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return " and ".join(f"{first} to {last}" for first, last in ranges)


def _group(group: str) -> list[str]:
    rows = (
        (f"`{claim.key}`", claim.statement, claim.condition, claim.measure, _size(claim))
        for claim in FAMILY
        if claim.group == group
    )
    head = ["claim", "statement", "networks", "value of a seed", "smallest effect"]
    return [f"### {group}", "", *_table(head, rows), ""]


def _size(claim: Claim) -> str:
    if claim.smallest_effect is None:
        return "outcome"
    return claim.size_text(EFFECTS) + ("x" if claim.unit == "ratio" else "")


def _table(head: list[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = (head, ["---"] * len(head), *rows)
    return ["| " + " | ".join(cells) + " |" for cells in lines]


if __name__ == "__main__":  # `make schema`
    print(document(), end="")
