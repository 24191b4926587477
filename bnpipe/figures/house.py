"""The style of all figures, and how they are written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from bnpipe.files import written_whole

# Blue and vermillion of the palette of Okabe & Ito, and line styles that differ without colour.
COLOURS = {"vanilla": "#D55E00", "batchnorm": "#0072B2"}
LINE_STYLES = {"vanilla": (0, (4, 1.5)), "batchnorm": "solid"}
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


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the project within the block."""
    with matplotlib.rc_context(STYLE):
        yield


def save(figure: Figure, outputs: Sequence[Path]) -> None:
    """Write a figure to each path in the format of its suffix, without date, so that equal figures are equal bytes."""
    for path in outputs:
        suffix = path.suffix.removeprefix(".")
        with written_whole(path) as partial:
            figure.savefig(partial, format=suffix, metadata={"Date": None} if suffix == "svg" else {})
