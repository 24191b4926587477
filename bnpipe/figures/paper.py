"""Figure 1 of Ioffe & Szegedy (2015): accuracy during training, and the input of a sigmoid without and with BN."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS, LINE_STYLES
from bnpipe.figures.style import SMALL, TWO_COLUMNS, canvas, draw_mean, draw_seeds, save, scale_steps, style

PANELS = {"vanilla": "b  without normalization", "batchnorm": "c  with batch normalization"}
INPUTS = "percentiles over many images of the input to one sigmoid of the last hidden layer"
LOWEST_SHOWN = 0.7  # lower end of the accuracy axis, as in the paper, if all runs end above it


def make_paper_figure(
    accuracy: Sequence[Path], percentiles: Sequence[Path], note: str, outputs: Sequence[Path]
) -> None:
    """Draw the two tables, each from one file per arm, into each of the output files."""
    accuracies, inputs = (pd.concat([read_table(path) for path in paths]) for paths in (accuracy, percentiles))
    with style():
        save(draw_paper(accuracies, inputs, note), outputs)


def draw_paper(accuracy: pd.DataFrame, percentiles: pd.DataFrame, note: str) -> Figure:
    """Draw accuracy against step, and for each arm the percentiles of the input of one sigmoid, on one scale.

    accuracy, percentiles: the tables of `bnpipe.experiments.paper`, of both arms. note: what is written above the axes.
    The percentiles of the first seed are drawn in full and those of the others faintly: each seed has a sigmoid of its
    own, so a mean over them would say nothing.
    """
    seeds = accuracy["seed"].unique()
    about_a = f"a: every seed (n = {len(seeds)}), mean and its 95% interval"
    figure = canvas(TWO_COLUMNS, 2.3, note, about_a, f"b, c: {INPUTS}, seed {seeds[0]}; faint: the other seeds")
    first, *others = figure.subplots(1, 3)
    _draw_accuracy(first, accuracy)
    for axes, (arm, title) in zip(others, PANELS.items(), strict=True):
        axes.sharey(others[0])
        _draw_percentiles(axes, percentiles[percentiles["arm"] == arm], arm)
        axes.set_title(title)
    for axes in figure.axes:
        scale_steps(axes, most=3)
    figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _draw_accuracy(axes: Axes, accuracy: pd.DataFrame) -> None:
    for arm in PANELS:
        curves = accuracy[accuracy["arm"] == arm]
        draw_seeds(axes, curves, "step", "accuracy", COLOURS[arm])
        draw_mean(axes, curves, "step", "accuracy", COLOURS[arm], linestyle=LINE_STYLES[arm], label=arm)
    last = accuracy.loc[accuracy["step"] == accuracy["step"].max(), "accuracy"]
    axes.set_ylim(min(LOWEST_SHOWN, last.min()), 1)
    axes.set_ylabel("validation accuracy")
    axes.set_title("a  accuracy")


def _draw_percentiles(axes: Axes, percentiles: pd.DataFrame, arm: str) -> None:
    """Draw the percentiles as lines, with a band from the lowest to the highest."""
    of_seeds = [
        curves.pivot_table(index="step", columns="percentile", values="value")
        for _, curves in percentiles.groupby("seed", sort=False)
    ]
    for curves in of_seeds[1:]:
        axes.plot(curves.index, curves, color=COLOURS[arm], linewidth=0.5, alpha=0.3)
    shown = of_seeds[0]
    low, *_, high = shown.columns
    axes.fill_between(shown.index, shown[low], shown[high], color=COLOURS[arm], alpha=0.15, linewidth=0)
    for percentile in shown:
        axes.plot(shown.index, shown[percentile], color=COLOURS[arm], linestyle=LINE_STYLES[arm])
        end = (shown.index[-1], shown[percentile].iloc[-1])
        axes.annotate(f"{percentile}%", end, xytext=(3, 0), textcoords="offset points", va="center", fontsize=SMALL)
    axes.set_ylabel("input to the sigmoid")
