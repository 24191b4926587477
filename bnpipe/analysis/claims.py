"""The claims about batch normalization (BN), and the table of verdicts on them.

claims    one row for each claim that can be decided from the tables at hand
evidence  one row for each pair of runs and claim
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from bnpipe.analysis import measures
from bnpipe.analysis.measures import PAIR_COLUMNS, AbsentError, Sources
from bnpipe.analysis.verdicts import MAJORITY, Decision, decide, decide_share, holm, verdict
from bnpipe.core.csv_files import read_table, write_table

EVIDENCE_COLUMNS = ["claim", *PAIR_COLUMNS]
CLAIM_COLUMNS = ["claim", "statement", "measure", "n", "effect", "low", "high", "p", "p_holm", "sesoi", "verdict"]
COUNTED = "share of"  # how the measure begins if pairs are counted
GENERATOR_SEED = 0  # each claim has its own generator: its interval does not depend on which others are tested
Unit = Literal[
    "outcome",  # 0 or 1, to be counted
    "log ratio",
    "decades",
    "nats",
    "orthogonality gap",  # a number without unit
    "share",
    "small share",  # one whose differences are read to a hundredth of a percentage point
]
UNITS: dict[str, Unit] = {  # of the values of a claim, by the key of its smallest effect in the configuration
    "steps_ratio": "log ratio",
    "final_accuracy": "share",
    "learning_rate_decades": "decades",
    "accuracy_spread": "share",
    "generalization_gap": "nats",
    "volatility_ratio": "log ratio",
    "gradient_growth_ratio": "log ratio",
    "orthogonality": "orthogonality gap",
    "covariate_shift_ratio": "log ratio",
    "inference_accuracy": "small share",
}


@dataclass(frozen=True)
class Claim:
    """A claim, and how it is measured."""

    key: str  # its number, and what tells it from others with that number
    statement: str
    measure: str  # what the value of a pair is
    pairs: Callable[[Sources], pd.DataFrame]  # measures it; a function of `bnpipe.analysis.measures`
    smallest_effect: str | None  # its key in the configuration; None: values are outcomes, 0 or 1, to be counted
    of_no_difference: bool = False  # if so, values are minus the size of a difference

    @property
    def unit(self) -> Unit:
        """What the value of a pair is measured in."""
        return "outcome" if self.smallest_effect is None else UNITS[self.smallest_effect]

    def sesoi(self, smallest_effects: Mapping[str, float]) -> float:
        """Return the smallest effect that would matter in units of the value; that of a ratio is its log."""
        if self.smallest_effect is None:
            return MAJORITY
        size = smallest_effects[self.smallest_effect]
        size = math.log(size) if self.unit == "log ratio" else size
        return -size if self.of_no_difference else size


def _of_both(key: str, statement: str, measure: str, pairs: Callable[..., pd.DataFrame], *effect: Any) -> list[Claim]:
    """Make one claim about tanh networks and one about relu networks."""
    return [
        Claim(f"{key} {activation}", statement, measure, partial(pairs, activation=activation), *effect)
        for activation in ("tanh", "relu")
    ]


BAD_INIT: dict[str, Any] = {"activation": "tanh", "learning_rate": 0.01, "init_std": 1}

# At most 25: with ten pairs p is at least 2 / 2^10, and Holm's correction multiplies the smallest p by their number.
CLAIMS = (
    *_of_both(
        "1",
        "BN needs fewer steps",
        "log ratio of updates to 90% validation accuracy, vanilla over batchnorm",
        measures.updates_to_90,
        "steps_ratio",
    ),
    *_of_both(
        "2",
        "BN needs less time",
        "log ratio of times to 90% validation accuracy, vanilla over batchnorm",
        measures.time_to_90,
        "steps_ratio",
    ),
    Claim(
        "3",
        "BN makes learning rate 1 viable",
        "final validation accuracy, batchnorm minus vanilla",
        partial(measures.final_accuracy, **{**BAD_INIT, "learning_rate": 1}),
        "final_accuracy",
    ),
    Claim(
        "4",
        "BN tolerates a larger effective step",
        "share of seeds whose training ends with other weights than the same training in other units",
        measures.weights_differ,
        None,
    ),
    Claim(
        "5",
        "BN raises the largest usable learning rate",
        "log10 ratio of the largest learning rates that stay finite and pass 90%, batchnorm over vanilla",
        measures.largest_learning_rate,
        "learning_rate_decades",
    ),
    Claim(
        "6a",
        "BN reduces dependence on initialization",
        "spread of final validation accuracy over init std, vanilla minus batchnorm",
        measures.accuracy_spread,
        "accuracy_spread",
    ),
    Claim(
        "6b",
        "BN removes dependence on initialization",
        "validation accuracy of batchnorm, from init std 1 minus from 0.1",
        measures.accuracy_kept,
        "final_accuracy",
        True,
    ),
    Claim(
        "7",
        "BN makes saturating nonlinearities viable",
        "final validation accuracy, batchnorm minus vanilla",
        partial(measures.final_accuracy, **BAD_INIT),
        "final_accuracy",
    ),
    *(
        Claim(
            f"8 {key}",
            "BN regularizes",
            f"gap between validation and training loss at equal training loss, vanilla minus batchnorm, {of}",
            partial(measures.generalization_gap, all_images=key == "all", normalize_logits=key != "hidden"),
            "generalization_gap",
        )
        for key, of in (
            ("all", "all images"),
            ("few", "few images"),
            ("hidden", "few images, logits not normalized"),
        )
    ),
    *_of_both(
        "9",
        "BN lowers the volatility of accuracy",
        "log ratio of the standard deviations of second differences of accuracy in the last quarter of the steps, "
        "vanilla over batchnorm; pairs that stay above 80% there",
        measures.volatility,
        "volatility_ratio",
    ),
    Claim(
        "9 no lag",
        "BN lowers the volatility of accuracy",
        "as 9 tanh, on few images, with statistics of a fixed batch in place of moving averages",
        partial(measures.volatility, activation="tanh", without_lag=True),
        "volatility_ratio",
    ),
    Claim(
        "10",
        "Vanilla relu stays flat because units die",
        "share of vanilla runs from init std 1 that end with a dead layer",
        measures.dead_units,
        None,
    ),
    *_of_both(
        "11",
        "BN keeps gradients isometric over depth",
        "minus the size of the slope of the log squared gradient per layer, batchnorm at initialization",
        measures.gradient_growth,
        "gradient_growth_ratio",
        True,
    ),
    Claim(
        "12 relu",
        "BN orthogonalizes representations",
        "orthogonality gap of the last hidden layer at initialization, vanilla minus batchnorm",
        partial(measures.orthogonality, activation="relu", init_std=0.1),
        "orthogonality",
    ),
    Claim(
        "12 tanh",
        "BN orthogonalizes representations",
        "orthogonality gap of the last hidden layer at initialization, vanilla minus batchnorm",
        partial(measures.orthogonality, activation="tanh", init_std=1),
        "orthogonality",
    ),
    *_of_both(
        "13",
        "BN reduces internal covariate shift",
        "log ratio of the relative changes of a layer's gradient, vanilla over batchnorm",
        measures.covariate_shift,
        "covariate_shift_ratio",
    ),
    Claim(
        "14 early",
        "Moving averages do as population statistics",
        "minus the size of the difference of validation accuracy between the two, after 60 steps",
        partial(measures.inference_accuracy, last=False),
        "inference_accuracy",
        True,
    ),
    Claim(
        "14 end",
        "Moving averages do as population statistics",
        "minus the size of the difference of validation accuracy between the two, at the end",
        partial(measures.inference_accuracy, last=True),
        "inference_accuracy",
        True,
    ),
)


def make_claims(
    tables: Mapping[str, Sequence[Path]],
    conditions: Mapping[str, Mapping[str, Any]],
    smallest_effects: Mapping[str, float],
    claims: Path,
    evidence: Path,
) -> None:
    """Decide every claim that the tables can decide; write the table of claims and the table of the evidence.

    tables: for each table, by its name in `bnpipe.analysis.measures`, the files with its rows. conditions: the
    settings of each condition. smallest_effects: those of the configuration. Raises InputError if a file cannot be
    read.
    """
    read = {name: pd.concat([read_table(path) for path in paths]) for name, paths in tables.items()}
    gathered = evidence_table(Sources(read, conditions))
    write_table(gathered, evidence)
    write_table(claims_table(gathered, smallest_effects), claims)


def evidence_table(sources: Sources) -> pd.DataFrame:
    """Gather the evidence on every claim that has some, in the order of CLAIMS; columns EVIDENCE_COLUMNS."""
    gathered = [pd.DataFrame(columns=EVIDENCE_COLUMNS)]
    for claim in CLAIMS:
        try:
            pairs = claim.pairs(sources)
        except AbsentError:
            continue
        gathered.append(pairs.assign(claim=claim.key)[EVIDENCE_COLUMNS].sort_values("pair"))
    return pd.concat(gathered[1:] or gathered, ignore_index=True)


def claims_table(evidence: pd.DataFrame, smallest_effects: Mapping[str, float]) -> pd.DataFrame:
    """Decide every claim on which there is evidence, in the order of CLAIMS; columns CLAIM_COLUMNS.

    `n` pairs have a known value. `effect` is their mean, `low` to `high` its 95% interval, `p` the p-value of the test,
    `p_holm` the same corrected over all rows, and `sesoi` the smallest effect that would matter. If pairs are counted
    instead of averaged (`bnpipe.analysis.verdicts` says when), `effect` is a share, `sesoi` is one half, and `measure`
    begins with COUNTED.
    """
    decided = []
    for claim in CLAIMS:
        pairs = evidence[evidence["claim"] == claim.key].sort_values("pair")
        if len(pairs):
            sesoi = claim.sesoi(smallest_effects)
            decided.append((claim, sesoi, _decide(claim, pairs, sesoi)))
    corrected = holm([decision.p for _, _, decision in decided])
    rows = [
        (claim.key, claim.statement, _measure(claim, decision, sesoi), *_numbers(decision, p), verdict(decision, p))
        for (claim, sesoi, decision), p in zip(decided, corrected, strict=True)
    ]
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def _decide(claim: Claim, pairs: pd.DataFrame, sesoi: float) -> Decision:
    values, diverged = pairs["value"].astype(float), pairs["diverged"].astype(bool)
    if claim.smallest_effect is None:
        return decide_share(values.dropna() > MAJORITY)
    return decide(values, sesoi, np.random.default_rng(GENERATOR_SEED), diverged)


def _measure(claim: Claim, decision: Decision, sesoi: float) -> str:
    if claim.smallest_effect is not None and decision.binary:
        return f"{COUNTED} pairs that exceed {sesoi:.3g}: {claim.measure}"
    return claim.measure


def _numbers(decision: Decision, p_holm: float) -> tuple[float, ...]:
    return (*decision[:4], decision.p, p_holm, decision.sesoi)
