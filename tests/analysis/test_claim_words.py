import math
from typing import Any, get_args

import pandas as pd
import pytest

from bnpipe.analysis.claim_words import condition_text, effect_text, verdict_text
from bnpipe.analysis.claims import CLAIMS, UNITS, Unit
from bnpipe.analysis.words import MINUS, TIMES
from bnpipe.grid.config import SmallestEffects

EFFECTS: dict[str, float] = SmallestEffects().model_dump()


def row(claim: str, **numbers: Any) -> "pd.Series[Any]":
    (found,) = (found for found in CLAIMS if found.key == claim)
    defaults = {
        "claim": claim,
        "measure": found.measure,
        "n": 10,
        "low": 0.0,
        "high": 0.0,
        "sesoi": found.sesoi(EFFECTS),
    }
    return pd.Series({**defaults, **numbers})


@pytest.mark.parametrize(
    ("shown", "effect", "condition"),
    [
        (row("1 tanh", effect=math.log(2), low=math.log(1.5), high=math.log(3)), "2.00x [1.50, 3.00]", "> 1.20x"),
        (row("3", effect=0.8634, low=-0.0004, high=0.867), "86.3 points [0.0, 86.7]", "> 5.0 points"),
        (row("6b", effect=-0.436, low=-0.45, high=-0.4), "-43.6 points [-45.0, -40.0]", "> -5.0 points"),
        (row("11 relu", effect=-math.log(1.4), low=-math.log(1.5), high=0), "1.40x [1.00, 1.50]", "< 1.10x"),
        (row("5", effect=1.5, low=1, high=1.75), "1.50 decades [1.00, 1.75]", "> 0.50 decades"),
        (row("5", measure="share of", effect=1, low=0.7, sesoi=0.5), "100% of seeds [0, 70]", "> 50% of seeds"),
        (row("10", effect=0, low=0, high=0.31), "0% of seeds [0, 31]", "> 50% of seeds"),
        (row("8 all", effect=0.01, low=0, high=0.02), "0.010 nats [0.000, 0.020]", "> 0.050 nats"),
        (row("12 tanh", effect=-0.3, low=-0.4, high=-0.2), "-0.30 [-0.40, -0.20]", "> 0.05"),
        (row("3", n=1, effect=0.5, low=math.nan, high=math.nan), "50.0 points", "> 5.0 points"),
        (row("9 relu", n=0, effect=math.nan), "not known", "> 1.20x"),
    ],
)
def test_numbers_are_written_with_their_units(shown: "pd.Series[Any]", effect: str, condition: str) -> None:
    typed = str.maketrans({MINUS: "-", TIMES: "x"})
    assert effect_text(shown).translate(typed) == effect
    assert condition_text(shown).translate(typed) == condition


def test_a_verdict_is_written_as_it_is() -> None:
    assert verdict_text(row("3", n=10, verdict="refuted")) == "refuted"


def test_every_unit_is_one_of_claims() -> None:
    assert {*UNITS.values(), "outcome"} == {claim.unit for claim in CLAIMS} == {*get_args(Unit)}
