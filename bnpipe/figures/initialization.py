"""Networks before their first step: statistics and histograms of their layers, and growth from layer to layer."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import setp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from bnpipe.core.csv_files import read_table
from bnpipe.figures.style import (
    COLOURS,
    LINE_STYLES,
    MARKERS,
    SMALL,
    TWO_COLUMNS,
    canvas,
    draw_seeds,
    number_text,
    save,
    style,
)

ACTIVATIONS = ("tanh", "relu")  # a row each
TITLES = {
    "small": "Initialization A: weights 0.01 · N(0, 1)",
    "xavier": "Initialization B (“Xavier”): weights N(0, 1) / √fan_in",
    "unit": "Initialization C: weights N(0, 1), as in the conditions with a bad init",
}
NETWORK = "500 inputs of 200 features from N(0, 1), ten layers of 200 units, no bias"
MU, SIGMA = "\N{GREEK SMALL LETTER MU}", "\N{GREEK SMALL LETTER SIGMA}"
HISTOGRAM = f"30 bins within ±1, as high as their axes; out: beyond; {MU}, {SIGMA}: mean and standard deviation"
STATISTICS = {"mean": "mean of outputs", "standard_deviation": "standard deviation\nof outputs"}
GROWTH = {"forward": "E[z²] over that\nof the layer below", "backward": "E‖δ‖² over that\nof the layer above"}
WIDE_RANGE = 100  # from which ratio of largest to smallest value an axis is logarithmic


def draw_layers(activations: pd.DataFrame, title: str, note: str, arms: Sequence[str]) -> Figure:
    """Draw mean and standard deviation of the layers' outputs side by side, a nonlinearity a row.

    activations: rows of one initialization of the table `activations`. Seeds are faint under the mean of their arm.
    """
    figure, grid = _canvas(title, note, ACTIVATIONS, STATISTICS.values())
    for row, activation in zip(grid, ACTIVATIONS, strict=True):
        layers = activations[activations["activation"] == activation]
        for axes, statistic in zip(row, STATISTICS, strict=True):
            for arm in arms:
                of_arm = layers[layers["arm"] == arm]
                draw_seeds(axes, of_arm, "layer", statistic, COLOURS[arm])
                mean = of_arm.groupby("layer")[statistic].mean()
                axes.plot(mean.index, mean, label=arm, color=COLOURS[arm], linestyle=LINE_STYLES[arm])
            _scale(axes, layers[statistic])
    return _with_legend(figure, grid)


def draw_growth(
    layers: pd.DataFrame, title: str, note: str, by: str, cases: Sequence[str], arms: Sequence[str]
) -> Figure:
    """Draw the growth factors of the signal and of its gradient side by side: dots measured, lines in theory.

    layers: a table with growth factors of layers. by: the column whose values ``cases`` are a row of the figure each.
    """
    figure, grid = _canvas(title, note, cases, GROWTH.values())
    for row, case in zip(grid, cases, strict=True):
        of_case = layers[layers[by] == case]
        for axes, direction in zip(row, GROWTH, strict=True):
            for arm in arms:
                of_arm = of_case[of_case["arm"] == arm]
                measured = of_arm[f"{direction}_growth"]
                theory = of_arm.groupby("layer")[f"{direction}_theory"].mean()
                dots = axes.plot(of_arm["layer"], measured, MARKERS[arm], color=COLOURS[arm], label=f"{arm}, measured")
                setp(dots, alpha=0.4, markersize=3, markeredgewidth=0)
                if theory.notna().any():  # it is written out for some arms
                    look = {"color": COLOURS[arm], "linestyle": LINE_STYLES[arm]}
                    axes.plot(theory.index, theory, label=f"{arm}, theory", **look)
            _log_scale(axes)
    return _with_legend(figure, grid)


def draw_histograms(
    histograms: pd.DataFrame, activations: pd.DataFrame, title: str, note: str, arms: Sequence[str]
) -> Figure:
    """Draw the histograms of the layers' outputs: a layer a column, a nonlinearity and arm a row.

    histograms, activations: rows of one initialization and seed of these tables. A histogram fills its own axes; the
    share of values outside of its range stands over it.
    """
    rows = [(activation, arm) for activation in ACTIVATIONS for arm in arms]
    figure = canvas(TWO_COLUMNS, 1.05 * len(rows) + 0.3, title, note)
    grid = figure.subplots(len(rows), activations["layer"].nunique(), sharex=True, squeeze=False)
    for row, (activation, arm) in zip(grid, rows, strict=True):
        row[0].set_ylabel(f"{activation}\n{arm}", color=COLOURS[arm])
        statistics, counts = (
            table[(table["activation"] == activation) & (table["arm"] == arm)].groupby("layer")
            for table in (activations, histograms)
        )
        for axes, (layer, found), (_, of_layer) in zip(row, statistics, counts, strict=True):
            mean, deviation = found[["mean", "standard_deviation"]].to_numpy()[0]
            numbers = [
                *_share_outside(of_layer),
                f"{MU} {number_text(mean)}",
                f"{SIGMA} {number_text(deviation)}",
            ]
            axes.set_title("\n".join([*[f"layer {layer}"] * (axes in grid[0]), *numbers]), fontsize=SMALL)
            _draw_histogram(axes, of_layer, COLOURS[arm])
    return figure


def _draw_histogram(axes: Axes, counts: pd.DataFrame, colour: str) -> None:
    inside = _inside(counts)
    edges = [*inside["low"], inside["high"].iloc[-1]]
    axes.stairs(inside["count"], edges, fill=True, color=colour)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([])


def _share_outside(counts: pd.DataFrame) -> list[str]:
    """Write the share of values outside of the histogram, where there are any."""
    outside = 1 - _inside(counts)["count"].sum() / counts["count"].sum()
    if not outside:
        return []
    return [f"{outside:.0%} out" if outside >= 0.01 else "< 1% out"]


def _inside(counts: pd.DataFrame) -> pd.DataFrame:
    return counts.replace([-np.inf, np.inf], np.nan).dropna(subset=["low", "high"])


def make_activation_figures(
    activations: Path,
    histograms: Path,
    initialization: str,
    arms: Sequence[str],
    layers_outputs: Sequence[Path],
    histograms_outputs: Sequence[Path],
    growth_outputs: Sequence[Path],
) -> None:
    """Draw the tutorial's networks under one initialization, from its two tables, into files of several formats."""
    layers, counts = (_rows_of(read_table(path), initialization) for path in (activations, histograms))
    (shown_seed,) = counts["seed"].unique()
    title, every_seed = TITLES[initialization], f"{NETWORK}; {layers['seed'].nunique()} seeds"
    one_seed = f"{NETWORK}; seed {shown_seed}; {HISTOGRAM}"
    with style():
        save(draw_layers(layers, title, every_seed, arms), layers_outputs)
        shown = layers[layers["seed"] == shown_seed]
        save(draw_histograms(counts, shown, title, one_seed, arms), histograms_outputs)
        save(draw_growth(layers, title, every_seed, "activation", ACTIVATIONS, arms), growth_outputs)


def make_growth(
    layers: Path, conditions: Sequence[str], note: str, arms: Sequence[str], outputs: Sequence[Path]
) -> None:
    """Draw the growth in the networks that are trained, before they are, into each of the output files."""
    table = read_table(layers)
    with style():
        title = "Growth from layer to layer before the first step"
        save(draw_growth(table, title, note, "condition", conditions, arms), outputs)


def _rows_of(table: pd.DataFrame, initialization: str) -> pd.DataFrame:
    return table[table["initialization"] == initialization]


def _canvas(
    title: str, note: str, cases: Sequence[str], quantities: Iterable[str]
) -> tuple[Figure, NDArray[np.object_]]:
    """Return a figure and its axes, a case a row and a quantity a column."""
    figure = canvas(TWO_COLUMNS, 0.5 + 1.5 * len(cases), title, note)
    grid = figure.subplots(len(cases), 2, sharex=True, squeeze=False)
    for row, case in zip(grid, cases, strict=True):
        row[0].set_title(case)  # of the row: a condition's name may be longer than one axis
        for axes, quantity in zip(row, quantities, strict=True):
            axes.set_ylabel(quantity)
            axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    for axes in grid[-1]:
        axes.set_xlabel("layer")
    return figure, grid


def _with_legend(figure: Figure, grid: NDArray[np.object_]) -> Figure:
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.align_ylabels()
    return figure


def _scale(axes: Axes, values: pd.Series) -> None:
    """Choose a logarithmic axis for positive values of many orders."""
    if values.min() > 0 and values.max() > WIDE_RANGE * values.min():
        axes.set_yscale("log")


def _log_scale(axes: Axes) -> None:
    """Scale logarithmically, with plain numbers, and with more of them where there are few whole decades."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    few = high < 30 * low
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if few else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
