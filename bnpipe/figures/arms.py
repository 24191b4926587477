"""How each arm is drawn, in figures and in the charts of pages: its colour, line style and marker.

This module imports no drawing code: a page uses the same colours as the figures but must not depend on how these are
drawn.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any


class Styles(dict[str, Any]):
    """The colour, line style or marker of each arm: fixed for built-in arms, a spare one for each of a user's own.

    The name of an arm that is not built in decides which spare one it gets, so that it looks the same in all figures.
    If another arm already has that one in this process, it gets the next free one.
    """

    _taken: dict[str, int] = {}  # noqa: RUF012 - shared: an arm's place among the spare colours, lines and markers

    def __init__(self, built_in: Mapping[str, Any], spares: Sequence[Any]) -> None:
        super().__init__(built_in)
        self.spares = spares

    def __missing__(self, arm: str) -> Any:
        count = len(self.spares)
        if arm not in self._taken:
            first = int(sha256(arm.encode()).hexdigest(), 16)
            places = [(first + further) % count for further in range(count)]
            self._taken[arm] = next((place for place in places if place not in self._taken.values()), places[0])
        return self.spares[self._taken[arm]]


# Colours of the palettes of Okabe & Ito and of Paul Tol. Line styles and markers tell the arms apart without colour.
COLOURS = Styles(
    {
        "vanilla": "#D55E00",
        "batchnorm": "#0072B2",
        "layernorm": "#009E73",
        "groupnorm": "#E69F00",
        "rmsnorm": "#CC79A7",
        "weightnorm": "#000000",
        "firstbatch": "#882255",
        "noisybatchnorm": "#56B4E9",
        "batchrenorm": "#332288",
        "ghostbatchnorm": "#999933",
    },
    ["#777777", "#117733", "#AA4499", "#661100"],
)
LINE_STYLES = Styles(
    {
        "vanilla": (0, (4, 1.5)),
        "batchnorm": "solid",
        "layernorm": (0, (1, 1)),
        "groupnorm": (0, (5, 1.5, 1, 1.5)),
        "rmsnorm": (0, (5, 1, 1, 1, 1, 1)),
        "weightnorm": (0, (9, 2)),
        "firstbatch": (0, (3, 1)),
        "noisybatchnorm": (0, (7, 1.5, 2, 1.5)),
        "batchrenorm": (0, (2, 2, 6, 2)),
        "ghostbatchnorm": (0, (2, 1)),
    },
    [(0, (1, 2)), (0, (6, 4)), (0, (8, 1, 1, 1)), (0, (3, 3))],
)
MARKERS = Styles(
    {
        "vanilla": "s",
        "batchnorm": "o",
        "layernorm": "^",
        "groupnorm": "D",
        "rmsnorm": "v",
        "weightnorm": "P",
        "firstbatch": "X",
        "noisybatchnorm": "<",
        "batchrenorm": "d",
        "ghostbatchnorm": "p",
    },
    [">", "*", "H", "8"],
)
