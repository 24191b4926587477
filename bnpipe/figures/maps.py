"""A study of learning rate and init std: maps of final accuracy, and accuracy against the effective learning rate."""

from collections.abc import Sequence
from itertools import cycle, product
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure

from bnpipe.analysis.words import tick_text
from bnpipe.figures.arms import MARKERS
from bnpipe.figures.style import DIVERGED, SMALL, TWO_COLUMNS, canvas, distinct

COLOUR_MAP = matplotlib.colormaps["cividis"]  # colour-blind readers see it the same way
MAX_WRITTEN = 10  # values along an axis of a map: with more, cells have no text; at most this many are labelled
LETTERS = {"saturated": "s", "dead": "d", "overflow": "o"}  # of the states that are not healthy
_LETTERS_EXPLAINED = ", ".join(f"{state} ({letter})" for state, letter in LETTERS.items())
EXPLANATION = f"every seed, mean of those that stayed finite, how many are {_LETTERS_EXPLAINED}; {DIVERGED}"
EXPLANATION_OF_LARGE_MAPS = "mean of the runs that stayed finite"


def draw_maps(runs: pd.DataFrame, about: str, note: str) -> Figure:
    """Draw final accuracy over learning rate and init std, and against the effective learning rate; each arm a row.

    runs: the table of this name, with a column `diverged`. about, note: what is written above the axes. If nothing but
    learning rate / init std^2 matters, the lines of all init stds coincide. Large maps have a scale of colours beside
    them, and neither text in their cells nor marks for single runs.
    """
    arms = distinct(runs["arm"])
    is_large = max(runs["learning_rate"].nunique(), runs["init_std"].nunique()) > MAX_WRITTEN
    explanation = EXPLANATION_OF_LARGE_MAPS if is_large else EXPLANATION
    heading = f"{note}; n = {runs['seed'].nunique()} seeds, {explanation}"
    figure = canvas(TWO_COLUMNS, 1.9 * len(arms) + 0.5, about, heading)
    grid = figure.subplots(len(arms), 2, squeeze=False, sharex="col", sharey="col", width_ratios=(1.2, 1))
    for row, arm in zip(grid, arms, strict=True):
        _draw_map(row[0], runs[runs["arm"] == arm], is_large)
        _draw_effective_rates(row[1], runs[runs["arm"] == arm], is_large)
        for axes in row:
            axes.set_title(arm)
    if is_large:
        scale = ScalarMappable(Normalize(0, 1), COLOUR_MAP)
        figure.colorbar(scale, ax=grid[:, 0].tolist(), label="final accuracy; grey: all runs diverged")
    grid[-1, 0].set_xlabel("learning rate")
    grid[-1, 1].set_xlabel("effective learning rate: learning rate / init std²")
    handles, labels = grid[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
    return figure


def _draw_map(axes: Axes, runs: pd.DataFrame, is_large: bool) -> None:
    """Colour every cell by the mean of its finite runs; if the map is not large, write the mean in the cell."""
    rates, stds = distinct(runs["learning_rate"]), distinct(runs["init_std"])
    axes.set_facecolor("#BBBBBB")  # shows in cells without a finite run
    finite = runs[~runs["diverged"]]
    means = finite.pivot_table(index="init_std", columns="learning_rate", values="final_accuracy")
    means = means.reindex(index=stds, columns=rates)
    drawn: dict[str, Any] = {"rasterized": True} if is_large else {"edgecolors": "white"}
    axes.pcolormesh(np.ma.masked_invalid(means), cmap=COLOUR_MAP, vmin=0, vmax=1, **drawn)
    if not is_large:
        _write_cells(axes, means, runs)
    for axis, values in ((axes.xaxis, rates), (axes.yaxis, stds)):
        named = _spread_out(range(len(values)))
        axis.set_ticks(np.array(named) + 0.5, [tick_text(values[number]) for number in named])
    axes.tick_params(axis="x", rotation=90 if is_large else 0)
    axes.set_ylabel("init std")
    axes.grid(visible=False)


def _write_cells(axes: Axes, means: pd.DataFrame, runs: pd.DataFrame) -> None:
    """Write into each cell its mean and the states of its runs. means: (init stds, learning rates)."""
    for (row, std), (column, rate) in product(enumerate(means.index), enumerate(means.columns)):
        cell = runs[(runs["init_std"] == std) & (runs["learning_rate"] == rate)]
        mean = means.loc[std, rate]
        colour = "white" if mean < 0.5 else "black"
        text = _cell_text(mean, cell)
        axes.text(column + 0.5, row + 0.5, text, color=colour, ha="center", va="center", fontsize=SMALL)


def _cell_text(mean: float, runs: pd.DataFrame) -> str:
    """Write a cell's mean, if it has one, and how many of its runs are in each state that is not healthy."""
    shown = [] if np.isnan(mean) else [f"{mean:.2f}"]
    counts = {letter: (runs["state"] == state).sum() for state, letter in LETTERS.items()}
    return "\n".join([*shown, *(f"{count} {letter}" for letter, count in counts.items() if count)])


def _draw_effective_rates(axes: Axes, runs: pd.DataFrame, is_large: bool) -> None:
    """Draw final accuracy against learning rate / init std^2, one line for each init std; some lines are named."""
    runs = runs.assign(rate=runs["learning_rate"] / runs["init_std"] ** 2)
    stds = distinct(runs["init_std"])
    named = _spread_out(stds)
    for std, shade, marker in zip(stds, np.linspace(0, 0.9, len(stds)), cycle(MARKERS.values()), strict=False):
        colour = to_hex(COLOUR_MAP(shade))
        of_std = runs[runs["init_std"] == std]
        finite, diverged = (of_std[of_std["diverged"] == state] for state in (False, True))
        if not is_large:
            axes.plot(finite["rate"], finite["final_accuracy"], marker, color=colour, markersize=2.5, alpha=0.3)
            axes.plot(diverged["rate"], diverged["final_accuracy"], "x", color=colour, markersize=4)
        means = finite.groupby("rate")["final_accuracy"].mean()
        drawn: dict[str, Any] = {"linewidth": 0.8} if is_large else {"marker": marker, "markersize": 4}
        axes.plot(means.index, means, color=colour, label=f"init std {std:g}" if std in named else None, **drawn)
    axes.set_xscale("log")
    axes.set_ylim(0, 1)
    axes.set_ylabel("final validation accuracy")


def _spread_out(values: Sequence[Any]) -> list[Any]:
    """Return at most MAX_WRITTEN of the values, evenly spaced, starting with the first."""
    return list(values[:: -(-len(values) // MAX_WRITTEN)])
