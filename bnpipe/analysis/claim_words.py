"""How the rows of the table of claims are written for people: verdicts, effects and what they must exceed."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bnpipe.analysis.claims import CLAIMS, COUNTED, Unit
from bnpipe.analysis.verdicts import MIN_PAIRS
from bnpipe.analysis.words import MINUS, TIMES


def verdict_text(row: "pd.Series[Any]") -> str:
    """Write the verdict of a row of the table, or why it has none."""
    return str(row["verdict"]) if row["n"] >= MIN_PAIRS else "n too small for a verdict"


def effect_text(row: "pd.Series[Any]") -> str:
    """Write the effect of a row with its interval and unit: ratios as such, shares in percent."""
    if row["n"] == 0:
        return "not known"
    read = _reader(row)
    low, high = sorted((row["low"], row["high"]), key=read.value)
    interval = "" if np.isnan(low) else f" [{read.number(low)}, {read.number(high)}]"
    return read.number(row["effect"]) + read.unit + interval


def condition_text(row: "pd.Series[Any]") -> str:
    """Write what the effect of a row must exceed to support its claim; in a claim of no difference, stay within."""
    read = _reader(row)
    return f"{'<' if read.falls else '>'} {read.number(row['sesoi'])}{read.unit}"


class _Reader(NamedTuple):
    """How people read the numbers of a row."""

    value: Callable[[float], float]
    unit: str
    decimals: int
    falls: bool = False  # whether a larger number is read as a smaller one

    def number(self, of: float) -> str:
        rounded = round(self.value(of), self.decimals) + 0.0  # not -0
        return f"{rounded:,.{self.decimals}f}".replace("-", MINUS)


def _percent(share: float) -> float:
    return 100 * share


_READERS: dict[Unit, _Reader] = {
    "outcome": _Reader(_percent, "% of seeds", 0),
    "log ratio": _Reader(math.exp, TIMES, 2),
    "decades": _Reader(float, " decades", 2),
    "nats": _Reader(float, " nats", 3),
    "orthogonality gap": _Reader(float, "", 2),
    "share": _Reader(_percent, " points", 1),
    "small share": _Reader(_percent, " points", 2),
}
_RATIO_OF_NO_DIFFERENCE = _Reader(lambda log: math.exp(-log), TIMES, 2, falls=True)  # values are minus a size


def _reader(row: "pd.Series[Any]") -> _Reader:
    key = str(row["claim"])  # pandas reads keys as numbers if all of them are
    (claim,) = (claim for claim in CLAIMS if claim.key == key)
    if row["measure"].startswith(COUNTED):
        return _READERS["outcome"]
    if claim.unit == "log ratio" and claim.of_no_difference:
        return _RATIO_OF_NO_DIFFERENCE
    return _READERS[claim.unit]
