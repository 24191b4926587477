"""Internal covariate shift during training: how a layer's gradient changes when the layers below it are updated."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bnpipe.analysis.words import two_digits
from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS, LINE_STYLES
from bnpipe.figures.style import TWO_COLUMNS, canvas, draw_mean, draw_seeds, save, scale_steps, style, wrapped

MEASURES = {  # title, label of the axis
    "relative_change": ("how much gradients change", r"$\|G' - G\| \;/\; \|G\|$"),
    "cosine": ("how far they turn", r"cosine of $G$ and $G'$"),
}
EXPLANATION = "G: gradient of a layer's weights; G': after the layers below were updated, on the same mini-batch"


def draw_covariate_shift(shifts: pd.DataFrame, conditions: Sequence[str], note: str, arms: Sequence[str]) -> Figure:
    """Draw both measures against step, each condition as a row.

    shifts: tables of `bnpipe.experiments.covariate_shift`, one below the other. note: what is written above the axes.
    Each seed's mean over the layers is a faint line, under the mean over seeds and its pointwise 95% interval.
    """
    of_runs = shifts.groupby(["condition", "arm", "seed", "step"], as_index=False)[list(MEASURES)].mean()
    averaged = f"{note}, mean over layers; every seed, mean and its 95% interval"
    figure = canvas(TWO_COLUMNS, 2 * len(conditions) + 0.2, averaged, EXPLANATION)
    grid = figure.subplots(len(conditions), len(MEASURES), sharex="row", squeeze=False)
    for row, condition in zip(grid, conditions, strict=True):
        for axes, (measure, (title, label)) in zip(row, MEASURES.items(), strict=True):
            for arm in arms:
                curves = of_runs[(of_runs["condition"] == condition) & (of_runs["arm"] == arm)]
                _draw_arm(axes, curves, measure, arm)
            axes.set_title(wrapped(f"{condition}: {title}", 0.4 * TWO_COLUMNS, size=8))
            axes.set_ylabel(label)
            scale_steps(axes)
        _scale(*row)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(arms))
    return figure


def make_covariate_shift_figure(
    tables: Sequence[Path], conditions: Sequence[str], note: str, arms: Sequence[str], outputs: Sequence[Path]
) -> None:
    """Draw the conditions from the tables that hold them into each of the output files."""
    shifts = pd.concat([read_table(table) for table in tables])
    with style():
        save(draw_covariate_shift(shifts, conditions, note, arms), outputs)


def _draw_arm(axes: Axes, curves: pd.DataFrame, measure: str, arm: str) -> None:
    draw_seeds(axes, curves, "step", measure, COLOURS[arm])
    label = f"{arm} (n = {curves['seed'].nunique()})"
    draw_mean(axes, curves, "step", measure, COLOURS[arm], linestyle=LINE_STYLES[arm], label=label)


def _scale(change: Axes, cosine: Axes) -> None:
    change.set_yscale("log")
    change.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    change.yaxis.set_major_formatter(FuncFormatter(lambda value, _: two_digits(value)))
    change.yaxis.set_minor_locator(NullLocator())
    cosine.set_ylim(top=1)  # Student's interval may reach beyond it, a cosine cannot
