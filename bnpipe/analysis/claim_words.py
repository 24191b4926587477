"""How the rows of the table of claims are written for people: verdicts, effects, counts and thresholds."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bnpipe.analysis.registry.family import CLAIMS
from bnpipe.analysis.verdicts import Verdict
from bnpipe.analysis.words import MINUS, TIMES
from bnpipe.core.smallest_effects import Unit

INFINITY = "\N{INFINITY}"
MARKS: dict[Verdict, str] = {  # tell verdicts apart without colour
    "supported": "\N{CHECK MARK}",
    "reversed": "\N{BALLOT X}",
    "too small to matter": "\N{ALMOST EQUAL TO}",
    "undecided": "?",
}
Row = Any  # a row of the table of claims, by column


def is_decided(row: Row) -> bool:
    """Return whether a row has a verdict."""
    return bool(row["verdict"] != "undecided")


def explanation_text(row: Row) -> str:
    """Write the explanation of a row without its verdict, which is shown beside it."""
    return _without_verdict(row).removeprefix("; ")


def count_text(row: Row) -> str:
    """Write how many seeds agree, and on what, as in the explanation; empty if no seed counts."""
    return _without_verdict(row).split("; ")[0]


def further_text(row: Row) -> str:
    """Write how many more seeds would decide a row; empty if it is decided."""
    return "" if is_decided(row) else str(row["explanation"]).split("; ")[1]


def effect_text(row: Row) -> str:
    """Write the median of a row with its interval and unit: ratios as such, shares in percent."""
    read = _READERS[CLAIMS[row["claim"]].unit]
    if read is None:
        return f"as claimed in {row['above']} of {row['n']}"
    if pd.isna(row["median"]):
        return "not known"
    return f"{read.number(row['median'])}{read.unit} [{read.number(row['low'])}, {read.number(row['high'])}]"


def worst_text(row: Row) -> str:
    """Write the value of the seed that speaks most strongly against a row's claim."""
    return value_text(row["claim"], row["worst"])


def detail_text(row: Row) -> str:
    """Write the median, the worst seed and the threshold of a row in one line."""
    if CLAIMS[row["claim"]].smallest_effect is None:
        return "Each seed is either as claimed or not."
    return f"Median {effect_text(row)}; worst seed {worst_text(row)}; threshold {threshold_text(row)}"


def value_text(claim: str, value: float) -> str:
    """Write the value of a seed with its unit. claim: its key."""
    read = _READERS[CLAIMS[claim].unit]
    if math.isnan(value):
        return "not known"
    if read is None:
        return "as claimed" if value > 0 else "not as claimed"
    return f"{read.number(value)}{read.unit}"


def threshold_text(row: Row) -> str:
    """Write what the value of a seed must exceed to speak for a row's claim."""
    read = _READERS[CLAIMS[row["claim"]].unit]
    return "as claimed" if read is None else f"> {read.number(row['sesoi'])}{read.unit}"


def evidence_text(e_value: float) -> str:
    """Write an e-value as min(1, 1/E), the largest chance of evidence this strong if the claim does not hold."""
    return f"{min(1.0, 1 / e_value):.2g}" if e_value else "1"


def _without_verdict(row: Row) -> str:
    return str(row["explanation"]).removeprefix("undecided").removeprefix(", ")


class _Reader(NamedTuple):
    """How numbers in a unit are written for people."""

    value: Callable[[float], float]
    unit: str
    decimals: int

    def number(self, of: float) -> str:
        if np.isinf(of):
            return INFINITY if of > 0 else f"{self.value(of):.0f}" if self.unit == TIMES else MINUS + INFINITY
        rounded = round(self.value(of), self.decimals) + 0.0  # not -0
        return f"{rounded:,.{self.decimals}f}".replace("-", MINUS)


def _percent(share: float) -> float:
    return 100 * share


_READERS: dict[Unit, _Reader | None] = {
    "outcome": None,
    "ratio": _Reader(math.exp, TIMES, 2),
    "points": _Reader(_percent, " points", 1),
    "decades": _Reader(float, " decades", 2),
    "share": _Reader(_percent, "%", 0),
    "gap": _Reader(float, "", 2),
}
