"""What may explain the effect of batch normalization, measured during training: one figure per experiment.

The experiments are `bnpipe.experiments.gradient_shift`, `input_shift` and `smoothness`. Their figures have a row for
each condition and a column for each measure.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS, LINE_STYLES
from bnpipe.figures.style import (
    TWO_COLUMNS,
    canvas,
    draw_mean,
    draw_seeds,
    save,
    scale_numbers,
    scale_steps,
    style,
    wrapped,
)


class Measure(NamedTuple):
    """How a column of a table is drawn."""

    title: str
    label: str  # of the axis
    is_logarithmic: bool = True  # the axis and the means; otherwise the values are from -1 to 1


class Explanation(NamedTuple):
    """What the figure of one experiment shows."""

    text: str  # says what the symbols mean
    measures: dict[str, Measure]  # by column


EXPLANATIONS = {
    "gradient_shift": Explanation(
        "G: gradient of a layer's weights; G': the same after the layers below were updated on this mini-batch",
        {
            "relative_change": Measure("relative change", r"$\|G' - G\| \;/\; \|G\|$"),
            "absolute_change": Measure("absolute change", r"$\|G' - G\|$"),
            "cosine": Measure("direction", r"cosine of $G$ and $G'$", is_logarithmic=False),
        },
    ),
    "input_shift": Explanation(
        "Wasserstein-1 distance of a unit's values between steps t and t + 60, in standard deviations",
        {
            "distance": Measure("inputs of a layer", "distance within 60 steps"),
            "product_distance": Measure("products that they are made from", "distance within 60 steps"),
        },
    ),
    "smoothness": Explanation(
        "Along the gradient g of each mini-batch, over steps s of 1/4 to 4 learning rates; W: all weights",
        {
            "gradient_change": Measure("gradient change", r"$\max\;\|g(x + s) - g(x)\|$"),
            "loss_range": Measure("loss range", "largest minus smallest loss"),
            "scale_free": Measure("scale-free form", r"$\max\;\|\Delta g_W\|\;\|W\|^2 \;/\; \|s_W\|$"),
        },
    ),
}


def draw_explanation(
    name: str, measured: pd.DataFrame, conditions: Sequence[str], note: str, arms: Sequence[str]
) -> Figure:
    """Draw every measure of an experiment against step, each condition as a row.

    name: one of EXPLANATIONS. measured: the concatenated tables of that experiment. note: what is written above the
    axes. Each seed's mean over the layers is a faint line, under the mean over seeds and its pointwise 95% interval. On
    logarithmic axes all means are geometric, and values that are zero or not finite are left out.
    """
    text, measures = EXPLANATIONS[name]
    layers = "mean over layers; " if "layer" in measured else ""
    figure = canvas(
        TWO_COLUMNS,
        1.8 * len(conditions) + 0.2,
        f"{note}, each arm at its best learning rate; {layers}every seed, mean and its 95% interval",
        text,
    )
    grid = figure.subplots(len(conditions), len(measures), sharex=True, squeeze=False)
    for row, condition in zip(grid, conditions, strict=True):
        for axes, (column, measure) in zip(row, measures.items(), strict=True):
            for arm in arms:
                of_arm = measured[(measured["condition"] == condition) & (measured["arm"] == arm)]
                _draw_arm(axes, of_arm, column, measure, arm)
            axes.set_title(wrapped(f"{condition}: {measure.title}", 0.8 * TWO_COLUMNS / len(measures), size=8))
            axes.set_ylabel(measure.label)
            _scale(axes, measure)
    for axes in grid.flat:
        scale_steps(axes, most=4)
    for axes in grid[:-1].flat:
        axes.set_xlabel("")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(arms))
    figure.align_ylabels()
    return figure


def make_explanation_figure(
    name: str,
    tables: Sequence[Path],
    conditions: Sequence[str],
    note: str,
    arms: Sequence[str],
    outputs: Sequence[Path],
) -> None:
    """Draw an experiment from its tables into each of the output files; see `draw_explanation`."""
    measured = pd.concat([read_table(table) for table in tables])
    with style():
        save(draw_explanation(name, measured, conditions, note, arms), outputs)


def _draw_arm(axes: Axes, measured: pd.DataFrame, column: str, measure: Measure, arm: str) -> None:
    values = measured[column]
    if measure.is_logarithmic:
        values = np.log(values.where(np.isfinite(values) & (values > 0)))
    curves = values.groupby([measured["seed"], measured["step"]]).mean().dropna().reset_index()
    if measure.is_logarithmic:
        curves[column] = np.exp(curves[column])
    draw_seeds(axes, curves, "step", column, COLOURS[arm])
    line = {"linestyle": LINE_STYLES[arm], "label": f"{arm} (n = {measured['seed'].nunique()})"}
    draw_mean(axes, curves, "step", column, COLOURS[arm], geometric=measure.is_logarithmic, **line)


def _scale(axes: Axes, measure: Measure) -> None:
    if not measure.is_logarithmic:
        axes.set_ylim(max(-1, axes.get_ylim()[0]), 1)  # Student's interval may reach beyond 1, but a cosine cannot
        return
    scale_numbers(axes)
