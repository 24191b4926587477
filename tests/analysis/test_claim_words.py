import math
from typing import Any, get_args

import pandas as pd
import pytest

from bnpipe.analysis.claim_words import (
    MARKS,
    count_text,
    detail_text,
    effect_text,
    evidence_text,
    explanation_text,
    further_text,
    threshold_text,
    value_text,
    worst_text,
)
from bnpipe.analysis.registry.family import CLAIMS
from bnpipe.analysis.verdicts import Verdict
from bnpipe.analysis.words import MINUS, TIMES
from bnpipe.grid.config import SmallestEffects

EFFECTS: dict[str, float] = SmallestEffects().model_dump()
TYPED = str.maketrans({MINUS: "-", TIMES: "x", "\N{INFINITY}": "oo"})


def row(claim: str, **values: Any) -> "pd.Series[Any]":
    defaults = {"claim": claim, "n": 12, "above": 9, "low": 0.0, "high": 0.0, "worst": 0.0, "verdict": "supported"}
    return pd.Series({**defaults, "sesoi": CLAIMS[claim].sesoi(EFFECTS), **values})


@pytest.mark.parametrize(
    ("claim", "numbers", "effect", "worst", "threshold"),
    [
        ("fewer-steps-tanh", (2.0, 1.5, 3.0, 1.0), "2.00x [1.50, 3.00]", "1.00x", "> 1.20x"),
        (
            "copes-with-bad-weights-tanh",
            (0.8634, -0.0004, math.inf, -1),
            "86.3 points [0.0, oo]",
            "-100.0 points",
            "> 5.0 points",
        ),
        (
            "wider-range-of-rates-tanh",
            (1.5, 1, 1.75, -math.inf),
            "1.50 decades [1.00, 1.75]",
            "-oo decades",
            "> 0.50 decades",
        ),
        ("orthogonal-representations-tanh", (-0.3, -0.4, -0.2, -0.5), "-0.30 [-0.40, -0.20]", "-0.50", "> 0.05"),
        ("first-batch-is-enough-tanh", (0.25, 0.1, 0.3, 0.05), "25% [10, 30]", "5%", "> 50%"),
        ("vanilla-relu-dies-float32", (1.0, -1.0, 1.0, -1.0), "as claimed in 9 of 12", "not as claimed", "as claimed"),
    ],
)
def test_numbers_are_written_with_their_units(
    claim: str, numbers: tuple[float, ...], effect: str, worst: str, threshold: str
) -> None:
    if CLAIMS[claim].unit == "ratio":
        numbers = tuple(math.log(number) for number in numbers)
    shown = row(claim, **dict(zip(("median", "low", "high", "worst"), numbers, strict=True)))
    assert effect_text(shown).translate(TYPED) == effect
    assert worst_text(shown).translate(TYPED) == worst
    assert threshold_text(shown).translate(TYPED) == threshold


def test_median_worst_seed_and_threshold_are_one_line() -> None:
    shown = row("copes-with-bad-weights-tanh", median=0.3, low=0.2, high=0.4, worst=0.1)
    assert detail_text(shown) == "Median 30.0 points [20.0, 40.0]; worst seed 10.0 points; threshold > 5.0 points"
    assert detail_text(row("vanilla-relu-dies-float32")) == "Each seed is either as claimed or not."


def test_what_is_not_known_is_said() -> None:
    assert effect_text(row("fewer-steps-tanh", median=math.nan)) == "not known"
    assert value_text("fewer-steps-tanh", math.nan) == "not known"
    assert value_text("fewer-steps-tanh", -math.inf) == f"0{TIMES}"  # a ratio has no minus


def test_the_count_and_what_is_missing_are_parts_of_the_explanation() -> None:
    undecided = row(
        "fewer-steps-tanh",
        verdict="undecided",
        explanation="undecided, 2 of 3 seeds: faster; 8 more agreeing seeds would decide it; 1 seed explored",
    )
    assert count_text(undecided) == "2 of 3 seeds: faster"
    assert further_text(undecided) == "8 more agreeing seeds would decide it"
    assert explanation_text(undecided).startswith("2 of 3 seeds: faster; 8 more")
    none = row("fewer-steps-tanh", verdict="undecided", explanation="undecided; 11 more agreeing seeds would decide it")
    assert count_text(none) == ""
    assert further_text(none) == explanation_text(none) == "11 more agreeing seeds would decide it"
    supported = row("fewer-steps-tanh", explanation="12 of 12 seeds: faster; 1 seed explored")
    assert count_text(supported) == "12 of 12 seeds: faster"
    assert further_text(supported) == ""


def test_evidence_is_a_chance_of_at_most_one() -> None:
    assert [evidence_text(e) for e in (0.0, 0.5, 20, 2363)] == ["1", "1", "0.05", "0.00042"]


def test_every_verdict_has_a_mark_of_its_own() -> None:
    assert MARKS.keys() == {*get_args(Verdict)}
    assert len({*MARKS.values()}) == len(MARKS)
