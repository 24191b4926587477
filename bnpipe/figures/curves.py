"""Curves of validation accuracy: of one condition, and of all."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnpipe.analysis.tables import rows_to_average, with_divergence
from bnpipe.analysis.words import count_text
from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS, LINE_STYLES
from bnpipe.figures.style import (
    ONE_COLUMN,
    TWO_COLUMNS,
    canvas,
    draw_mean,
    draw_seeds,
    label_ends,
    legend_columns,
    save,
    scale_steps,
    style,
    wrapped,
)

ALL_SEEDS = ", every seed, mean and its 95% interval"  # what figures of all seeds add to their note
CONDITIONS_PER_ROW = 3


def draw_single_seed(accuracy: pd.DataFrame, title: str, note: str, seed: int, arms: Sequence[str]) -> Figure:
    """Draw one seed's validation accuracy against step, each arm as a curve, as the tutorial does.

    accuracy: rows of one condition of the table `accuracy`. title, note: what is written above the axes.
    """
    figure, axes = _canvas(title, note)
    labels = {}
    for arm in arms:
        curve = accuracy[(accuracy["arm"] == arm) & (accuracy["seed"] == seed)]
        (line,) = axes.plot(curve["step"], curve["accuracy"], color=COLOURS[arm], linestyle=LINE_STYLES[arm], label=arm)
        labels[line] = arm
    _scale(axes)
    label_ends(axes, labels)
    return figure


def draw_all_seeds(accuracy: pd.DataFrame, title: str, note: str, arms: Sequence[str]) -> Figure:
    """Draw each seed's curve faintly, under the mean of each arm and its pointwise 95% interval.

    accuracy: rows of one condition of the table `accuracy`, with a column `diverged`. title, note: what is written
    above the axes.
    """
    figure, axes = _canvas(title, note)
    lines = _draw_arms(axes, accuracy, arms)
    _scale(axes)
    label_ends(axes, {line: f"{arm}\n{_count(accuracy, arm)}" for arm, line in zip(arms, lines, strict=True)})
    return figure


def draw_overview(accuracy: pd.DataFrame, conditions: Sequence[str], note: str, arms: Sequence[str]) -> Figure:
    """Draw all conditions as small multiples with one scale of accuracy.

    accuracy: the table `accuracy` with a column `diverged`. conditions: in the order in which they are drawn. note:
    what is written above the axes.
    """
    columns = min(CONDITIONS_PER_ROW, len(conditions))
    rows = -(-len(conditions) // columns)
    figure = canvas(TWO_COLUMNS, 1.9 * rows + 0.2, note)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, condition in zip(grid.flat, conditions, strict=False):
        _draw_arms(axes, accuracy[accuracy["condition"] == condition], arms)
        axes.set_title(wrapped(condition, 0.8 * TWO_COLUMNS / columns, size=8))
        _scale(axes)
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
    for axes in grid.flat[len(conditions) :]:
        axes.set_axis_off()
    entries = grid.flat[0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside lower center", ncols=legend_columns(len(arms)))
    return figure


def make_overview(
    accuracy: Path, runs: Path, conditions: Sequence[str], note: str, arms: Sequence[str], outputs: Sequence[Path]
) -> None:
    """Draw all conditions from the two tables into each of the output files."""
    curves = with_divergence(read_table(accuracy), read_table(runs))
    with style():
        save(draw_overview(curves, conditions, note + ALL_SEEDS, arms), outputs)


def _draw_arms(axes: Axes, accuracy: pd.DataFrame, arms: Sequence[str]) -> list[Line2D]:
    """Draw every seed and the mean of each arm; return the lines of the means."""
    lines = []
    for arm in arms:
        curves = accuracy[accuracy["arm"] == arm]
        draw_seeds(axes, curves, "step", "accuracy", COLOURS[arm])
        averaged = curves[rows_to_average(curves["diverged"])]
        mean = draw_mean(axes, averaged, "step", "accuracy", COLOURS[arm], linestyle=LINE_STYLES[arm], label=arm)
        lines.append(mean)
    return lines


def _count(accuracy: pd.DataFrame, arm: str) -> str:
    runs = accuracy[accuracy["arm"] == arm].drop_duplicates("seed")
    return count_text(len(runs), int(runs["diverged"].sum()))


def _canvas(title: str, note: str) -> tuple[Figure, Axes]:
    figure = canvas(ONE_COLUMN, 2.2, title, note)
    return figure, figure.subplots()


def _scale(axes: Axes) -> None:
    scale_steps(axes)
    axes.set_ylabel("validation accuracy")
    axes.set_ylim(0, 1)
