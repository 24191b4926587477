"""The style of all figures, what they share, and how they are written."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.optimize import isotonic_regression

from bnpipe.analysis.stats import estimate_mean
from bnpipe.core.files import atomic_write
from bnpipe.core.settings import Arm
from bnpipe.figures.compact_svg import compact

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
# Figures are drawn as wide as they are printed, so that sizes of letters are those that a reader sees.
ONE_COLUMN, TWO_COLUMNS = 90 / 25.4, 180 / 25.4  # inches
LINE = 0.13  # of text, in inches
SMALL = 6.5  # points; no letter is smaller
INVISIBLE, MINUS, TIMES = "\N{ZERO WIDTH SPACE}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same shapes on every machine
    "font.size": 7,
    "figure.titlesize": 7,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "axes.labelpad": 2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.handlelength": 3,  # shows what its dashes are
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "savefig.dpi": 300,
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


def canvas(width: float, height: float, *lines: str) -> Figure:
    """Return a figure so wide and, below its heading, so high in inches; the lines above are broken to its width."""
    heading = "\n".join(wrapped(line, width) for line in lines)
    figure = Figure(figsize=(width, height + LINE * len(heading.splitlines())), layout="constrained")
    figure.suptitle(heading, x=0.01, ha="left")
    return figure


def wrapped(text: str, width: float, size: float = 7) -> str:
    """Break text of a size in points into lines at most so many inches wide, at blanks and behind underscores."""
    letters = int(width * 72 / (0.58 * size))  # one is 0.58 of its font's size wide on average
    breakable = text.replace("_", f"_{INVISIBLE} ")
    lines = [line for part in breakable.splitlines() for line in textwrap.wrap(part, letters)]
    return "\n".join(line.replace(f"{INVISIBLE} ", "").removesuffix(INVISIBLE) for line in lines)


def count_text(runs: int, diverged: int) -> str:
    """Write how many runs there are, or, where some diverged, how many of them."""
    return f"{diverged} of {runs} diverged" if diverged else f"n = {runs}"


def number_text(value: float) -> str:
    """Write a number with two digits that count; with one, and a power of ten, where zeros would be many."""
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{float(f'{value:.2g}'):g}".replace("-", MINUS)
    digit, _, power = f"{value:.0e}".partition("e")
    return digit.replace("-", MINUS) + f"{TIMES}10" + str(int(power)).translate(SUPERSCRIPTS)


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Move places within 0 to 1 so that they keep a gap and their order, each no farther than it must.

    Where all of them do not fit they start at 0 and end above 1.
    """
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    slack = max(0.0, 1 - gap * (len(places) - 1))
    # Less their steps, places that keep the gap need only rise: that is the isotonic regression of the others.
    spread = np.clip(isotonic_regression(np.asarray(places)[order] - steps).x, 0, slack) + steps
    moved = np.empty(len(places))
    moved[order] = spread
    return [float(place) for place in moved]


def label_ends(axes: Axes, labels: Mapping[Line2D, str]) -> None:
    """Write beside the axes, whose scale stands, at the end of each line its label."""
    low, high = axes.get_ylim()
    ends = [(float(np.asarray(line.get_ydata())[-1]) - low) / (high - low) for line in labels]
    lines = max(len(label.splitlines()) for label in labels.values())
    # Of as many lines and what is between them, where axes fill over half of the figure.
    gap = 1.3 * lines * SMALL * axes.figure.dpi / 72 / (0.55 * axes.figure.bbox.height)
    for height, (line, label) in zip(apart(ends, gap), labels.items(), strict=True):
        axes.annotate(
            *(label, (1, height), (3, 0), "axes fraction", "offset points"),
            color=line.get_color(),
            verticalalignment="center",
            fontsize=SMALL,
        )


def scale_steps(axes: Axes, most: int = 5) -> None:
    """Scale an axis of training steps, from 0, with so many ticks at most."""
    axes.set_xlabel("training step")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))


def draw_seeds(axes: Axes, curves: pd.DataFrame, x: str, y: str, colour: str) -> None:
    """Draw the column y against x, every seed a faint line."""
    for _, curve in curves.groupby("seed"):
        axes.plot(curve[x], curve[y], color=colour, linewidth=0.5, alpha=0.3)


def draw_mean(axes: Axes, curves: pd.DataFrame, x: str, y: str, colour: str, **line: Any) -> Line2D:
    """Draw the mean of the column y at every x, in a band that is its 95% interval; return the line."""
    at_each = curves.groupby(x)[y]
    estimates = np.array([estimate_mean(values) for _, values in at_each])
    places = np.array(list(at_each.groups))
    axes.fill_between(places, estimates[:, 2], estimates[:, 3], color=colour, alpha=0.25, linewidth=0)
    (drawn,) = axes.plot(places, estimates[:, 0], color=colour, **line)
    return drawn


def save(figure: Figure, outputs: Sequence[Path]) -> None:
    """Write a figure to each path in the format of its suffix, without date, so that equal figures are equal bytes.

    It is laid out for the first.
    """
    for path in outputs:
        with atomic_write(path) as partial:
            if path.suffix == ".svg":
                figure.savefig(partial, format="svg", metadata={"Date": None})
                partial.write_text(compact(partial.read_text(encoding="utf-8")), encoding="utf-8")
            else:
                figure.savefig(partial, format=path.suffix.removeprefix("."))
        figure.set_layout_engine("none")  # that takes longer than drawing
