"""Networks before their first step: growth from layer to layer, and what all figures of such networks share."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from bnpipe.analysis.words import two_digits
from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS, LINE_STYLES, MARKERS
from bnpipe.figures.style import TWO_COLUMNS, canvas, save, style

GROWTH = {"forward": "E[z²] relative to\nthe layer below", "backward": "E‖δ‖² relative to\nthe layer above"}


def make_growth(
    layers: Path, conditions: Sequence[str], note: str, arms: Sequence[str], outputs: Sequence[Path]
) -> None:
    """Draw the growth in the conditions' networks before their first step into each of the output files."""
    table = read_table(layers)
    with style():
        title = "Growth from layer to layer before the first step"
        save(draw_growth(table, title, note, "condition", conditions, arms), outputs)


def draw_growth(
    layers: pd.DataFrame, title: str, note: str, by: str, cases: Sequence[str], arms: Sequence[str]
) -> Figure:
    """Draw the growth factors of the signal and of its gradient side by side: measured as dots, theory as lines.

    layers: a table with growth factors of layers. by: the column whose values `cases` are drawn, each as a row of the
    figure. title, note: what is written above the axes.
    """
    figure, grid = layer_axes(title, note, cases, GROWTH.values())
    for row, case in zip(grid, cases, strict=True):
        of_case = layers[layers[by] == case]
        for axes, direction in zip(row, GROWTH, strict=True):
            for arm in arms:
                _draw_arm(axes, of_case[of_case["arm"] == arm], direction, arm)
            _log_scale(axes)
    add_legend(figure, grid)
    return figure


def layer_axes(
    title: str, note: str, cases: Sequence[str], quantities: Iterable[str]
) -> tuple[Figure, NDArray[np.object_]]:
    """Return a figure and its axes over layers, (cases, 2): a row for each case, a column for each quantity."""
    figure = canvas(TWO_COLUMNS, 0.5 + 1.5 * len(cases), title, note)
    grid = figure.subplots(len(cases), 2, sharex=True, squeeze=False)
    for row, case in zip(grid, cases, strict=True):
        row[0].set_title(case)  # for the whole row: a condition's name may be longer than one axis
        for axes, quantity in zip(row, quantities, strict=True):
            axes.set_ylabel(quantity)
            axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    for axes in grid[-1]:
        axes.set_xlabel("layer")
    return figure, grid


def add_legend(figure: Figure, grid: NDArray[np.object_]) -> None:
    """Put a legend of the first axes of `layer_axes` below all of them."""
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.align_ylabels()


def _draw_arm(axes: Axes, layers: pd.DataFrame, direction: str, arm: str) -> None:
    measured = layers[f"{direction}_growth"]
    theory = layers.groupby("layer")[f"{direction}_theory"].mean()
    dots: dict[str, Any] = {"alpha": 0.4, "markersize": 3, "markeredgewidth": 0}
    axes.plot(layers["layer"], measured, MARKERS[arm], color=COLOURS[arm], label=f"{arm}, measured", **dots)
    if theory.notna().any():  # not every arm has one
        label = f"{arm}, theory"
        axes.plot(theory.index, theory, label=label, color=COLOURS[arm], linestyle=LINE_STYLES[arm])


def _log_scale(axes: Axes) -> None:
    """Scale logarithmically and label plain numbers, more of them if there are few whole decades."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    few = high < 30 * low
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if few else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: two_digits(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
