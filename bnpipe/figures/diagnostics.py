"""What goes on inside the networks: every layer during training, and the state in which each run ended."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from bnpipe.analysis.words import count_text, two_digits
from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS
from bnpipe.figures.style import SMALL, TWO_COLUMNS, canvas, save, scale_steps, style, wrapped

QUANTITIES = {
    "z_rms": "RMS of z",
    "delta_rms": "RMS of\ngradient at z",
    "saturated": "share of\nsaturated outputs",
    "dead": "share of\ndead units",
    "update_ratio": "norm of update\n/ norm of weights",
}
SHARES = ("saturated", "dead")  # drawn on an axis from 0 to 1; all others on logarithmic axes
EXPLANATION = (
    "Each line is a layer: the median of the runs that stayed finite; z: inputs times weights\n"
    "Measured on the same training images at every evaluation; a line that leaves the axes at the bottom is at 0"
)
COLOUR_MAP = matplotlib.colormaps["viridis"]  # colour-blind readers see it the same way
MAX_NAMED = 12  # at most this many layers are named beside their colours


class StateStyle(NamedTuple):
    """How runs in a state of `bnpipe.analysis.autopsy` are drawn; the colours differ in lightness too."""

    colour: str
    text_colour: str  # of text on the colour
    label: str


STATE_STYLES = {
    "healthy": StateStyle("#A6DBC8", "black", "healthy"),
    "saturated": StateStyle("#E69F00", "black", "saturated at the end: over half of a layer's outputs"),
    "dead": StateStyle("#8C6BB1", "white", "dead at the end: all units of a layer"),
    "overflow": StateStyle("#333333", "white", "overflow: a number that is not finite"),
    "unknown": StateStyle("#E8E8E8", "black", "stayed finite, otherwise unknown: no diagnostics"),
}


def draw_diagnostics(layers: pd.DataFrame, runs: pd.DataFrame, title: str, note: str, arms: Sequence[str]) -> Figure:
    """Draw the layers' quantities against step: each arm a column, each quantity a row on one scale, each layer a line.

    layers, runs: rows of one condition of the tables of these names. title, note: what is written above the axes. Runs
    that diverged are left out; if all runs of an arm did, its panels say so.
    """
    quantities = _quantities(layers)
    figure = canvas(TWO_COLUMNS, 0.5 + 1.1 * len(quantities), title, note, EXPLANATION)
    grid = figure.subplots(len(quantities), len(arms), sharex=True, sharey="row", squeeze=False)
    colours = _colours(layers["layer"].max())
    width = 0.8 * TWO_COLUMNS / len(arms)
    for column, arm in zip(grid.T, arms, strict=True):
        of_arm = runs[runs["arm"] == arm]
        count = count_text(len(of_arm), of_arm["first_nonfinite_step"].notna().sum())
        column[0].set_title(f"{arm}\n{wrapped(count, width)}", color=COLOURS[arm], fontsize=7)
        _draw_arm(column, layers[layers["arm"] == arm], of_arm, quantities, colours, width)
    _scale(grid, quantities)
    _explain(figure, grid, colours)
    figure.align_ylabels()
    return figure


def draw_states(runs: pd.DataFrame, conditions: Sequence[str], note: str, arms: Sequence[str]) -> Figure:
    """Draw how many runs ended in each state, and write beside them where they first went wrong.

    runs: the table of this name. conditions, arms: in the order in which they are drawn. note: what is written above
    the axes.
    """
    runs = runs[runs["condition"].isin(conditions)]
    of_bars = runs.groupby(["condition", "arm"])
    lines = of_bars["state"].nunique().max()  # of text beside a bar, at most one for each state
    height = 0.9 + len(conditions) * (0.3 + len(arms) * (0.09 + 0.11 * lines))
    figure = canvas(TWO_COLUMNS, height, f"{note}, state of every run, and where it first went wrong")
    panels = figure.subplots(len(conditions), 1, sharex=True, squeeze=False)[:, 0]
    for axes, condition in zip(panels, conditions, strict=True):
        axes.set_title(condition)
        _draw_bars(axes, runs[runs["condition"] == condition], arms)
    panels[-1].set_xlim(0, of_bars.size().max())
    panels[-1].set_xlabel("runs")
    panels[-1].xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    found = {*runs["state"]}
    handles = [
        Patch(color=state_style.colour, label=state_style.label)
        for state, state_style in STATE_STYLES.items()
        if state in found
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2)
    return figure


def make_states(runs: Path, conditions: Sequence[str], note: str, arms: Sequence[str], outputs: Sequence[Path]) -> None:
    """Draw the states of all runs from the file of their table into each of the output files."""
    with style():
        save(draw_states(read_table(runs), conditions, note, arms), outputs)


def _quantities(layers: pd.DataFrame) -> list[str]:
    """Choose what to draw: the share that is defined for the nonlinearity, and other quantities ever above 0."""
    return [name for name in QUANTITIES if (layers[name].notna() if name in SHARES else layers[name] > 0).any()]


def _draw_arm(
    column: NDArray[np.object_],
    layers: pd.DataFrame,
    runs: pd.DataFrame,
    quantities: list[str],
    colours: list[str],
    width: float,
) -> None:
    """Draw the runs of an arm, each quantity in a panel of about this width in inches."""
    diverged = runs["first_nonfinite_step"].notna()
    finite = layers[layers["seed"].isin(runs.loc[~diverged, "seed"])]
    # Seeds of a chaotic network are orders of magnitude apart, and their mean would be close to the largest.
    medians = finite.groupby(["layer", "step"], as_index=False)[quantities].median()
    for colour, (_, curves) in zip(colours, medians.groupby("layer"), strict=False):
        for axes, quantity in zip(column, quantities, strict=True):
            axes.plot(curves["step"], curves[quantity], color=colour, linewidth=0.8)
    if diverged.all():
        for axes in column:
            text = f"all {len(runs)} runs\ndiverged at\n{_span('step', runs['first_nonfinite_step'])}"
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # hides the grid
            text = wrapped(text, width, SMALL)
            axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=SMALL, bbox=box)


def _span(name: str, numbers: pd.Series) -> str:
    """Write the range of whole numbers: "step 1", or "layers 7 to 8"."""
    low, high = int(numbers.min()), int(numbers.max())
    return f"{name} {low}" if low == high else f"{name}s {low} to {high}"


def _scale(grid: NDArray[np.object_], quantities: list[str]) -> None:
    for (first, *_), quantity in zip(grid, quantities, strict=True):
        first.set_ylabel(QUANTITIES[quantity])
        if quantity in SHARES:
            first.set_ylim(-0.03, 1.03)
            first.set_yticks([0, 0.5, 1])
        else:
            _log_scale(first)
    for axes in grid[-1]:
        scale_steps(axes, most=5 if len(grid[-1]) < 4 else 2)


def _log_scale(axes: Axes) -> None:
    """Scale logarithmically over at least one decade; if there are few decades, also label numbers within them."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    middle = np.sqrt(low * high)
    axes.set_ylim(min(low, middle / 10**0.5), max(high, middle * 10**0.5))
    if high < 50 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: two_digits(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _colours(layers: int) -> list[str]:
    """Return a colour for each layer, from dark to light; the lightest colours of the map are too faint for a line."""
    return [to_hex(COLOUR_MAP(share)) for share in np.linspace(0, 0.9, layers)]


def _explain(figure: Figure, grid: NDArray[np.object_], colours: list[str]) -> None:
    """Draw the colours of the layers beside the axes."""
    layers = len(colours)
    scale = ScalarMappable(BoundaryNorm(np.arange(layers + 1) + 0.5, layers), ListedColormap(colours))
    named = list(range(layers, 0, -layers // MAX_NAMED))  # from the last one down, because the label explains the last
    bar = figure.colorbar(scale, ax=grid.ravel().tolist(), ticks=named, aspect=40, label="layer (the last: logits)")
    bar.ax.minorticks_off()


def _draw_bars(axes: Axes, runs: pd.DataFrame, arms: Sequence[str]) -> None:
    """Draw the runs of a condition, each arm as a bar, the first on top."""
    for place, arm in enumerate(arms):
        _draw_bar(axes, place, runs[runs["arm"] == arm])
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.grid(visible=False)


def _draw_bar(axes: Axes, place: int, runs: pd.DataFrame) -> None:
    """Draw the runs of an arm as a bar: a part with a number for each state, and beside it where they went wrong."""
    left, places = 0, []
    for state, state_style in STATE_STYLES.items():
        found = runs[runs["state"] == state]
        if len(found):
            axes.barh(place, len(found), left=left, color=state_style.colour, edgecolor="white")
            axes.text(
                left + len(found) / 2, place, f"{len(found)}", color=state_style.text_colour, ha="center", va="center"
            )
            left += len(found)
            places += [f"{state}: {_where(found)}"] if found["first_bad_step"].notna().any() else []
    axes.text(1.01, place, "\n".join(places), transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL)


def _where(runs: pd.DataFrame) -> str:
    """Write where the runs of a state first went wrong: steps and, if known, layers and what was not finite."""
    layers, places = runs["first_bad_layer"].dropna(), sorted(runs["first_bad_place"].dropna().unique())
    parts = [_span("step", runs["first_bad_step"])]
    parts += [_span("layer", layers)] if len(layers) else []
    return ", ".join([*parts, *places])
