"""The style of all figures, and how they are written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnpipe.files import written_whole
from bnpipe.settings import Arm
from bnpipe.stats import estimate_mean

# Of each arm: a colour of the palette of Okabe & Ito, and a line style and a marker that differ without colour.
# An arm that is not named here takes a spare look, see below.
COLOURS = {
    "vanilla": "#D55E00",
    "batchnorm": "#0072B2",
    "layernorm": "#009E73",
    "groupnorm": "#E69F00",
    "rmsnorm": "#CC79A7",
    "weightnorm": "#000000",
}
LINE_STYLES: dict[str, Any] = {
    "vanilla": (0, (4, 1.5)),
    "batchnorm": "solid",
    "layernorm": (0, (1, 1)),
    "groupnorm": (0, (5, 1.5, 1, 1.5)),
    "rmsnorm": (0, (5, 1, 1, 1, 1, 1)),
    "weightnorm": (0, (9, 2)),
}
MARKERS = {"vanilla": "s", "batchnorm": "o", "layernorm": "^", "groupnorm": "D", "rmsnorm": "v", "weightnorm": "P"}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same shapes on every machine
    "font.size": 9,
    "figure.titlesize": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.hashsalt": "bnpipe",  # names inside an SVG are drawn from it: the same figure is the same bytes
}

SPARE_LOOKS = [("#882255", (0, (3, 1)), "X"), ("#777777", (0, (7, 1.5, 2, 1.5)), "<"), ("#56B4E9", (0, (1, 2)), ">")]
for _arm, _look in zip([name for name in get_args(Arm) if name not in COLOURS], SPARE_LOOKS, strict=False):
    COLOURS[_arm], LINE_STYLES[_arm], MARKERS[_arm] = _look


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the project within the block."""
    with matplotlib.rc_context(STYLE):
        yield


def draw_seeds(axes: Axes, curves: pd.DataFrame, x: str, y: str, colour: str) -> None:
    """Draw the column y against x, every seed a faint line."""
    for _, curve in curves.groupby("seed"):
        axes.plot(curve[x], curve[y], color=colour, linewidth=0.5, alpha=0.3)


def draw_mean(axes: Axes, curves: pd.DataFrame, x: str, y: str, colour: str, **line: Any) -> None:
    """Draw the mean of the column y at every x, in a band that is its 95% interval."""
    at_each = curves.groupby(x)[y]
    estimates = np.array([estimate_mean(values) for _, values in at_each])
    places = np.array(list(at_each.groups))
    axes.fill_between(places, estimates[:, 2], estimates[:, 3], color=colour, alpha=0.25, linewidth=0)
    axes.plot(places, estimates[:, 0], color=colour, **line)


def save(figure: Figure, outputs: Sequence[Path]) -> None:
    """Write a figure to each path in the format of its suffix, without date, so that equal figures are equal bytes."""
    for path in outputs:
        suffix = path.suffix.removeprefix(".")
        with written_whole(path) as partial:
            figure.savefig(partial, format=suffix, metadata={"Date": None} if suffix == "svg" else {})
