"""Curves of validation accuracy: of a condition, and of all."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bnpipe.csv_files import read_table
from bnpipe.figures.house import COLOURS, LINE_STYLES, draw_mean, draw_seeds, save, style
from bnpipe.tables import alike, with_divergence

ALL_SEEDS = ", every seed, mean and its 95% interval"  # what figures of all seeds add to their note


def draw_single_seed(accuracy: pd.DataFrame, title: str, note: str, seed: int, arms: Sequence[str]) -> Figure:
    """Draw one seed's validation accuracy against step, an arm a curve, as the tutorial does.

    accuracy: rows of one condition of the table `accuracy`. title, note: what stands above the axes.
    """
    figure, axes = _canvas(title, note)
    for arm in arms:
        curve = accuracy[(accuracy["arm"] == arm) & (accuracy["seed"] == seed)]
        axes.plot(curve["step"], curve["accuracy"], label=arm, color=COLOURS[arm], linestyle=LINE_STYLES[arm])
    return _finished(figure, axes, arms)


def draw_all_seeds(accuracy: pd.DataFrame, title: str, note: str, arms: Sequence[str]) -> Figure:
    """Draw every seed's curve faintly, under the mean of each arm and its pointwise 95% interval.

    accuracy: rows of one condition of the table `accuracy`, with a column `diverged`.
    """
    figure, axes = _canvas(title, note)
    _draw_arms(axes, accuracy, arms)
    return _finished(figure, axes, arms)


def draw_overview(accuracy: pd.DataFrame, conditions: Sequence[str], note: str, arms: Sequence[str]) -> Figure:
    """Draw all conditions as small multiples with one scale of accuracy.

    accuracy: the table `accuracy` with a column `diverged`. conditions: in the order to draw.
    """
    columns = min(3, len(conditions))
    rows = -(-len(conditions) // columns)
    figure = Figure(figsize=(3.3 * columns, 2.5 * rows + 0.7), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, condition in zip(grid.flat, conditions, strict=False):
        _draw_arms(axes, accuracy[accuracy["condition"] == condition], arms)
        axes.set_title(condition)
        _scale(axes)
    for axes in grid[:, 0]:
        axes.set_ylabel("validation accuracy")
    for axes in grid.flat[len(conditions) :]:
        axes.set_axis_off()
    handles, _ = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, list(arms), loc="outside lower center", ncols=len(arms))
    figure.suptitle(note, x=0.01, ha="left")
    return figure


def make_overview(
    tables: Path, conditions: Sequence[str], note: str, arms: Sequence[str], outputs: Sequence[Path]
) -> None:
    """Draw all conditions from the tables in a folder, into each of the output files."""
    accuracy, runs = read_table(tables / "accuracy.csv"), read_table(tables / "runs.csv")
    with style():
        save(draw_overview(with_divergence(accuracy, runs), conditions, note + ALL_SEEDS, arms), outputs)


def _draw_arms(axes: Axes, accuracy: pd.DataFrame, arms: Sequence[str]) -> None:
    for arm in arms:
        curves = accuracy[accuracy["arm"] == arm]
        n, diverged = (part["seed"].nunique() for part in (curves, curves[curves["diverged"]]))
        label = f"{arm} (n = {n}" + (f", {diverged} diverged)" if diverged else ")")
        draw_seeds(axes, curves, "step", "accuracy", COLOURS[arm])
        averaged = curves[alike(curves["diverged"])]
        draw_mean(axes, averaged, "step", "accuracy", COLOURS[arm], linestyle=LINE_STYLES[arm], label=label)


def _canvas(title: str, note: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    axes = figure.subplots()
    axes.set_title(note, fontsize=8, color="#444444")
    return figure, axes


def _finished(figure: Figure, axes: Axes, arms: Sequence[str]) -> Figure:
    axes.set_ylabel("validation accuracy")
    _scale(axes)
    figure.legend(loc="outside lower center", ncols=len(arms))
    return figure


def _scale(axes: Axes) -> None:
    axes.set_xlabel("training step")
    axes.set_ylim(0, 1)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
