"""Simulate how often the rule for verdicts errs and what it can decide: error rates, coverage, power.

Errors: in the simulated families of 37 claims, the MEDIAN effect is exactly the smallest effect of interest, so a
continuous value exceeds it with a chance of exactly 1/2. Every "supported" and every "refuted" is then wrong. A row of
the result is for one distribution of the seeds' values, one dependence between the claims, one truth and one design. It
holds the shares of families with at least one wrong verdict on either side. "10 seeds" to "30 seeds" look once. "four
looks" looks at the same seeds after 10, 12, 20 and 30 of them, and a verdict counts if it was given at any look.

Coverage is the share of claims whose displayed interval holds the true median. Power is the chance of a verdict if the
effect is real. Values are in units in which the smallest effect of interest is 0.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit
from scipy.stats import binom

from bnpipe.analysis.verdicts import LEVEL, e_value, median_ranks, threshold

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FAMILIES = 2000  # in each cell; the standard error of a share of 5% is then 0.5 points
CLAIMS = 37
SIZES = (10, 12, 20, 30)  # seeds; also the four looks
CORRELATIONS = (0.0, 0.5, 0.9)  # of the normal variables behind the claims' values in one seed
POWER_SIZES = (10, 11, 12, 15, 20, 30, 60)
SHARES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)  # of seeds that agree
EFFECTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # mean beyond the smallest effect, in standard deviations of the seeds
BUDGET = 0.8  # log steps, in standard deviations: 21% of the runs of an arm do not finish within it
LOST = 0.05  # share of the largest values that are unknown


class Known(NamedTuple):
    """What is known of the values: a lower and an upper bound of each, see `bnpipe.analysis.verdicts.bounds_of`."""

    lower: Floats  # (families, seeds, claims)
    upper: Floats


def exactly(values: Floats) -> Known:
    """Return uncensored values: both bounds are the values (families, seeds, claims)."""
    return Known(values.copy(), values.copy())


def censored(one: Floats, other: Floats) -> Known:
    """Make values of two arms that train within a budget, and lose the largest values altogether.

    one, other: (families, seeds, claims), normal, log steps of either arm. The value is one - other. If one arm is
    beyond the budget, the value is only a lower or an upper bound. If both are, or if the value is lost, nothing is
    known.
    """
    values, spent = np.minimum(one, BUDGET) - np.minimum(other, BUDGET), (one > BUDGET, other > BUDGET)
    lost = one - other > math.sqrt(2) * float(ndtri(1 - LOST))
    lower = np.where(spent[1] | lost, -np.inf, values)
    upper = np.where(spent[0] | lost, np.inf, values)
    return Known(lower, upper)


# Each distribution has the median 0 and is made from independent pairs of normal variables (families, seeds, claims).
DISTRIBUTIONS: dict[str, Callable[[Floats, Floats], Known]] = {
    "normal": lambda one, _: exactly(one),
    "t, 3 degrees of freedom": lambda one, _: exactly(stdtrit(3, ndtr(one))),
    "exponential, long tail above": lambda one, _: exactly(-np.log(ndtr(one)) - math.log(2)),
    "exponential, long tail below": lambda one, _: exactly(np.log(ndtr(one)) + math.log(2)),
    "outcomes (yes or no)": lambda one, _: exactly(np.sign(one)),
    "steps, a fifth ties": lambda one, _: exactly(np.rint(2 * one)),  # 19.7% of the normal values are within 1/4 of 0
    "censored, 5% unknown": censored,
}


def normals(rng: np.random.Generator, shape: tuple[int, int, int], correlation: float) -> Floats:
    """Draw standard normal variables (families, seeds, claims) that are correlated between the claims of a seed."""
    common = rng.standard_normal((*shape[:2], 1))
    return math.sqrt(correlation) * common + math.sqrt(1 - correlation) * rng.standard_normal(shape)


def passed(counts: NDArray[np.int64], n: int) -> Flags:
    """Apply the step-down to whole families at once.

    counts: (families, claims), how many of n seeds agree. Returns whether each claim passes, in the same shape.
    """
    e = np.array([e_value(n, k) for k in range(n + 1)])[counts]
    ranked = -np.sort(-e, axis=1)
    needed = [threshold(rank, e.shape[1]) for rank in range(1, e.shape[1] + 1)]
    steps = np.logical_and.accumulate(ranked >= needed, axis=1).sum(axis=1)
    smallest = np.take_along_axis(ranked, np.maximum(steps - 1, 0)[:, None], axis=1)
    passes: Flags = (steps > 0)[:, None] & (e >= smallest)
    return passes


def decided(known: Known, n: int) -> tuple[Flags, Flags]:
    """Return which claims the first n seeds support and which they refute, both of shape (families, claims)."""
    return passed((known.lower[:, :n] > 0).sum(axis=1), n), passed((known.upper[:, :n] < 0).sum(axis=1), n)


def covered(known: Known, n: int) -> float:
    """Return the share of the claims whose interval from the first n seeds holds 0."""
    i, j, _ = median_ranks(n)
    low = np.partition(known.lower[:, :n], i - 1, axis=1)[:, i - 1]
    high = np.partition(known.upper[:, :n], j - 1, axis=1)[:, j - 1]
    return float(((low <= 0) & (high >= 0)).mean())


def with_clear_claims(known: Known) -> Known:
    """Make the first ten claims clearly true and the next ten clearly false, in all seeds; the rest stay as they are.

    Once the clear claims have passed, the step-down requires less of the rest, so errors become more likely.
    """
    lower, upper = known.lower.copy(), known.upper.copy()
    for ends in (lower, upper):
        ends[:, :, :10], ends[:, :, 10:20] = np.inf, -np.inf
    return Known(lower, upper)


def errors(known: Known, undecidable: slice, sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield for each design the shares of families with a wrong verdict on one of the undecidable claims."""
    ever = np.zeros((2, len(known.lower)), np.bool_)
    for n in sizes:
        wrong = np.array([side[:, undecidable].any(axis=1) for side in decided(known, n)])
        ever |= wrong
        yield {"design": f"{n} seeds", **_shares(wrong)}
    yield {"design": "four looks", **_shares(ever)}


def _shares(wrong: Flags) -> dict[str, float]:
    return dict(zip(("wrongly_supported", "wrongly_refuted"), map(float, wrong.mean(axis=1)), strict=True))


def simulate(
    families: int, sizes: Sequence[int] = SIZES, correlations: Sequence[float] = CORRELATIONS
) -> dict[str, list[dict[str, Any]]]:
    """Simulate every cell of the errors and of the coverage. Each cell has its own generator."""
    wrong, coverage = [], []
    for index, (name, make) in enumerate(DISTRIBUTIONS.items()):
        for correlation in correlations:
            rng = np.random.default_rng([index, round(100 * correlation)])
            shape = (families, max(sizes), CLAIMS)
            known = make(normals(rng, shape, correlation), normals(rng, shape, correlation))
            cell = {"distribution": name, "correlation": correlation}
            wrong += [{**cell, "clear": 0, **row} for row in errors(known, slice(None), sizes)]
            wrong += [{**cell, "clear": 20, **row} for row in errors(with_clear_claims(known), slice(20, None), sizes)]
            coverage += [{**cell, "n": n, "covered": round(covered(known, n), 4)} for n in sizes]
    return {"errors": wrong, "coverage": coverage}


def power(families: int, sizes: Sequence[int] = POWER_SIZES) -> list[dict[str, Any]]:
    """Return the chances of a verdict if a share of the seeds agrees. For an effect, the values are normal.

    `first` is the chance for a claim that is the only one with this effect and so must pass the first step (exact).
    `each` and `all` are the chances for a claim and for all claims at once if all of them have the effect and are
    independent (simulated).
    """
    cases = [{"share": share} for share in SHARES]
    cases += [{"share": float(ndtr(effect)), "effect": effect} for effect in EFFECTS]
    rows = []
    for index, case in enumerate(cases):
        for n in sizes:
            counts = np.random.default_rng([index, n]).binomial(n, case["share"], (families, CLAIMS))
            verdicts = passed(counts, n)
            needed = [k for k in range(n + 1) if e_value(n, k) >= threshold(1, CLAIMS)]
            first = float(binom.sf(needed[0] - 1, n, case["share"])) if needed else 0.0
            chances = {"first": first, "each": float(verdicts.mean()), "all": float(verdicts.all(axis=1).mean())}
            rows.append({**case, "n": n, **{name: round(chance, 4) for name, chance in chances.items()}})
    return rows


def error_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the errors as a Markdown table: the worst cell of each distribution and design, supported / refuted."""
    designs = list(dict.fromkeys(row["design"] for row in rows))
    lines = _head("distribution", designs)
    for name in dict.fromkeys(row["distribution"] for row in rows):
        worst = [
            " / ".join(
                f"{max(row[side] for row in rows if (row['distribution'], row['design']) == (name, design)):.1%}"
                for side in ("wrongly_supported", "wrongly_refuted")
            )
            for design in designs
        ]
        lines.append(f"| {name} | {' | '.join(worst)} |")
    return "\n".join(lines)


def coverage_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the coverage as a Markdown table of means over the correlations, which have no effect on it."""
    sizes = list(dict.fromkeys(row["n"] for row in rows))
    lines = _head("distribution", [f"{n} seeds: {' to '.join(map(str, median_ranks(n)[:2]))}" for n in sizes])
    for name in dict.fromkeys(row["distribution"] for row in rows):
        means = [
            np.mean([row["covered"] for row in rows if (row["distribution"], row["n"]) == (name, n)]) for n in sizes
        ]
        lines.append(f"| {name} | {' | '.join(f'{mean:.1%}' for mean in means)} |")
    lines.append(f"| *exact, continuous values* | {' | '.join(f'{median_ranks(n)[2]:.1%}' for n in sizes)} |")
    return "\n".join(lines)


def power_table(rows: Sequence[Mapping[str, Any]], of: str) -> str:
    """Return the power against the share or the effect as a Markdown table: first / each / all."""
    chosen = [row for row in rows if ("effect" in row) == (of == "effect")]
    sizes = list(dict.fromkeys(row["n"] for row in chosen))
    lines = _head({"share": "seeds that agree", "effect": "effect (SD)"}[of], [f"{n} seeds" for n in sizes])
    for value in dict.fromkeys(row[of] for row in chosen):
        cells = [f"{row['first']:.0%} / {row['each']:.0%} / {row['all']:.0%}" for row in chosen if row[of] == value]
        label = f"{value:.0%}" if of == "share" else f"{value:g}"
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _head(first: str, others: Sequence[str]) -> list[str]:
    return [f"| {first} | {' | '.join(others)} |", f"|---|{'---:|' * len(others)}"]


def main(results: Path) -> None:
    """Simulate, print the tables, write the JSON."""
    found = {**simulate(FAMILIES), "power": power(FAMILIES)}
    settings = {"families": FAMILIES, "claims": CLAIMS, "level": LEVEL}
    results.mkdir(parents=True, exist_ok=True)
    (results / "error_rates.json").write_text(json.dumps({**settings, **found}, indent=1) + "\n")
    print(
        f"Families with a wrong verdict, supported / refuted, worst cell of each:\n\n{error_table(found['errors'])}\n"
    )
    print(f"Intervals that hold the true median:\n\n{coverage_table(found['coverage'])}\n")
    print("Chance of a verdict: for the first claim / for each / for all, if all have the effect:\n")
    print(f"{power_table(found['power'], 'share')}\n\n{power_table(found['power'], 'effect')}")


if __name__ == "__main__":
    main(Path(__file__).parent / "results")
