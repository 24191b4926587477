"""The tutorial's networks on noise: statistics and histograms of their layers, and growth from layer to layer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnpipe.analysis.words import two_digits
from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS, LINE_STYLES
from bnpipe.figures.initialization import add_legend, draw_growth, layer_axes
from bnpipe.figures.style import SMALL, TWO_COLUMNS, canvas, draw_seeds, save, style

ACTIVATIONS = ("tanh", "relu")  # each drawn as a row
INITIALIZATION_TITLES = {
    "small": "Initialization A: weights 0.01 · N(0, 1)",
    "xavier": "Initialization B (“Xavier”): weights N(0, 1) / √fan_in",
    "unit": "Initialization C: weights N(0, 1), as in the conditions with a bad init",
}
NETWORK = "500 inputs of 200 features from N(0, 1), ten layers of 200 units, no bias"
MU, SIGMA = "\N{GREEK SMALL LETTER MU}", "\N{GREEK SMALL LETTER SIGMA}"
HISTOGRAM = f"30 bins within ±1, scaled to the axes; out: share beyond ±1; {MU}, {SIGMA}: mean, standard deviation"
MOMENTS = {"mean": "mean of outputs", "standard_deviation": "standard deviation\nof outputs"}
WIDE_RANGE = 100  # ratio of largest to smallest value above which an axis is logarithmic


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
    title, every_seed = INITIALIZATION_TITLES[initialization], f"{NETWORK}; {layers['seed'].nunique()} seeds"
    one_seed = f"{NETWORK}; seed {shown_seed}; {HISTOGRAM}"
    with style():
        save(draw_layers(layers, title, every_seed, arms), layers_outputs)
        shown = layers[layers["seed"] == shown_seed]
        save(draw_histograms(counts, shown, title, one_seed, arms), histograms_outputs)
        save(draw_growth(layers, title, every_seed, "activation", ACTIVATIONS, arms), growth_outputs)


def draw_layers(activations: pd.DataFrame, title: str, note: str, arms: Sequence[str]) -> Figure:
    """Draw mean and standard deviation of the layers' outputs side by side, each nonlinearity as a row.

    activations: rows of one initialization of the table `activations`. title, note: what is written above the axes.
    Seeds are faint lines under the mean of their arm.
    """
    figure, grid = layer_axes(title, note, ACTIVATIONS, MOMENTS.values())
    for row, activation in zip(grid, ACTIVATIONS, strict=True):
        layers = activations[activations["activation"] == activation]
        for axes, moment in zip(row, MOMENTS, strict=True):
            for arm in arms:
                of_arm = layers[layers["arm"] == arm]
                draw_seeds(axes, of_arm, "layer", moment, COLOURS[arm])
                mean = of_arm.groupby("layer")[moment].mean()
                axes.plot(mean.index, mean, label=arm, color=COLOURS[arm], linestyle=LINE_STYLES[arm])
            _scale(axes, layers[moment])
    add_legend(figure, grid)
    return figure


def draw_histograms(
    histograms: pd.DataFrame, activations: pd.DataFrame, title: str, note: str, arms: Sequence[str]
) -> Figure:
    """Draw the histograms of the layers' outputs: each layer as a column, each nonlinearity and arm as a row.

    histograms, activations: rows of one initialization and seed of these tables. title, note: what is written above the
    axes. Each histogram fills its own axes; the share of values outside its range is written above it.
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
            lines = [f"layer {layer}"] if axes in grid[0] else []
            axes.set_title("\n".join([*lines, *_numbers(found, of_layer)]), fontsize=SMALL)
            _draw_histogram(axes, of_layer, COLOURS[arm])
    return figure


def _rows_of(table: pd.DataFrame, initialization: str) -> pd.DataFrame:
    return table[table["initialization"] == initialization]


def _scale(axes: Axes, values: pd.Series) -> None:
    """Choose a logarithmic axis for positive values that span many orders of magnitude."""
    if values.min() > 0 and values.max() > WIDE_RANGE * values.min():
        axes.set_yscale("log")


def _numbers(layer: pd.DataFrame, counts: pd.DataFrame) -> list[str]:
    """Write the share of values outside the histogram, if there are any, and the moments of the layer's outputs."""
    mean, deviation = layer[["mean", "standard_deviation"]].to_numpy()[0]
    moments = [f"{MU} {two_digits(mean)}", f"{SIGMA} {two_digits(deviation)}"]
    outside = 1 - _inside(counts)["count"].sum() / counts["count"].sum()
    if not outside:
        return moments
    return [f"{outside:.0%} out" if outside >= 0.01 else "< 1% out", *moments]


def _draw_histogram(axes: Axes, counts: pd.DataFrame, colour: str) -> None:
    inside = _inside(counts)
    edges = [*inside["low"], inside["high"].iloc[-1]]
    axes.stairs(inside["count"], edges, fill=True, color=colour)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([])


def _inside(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the bins with two finite ends."""
    return counts.replace([-np.inf, np.inf], np.nan).dropna(subset=["low", "high"])
