"""What a claim is, and the words that several claims share."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from bnpipe.analysis.measures.sources import Sources
from bnpipe.core.smallest_effects import SMALLEST_EFFECTS, Unit

HALF = 0.5  # the smallest effect of an outcome, whose values are 1 and -1
ACTIVATIONS = ("tanh", "relu")
UPDATES = "log ratio of updates to 90% validation accuracy, {} over {}; the curve smoothed (isotonic), interpolated"
SIZES: dict[Unit, Callable[[float], str]] = {
    "ratio": lambda size: f"{size:g}",
    "points": lambda size: "1 point" if round(100 * size, 9) == 1 else f"{100 * size:g} points",
    "decades": lambda size: "1 decade" if size == 1 else f"{size:g} decades",
    "share": lambda size: f"{100 * size:g}%",
    "gap": lambda size: f"{size:g}",
}
BEST = "each arm at its own best learning rate"


class Words(NamedTuple):
    """What is said of the seeds on a side of the smallest effect; "{}" stands for its size, see `size_text`."""

    above: str
    below: str
    opposite: str  # beyond the smallest effect, in the other direction


@dataclass(frozen=True)
class Claim:
    """A claim, and how it is measured."""

    key: str
    group: str  # the heading that it is under
    statement: str
    measure: str  # what the value of a seed is
    condition: str  # of the networks that are measured
    smallest_effect: str | None  # its key in the configuration; None: the value is an outcome
    words: Words
    tables: tuple[str, ...]  # that it is measured from, by their names in `bnpipe.analysis.measures`
    values: Callable[[Sources], pd.DataFrame]  # measures it, see there

    @property
    def unit(self) -> Unit:
        """How the value of a seed is read."""
        return "outcome" if self.smallest_effect is None else SMALLEST_EFFECTS[self.smallest_effect].unit

    def sesoi(self, smallest_effects: Mapping[str, float]) -> float:
        """Return the smallest effect of interest in units of the value: that of a ratio is its logarithm."""
        if self.smallest_effect is None:
            return HALF
        size = smallest_effects[self.smallest_effect]
        return math.log(size) if self.unit == "ratio" else size

    def size_text(self, smallest_effects: Mapping[str, float]) -> str:
        """Write the smallest effect of interest with its unit, a ratio as a bare number; empty for an outcome."""
        if self.smallest_effect is None:
            return ""
        size = smallest_effects[self.smallest_effect]
        return SIZES[self.unit](size)


STEPS = Words("at least {} times fewer steps", "less than {} times fewer steps", "at least {} times more steps")


def tutorial_condition(activation: str, learning_rate: float = 0.01, init_std: float = 0.1) -> str:
    """Write a condition of the tutorial in words."""
    return f"{activation}, learning rate {learning_rate:g}, init std {init_std:g}"
