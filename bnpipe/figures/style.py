"""The style of all figures, what they share, and how they are written."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from scipy.optimize import isotonic_regression

from bnpipe.analysis.stats import Estimate, estimate_mean
from bnpipe.analysis.words import TIMES, two_digits
from bnpipe.core.files import atomic_write
from bnpipe.figures.compact_svg import compact

# Figures are drawn as wide as they are printed, so letters have the size that a reader sees.
ONE_COLUMN, TWO_COLUMNS = 90 / 25.4, 180 / 25.4  # inches
LINE = 0.13  # height of a line of text, in inches
SMALL = 6.5  # points; no letter is smaller
MANY_DECADES = 300  # a logarithmic axis has few ticks if the ratio of its ends is at least this
INVISIBLE = "\N{ZERO WIDTH SPACE}"
DIVERGED = f"{TIMES}: diverged"  # explains crosses
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
    "legend.handlelength": 3,  # long enough to show the dashes of a line
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "savefig.dpi": 300,
    "svg.hashsalt": "bnpipe",  # seeds the names inside an SVG, so that the same figure gives the same bytes
}


@contextmanager
def style() -> Iterator[None]:
    """Within the block, draw in the project's style over matplotlib's defaults; settings made outside are ignored."""
    settings: Any = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context(settings | STYLE):
        yield


def canvas(width: float, height: float, *lines: str) -> Figure:
    """Return a figure of this width and, below its heading, this height, in inches; lines are broken to its width."""
    heading = "\n".join(wrapped(line, width) for line in lines)
    figure = Figure(figsize=(width, height + LINE * len(heading.splitlines())), layout="constrained")
    figure.suptitle(heading, x=0.01, ha="left")
    return figure


def wrapped(text: str, width: float, size: float = 7) -> str:
    """Break text of a size in points into lines of at most a width in inches, at spaces and after underscores."""
    letters = int(width * 72 / (0.58 * size))  # on average a letter is 0.58 of its font's size wide
    breakable = text.replace("_", f"_{INVISIBLE} ")
    lines = [line for part in breakable.splitlines() for line in textwrap.wrap(part, letters)]
    return "\n".join(line.replace(f"{INVISIBLE} ", "").removesuffix(INVISIBLE) for line in lines)


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Move places within 0 to 1 so that they keep a gap and their order, each no farther than necessary.

    If they do not all fit, they start at 0 and end above 1.
    """
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    slack = max(0.0, 1 - gap * (len(places) - 1))
    # Places keep the gap if they still rise after the steps are subtracted; isotonic regression finds the nearest.
    spread = np.clip(isotonic_regression(np.asarray(places)[order] - steps).x, 0, slack) + steps
    moved = np.empty(len(places))
    moved[order] = spread
    return [float(place) for place in moved]


def label_ends(axes: Axes, labels: Mapping[Line2D, str]) -> None:
    """Write each line's label at its end, beside the axes, whose scale must be final."""
    low, high = axes.get_ylim()
    ends = [(float(np.asarray(line.get_ydata())[-1]) - low) / (high - low) for line in labels]
    lines = max(len(label.splitlines()) for label in labels.values())
    # The height of a label with some space, as a share of the axes, which fill just over half of the figure's height.
    gap = 1.3 * lines * SMALL * axes.figure.dpi / 72 / (0.55 * axes.figure.bbox.height)
    for height, (line, label) in zip(apart(ends, gap), labels.items(), strict=True):
        axes.annotate(
            label,
            xy=(1, height),
            xytext=(3, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=line.get_color(),
            verticalalignment="center",
            fontsize=SMALL,
        )


def legend_columns(arms: int) -> int:
    """Return the number of columns of a legend of this many arms: rows of equal length, at most six names each."""
    rows = -(-arms // 6)
    return -(-arms // rows)


def distinct(values: pd.Series) -> list[Any]:
    """Return the distinct values in the order of their first appearance, which is that of the configuration."""
    return list(dict.fromkeys(values))


def scale_steps(axes: Axes, most: int = 5) -> None:
    """Scale an axis of training steps, from 0, with at most this many intervals between ticks."""
    axes.set_xlabel("training step")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))


def scale_numbers(axes: Axes) -> None:
    """Scale the other axis logarithmically, with plain numbers; over many decades only powers of ten are ticks."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < MANY_DECADES * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: two_digits(value)))
    axes.yaxis.set_minor_locator(NullLocator())


def draw_seeds(axes: Axes, curves: pd.DataFrame, x: str, y: str, colour: str) -> None:
    """Draw the column y against x, each seed as a faint line."""
    for _, curve in curves.groupby("seed"):
        axes.plot(curve[x], curve[y], color=colour, linewidth=0.5, alpha=0.3)


def draw_mean(
    axes: Axes, curves: pd.DataFrame, x: str, y: str, colour: str, geometric: bool = False, **line: Any
) -> Line2D:
    """Draw the mean of the column y at every x, within a band for its 95% interval; return the line.

    geometric: take the mean of the logarithms, and its interval. All values must then be greater than 0.
    """
    at_each = curves.groupby(x)[y]
    estimates = np.array([estimate_mean(np.log(values) if geometric else values) for _, values in at_each])
    estimates = estimates.reshape(-1, len(Estimate._fields))  # the shape if there are no curves
    if geometric:
        estimates = np.exp(estimates)
    places = np.array(list(at_each.groups))
    axes.fill_between(places, estimates[:, 2], estimates[:, 3], color=colour, alpha=0.25, linewidth=0)
    (drawn,) = axes.plot(places, estimates[:, 0], color=colour, **line)
    return drawn


def save(figure: Figure, outputs: Sequence[Path]) -> None:
    """Write a figure to each path in the format of its suffix, without a date: equal figures are equal bytes."""
    _lay_out(figure)
    for path in outputs:
        with atomic_write(path) as partial:
            if path.suffix == ".svg":
                figure.savefig(partial, format="svg", metadata={"Date": None})
                partial.write_text(compact(partial.read_text(encoding="utf-8")), encoding="utf-8")
            else:
                figure.savefig(partial, format=path.suffix.removeprefix("."))


def _lay_out(figure: Figure) -> None:
    """Compute the layout once, with the widths that letters have in an SVG, for all formats.

    `savefig` would draw the figure one more time for each format to do so, which takes a quarter of the time.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        FigureCanvasSVG(figure)
        figure.dpi, kept = FigureCanvasSVG.fixed_dpi, figure.dpi  # as it is while an SVG is drawn
        engine.execute(figure)
        figure.dpi = kept
        figure.set_layout_engine(None)
