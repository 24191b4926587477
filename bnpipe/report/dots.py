"""The seeds of a claim as dots beside the smallest effect that would matter; the page draws them in its colours."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

FARTHEST = 30.0  # largest multiple of the smallest effect that is drawn; farther seeds are at the edge
WIDTH, MARGIN = 300.0, 6.0  # pixels: of the drawing, and left free on either side
MIDDLE = 15.0  # height of the line that the dots are on
APART = 5.5  # pixels between the middles of dots that can be told apart
# If a dot's place is taken, it moves by the first free one of these offsets, in pixels: up and down, then sideways.
FREE = [(float(aside), float(up)) for aside in (0, 6, -6, 12, -12) for up in (0, -6, 6, -12, 12)]


class Dot(NamedTuple):
    """A seed in the drawing."""

    x: float
    y: float
    shape: str  # circle; above or below: only a bound of the value is known


class Dots(NamedTuple):
    """What a page draws of the seeds of a claim."""

    seeds: list[Dot]
    ticks: dict[str, float]  # places of multiples of the smallest effect
    unknown: int  # seeds that count but have no value


def dots_of(row: Any, evidence: pd.DataFrame) -> Dots:
    """Place the seeds of a claim. row: the claim in its table. evidence: the table with a value for each seed."""
    seeds = evidence[evidence["claim"] == row["claim"]]
    known = seeds.dropna(subset="value").sort_values(["value", "seed"])
    bounds = known["censored"].fillna("")
    dots: list[Dot] = []
    for value, bound in zip(known["value"], bounds, strict=True):
        if bound in ("", "above", "below"):
            dots.append(Dot(*_beside(dots, place(value / row["sesoi"])), bound or "circle"))
    ticks = {f"{multiple}": place(multiple) for multiple in (-10, -1, 0, 1, 10)}
    return Dots(dots, ticks, len(seeds) - len(dots))


def place(multiple: float) -> float:
    """Return where a multiple of the smallest effect is drawn, in pixels, on a scale that is logarithmic beyond 1."""
    near = min(abs(multiple), FARTHEST)
    stretched = near if near <= 1 else 1 + math.log10(near)
    share = math.copysign(stretched / (1 + math.log10(FARTHEST)), multiple)
    return round(MARGIN + (WIDTH - 2 * MARGIN) * (1 + share) / 2, 1)


def _beside(dots: Sequence[Dot], x: float) -> tuple[float, float]:
    """Return a free place for a dot at x, on the same side of the smallest effect, or x itself if none is free."""
    threshold = place(1)
    for aside, up in FREE:
        moved, height = x + aside, MIDDLE + up
        may_be = (moved > threshold) == (x > threshold) and MARGIN <= moved <= WIDTH - MARGIN
        if may_be and all(math.hypot(dot.x - moved, dot.y - height) >= APART for dot in dots):
            return round(moved, 1), height
    return x, MIDDLE
