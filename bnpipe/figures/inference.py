"""Accuracy of a batchnorm network at inference, with each kind of mean and variance that it may normalize by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS
from bnpipe.figures.style import TWO_COLUMNS, canvas, draw_mean, draw_seeds, save, style


class StatisticsStyle(NamedTuple):
    """How a kind of statistics is drawn: with a colour of Okabe & Ito, and distinct without colour."""

    label: str
    colour: str
    line_style: Any
    marker: str


STATISTICS_STYLES = {
    "population": StatisticsStyle("training set (algorithm 2)", "#000000", "solid", "o"),
    "moving_biased": StatisticsStyle("moving averages, biased variance", COLOURS["batchnorm"], (0, (5, 1.5)), "s"),
    "moving_unbiased": StatisticsStyle("moving averages, unbiased variance", "#E69F00", (0, (1, 1)), "x"),
    "batch": StatisticsStyle("evaluation batch of {size}", "#009E73", (0, (3, 1, 1, 1)), "^"),
    "single_class": StatisticsStyle("evaluation batch of {size} of one class", "#CC79A7", (0, (2, 1)), "v"),
}


def draw_inference(inference: pd.DataFrame, note: str) -> Figure:
    """Draw the accuracy with each kind of statistics in three panels.

    They show accuracy during training, its difference from the accuracy with training-set statistics, and the final
    accuracy by batch size. Each seed is a faint line, under the mean and its pointwise 95% interval. inference: the
    table of this name. note: what is written above the axes.
    """
    inference = inference.assign(updates=inference["step"] + 1)  # a logarithmic axis cannot show step 0
    size = int(inference.loc[inference["statistics"] == "single_class", "batch_size"].iloc[0])
    comparable = inference[inference["batch_size"].isna() | (inference["batch_size"] == size)]
    seeds = inference["seed"].nunique()
    figure = canvas(TWO_COLUMNS, 2.7, f"{note}, every seed (n = {seeds}), mean and its 95% interval")
    along, difference, by_size = figure.subplots(1, 3)
    _draw_along_training(along, comparable, size)
    _draw_difference(difference, comparable)
    _draw_by_size(by_size, inference[inference["step"] == inference["step"].max()])
    figure.legend(*along.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def make_inference_figure(inference: Path, note: str, outputs: Sequence[Path]) -> None:
    """Draw the table in a file into each of the output files."""
    with style():
        save(draw_inference(read_table(inference), note), outputs)


def _draw_along_training(axes: Axes, inference: pd.DataFrame, size: int) -> None:
    for statistics, statistics_style in STATISTICS_STYLES.items():
        curves = inference[inference["statistics"] == statistics]
        _draw_curves(
            axes,
            curves,
            "updates",
            "accuracy",
            statistics_style._replace(label=statistics_style.label.format(size=size)),
        )
    _finish(axes, "During training", "updates done (step + 1)", [1, 10, 100, 1000])
    _scale_accuracy(axes)


def _draw_difference(axes: Axes, inference: pd.DataFrame) -> None:
    population = inference.loc[inference["statistics"] == "population", ["seed", "step", "accuracy"]]
    pairs = inference.merge(population, on=["seed", "step"], suffixes=("", "_of_population"))
    pairs["points"] = 100 * (pairs["accuracy"] - pairs["accuracy_of_population"])
    axes.axhline(0, color=STATISTICS_STYLES["population"].colour)
    for statistics in ("moving_biased", "moving_unbiased", "batch"):
        _draw_curves(axes, pairs[pairs["statistics"] == statistics], "updates", "points", STATISTICS_STYLES[statistics])
    _finish(axes, "Difference from the training set's", "updates done (step + 1)", [1, 10, 100, 1000])
    axes.set_ylabel("percentage points")


def _draw_by_size(axes: Axes, last: pd.DataFrame) -> None:
    population, batches = (last[last["statistics"] == statistics] for statistics in ("population", "batch"))
    axes.axhline(population["accuracy"].mean(), color=STATISTICS_STYLES["population"].colour)
    _draw_curves(axes, batches, "batch_size", "accuracy", STATISTICS_STYLES["batch"])
    powers = [4**power for power in range(6)]
    _finish(axes, "At the end, by batch size", "images in the evaluation batch", powers)
    _scale_accuracy(axes)


def _draw_curves(axes: Axes, curves: pd.DataFrame, x: str, y: str, statistics_style: StatisticsStyle) -> None:
    """Draw the column y against x: every seed and the mean."""
    draw_seeds(axes, curves.sort_values(x), x, y, statistics_style.colour)
    mean = {
        "linestyle": statistics_style.line_style,
        "marker": statistics_style.marker,
        "markersize": 3,
        "label": statistics_style.label,
    }
    draw_mean(axes, curves.astype({x: int}), x, y, statistics_style.colour, **mean)


def _finish(axes: Axes, title: str, label: str, ticks: Sequence[int]) -> None:
    axes.set_title(title)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)


def _scale_accuracy(axes: Axes) -> None:
    axes.set_ylabel("validation accuracy")
    axes.set_ylim(0, 1)
