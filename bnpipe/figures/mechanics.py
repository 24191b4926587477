"""Batch normalization step by step: the values of a few units over one mini-batch, each stage in a column."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bnpipe.analysis.words import MINUS
from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS
from bnpipe.figures.style import SMALL, TWO_COLUMNS, canvas, save, style

STAGE_TITLES = {
    "before": ("before", "$z = hW$"),
    "centred": ("centred", r"$z - \mu$"),
    "scaled": ("scaled", r"$\hat{x} = (z - \mu) \,/\, \sqrt{\sigma^2 + \epsilon}$"),
    "gamma_beta": ("gamma and beta", r"$y = \gamma\,\hat{x} + \beta$"),
    "identity": ("identity, $y = z$", r"$\gamma = \sqrt{\sigma^2 + \epsilon},\ \beta = \mu$"),
}
BEFORE_COLOUR = "#777777"  # of values that have not been normalized yet
BINS = 12  # between a stage's smallest and largest value: a stage that only shifts and scales keeps every bar's height
BARS = 0.6  # share of the axes' height; the text is above the bars
EXPLANATION = (
    "$h$: an image's pixels. $W$: the weights. "
    r"$\mu$, $\sigma^2$: mean and (biased) variance of a row's values before; "
    r"because of $\epsilon$ the scaled values have a std just below 1."
    "\n"
    r"$\gamma$ and $\beta$ start at 1 and 0 and are learned; the fourth column is an example. "
    "Bars change place and width, never height."
    "\nDotted: the mean. Grey outline: the values before."
)


def draw_mechanics(mechanics: pd.DataFrame, summary: pd.DataFrame, note: str) -> Figure:
    """Draw each unit as a row of histograms, one for each stage, with mean, standard deviation, gamma and beta.

    mechanics, summary: the tables of these names. note: what is written above the axes, after the number of images.
    """
    units = list(dict.fromkeys(summary["unit"]))
    images = mechanics["image"].nunique()
    figure = canvas(TWO_COLUMNS, 1.2 * len(units) + 1.1, f"One mini-batch of {images} images, {note}")
    grid = figure.subplots(len(units), len(STAGE_TITLES), sharex=True, sharey=True, squeeze=False)
    for row, unit in zip(grid, units, strict=True):
        values = mechanics[mechanics["unit"] == unit]
        about = summary[summary["unit"] == unit].set_index("stage")
        for axes, stage in zip(row, STAGE_TITLES, strict=True):
            _draw_values(axes, values, stage)
            _describe(axes, about.loc[stage])
        row[0].set_ylabel(f"unit {unit}\n{_broken(about['chosen_for'].iloc[0])}\n\nimages", fontsize=SMALL)
    for axes, (name, formula) in zip(grid[0], STAGE_TITLES.values(), strict=True):
        _set_title(axes, name, formula)
    _scale(figure.axes, mechanics)
    figure.supxlabel(f"value for an image\n{EXPLANATION}", fontsize=SMALL)
    return figure


def make_mechanics_figure(mechanics: Path, summary: Path, note: str, outputs: Sequence[Path]) -> None:
    """Draw the transform from its two tables into each of the output files."""
    with style():
        save(draw_mechanics(read_table(mechanics), read_table(summary), note), outputs)


def _draw_values(axes: Axes, values: pd.DataFrame, stage: str) -> None:
    colour = BEFORE_COLOUR if stage == "before" else COLOURS["batchnorm"]
    counts, edges = np.histogram(values[stage], BINS)
    axes.stairs(counts, edges, fill=True, color=colour, alpha=0.6)
    axes.axvline(values[stage].mean(), color="black", linestyle="dotted", linewidth=1, ymax=BARS)
    if stage == "identity":
        axes.stairs(*np.histogram(values["before"], BINS), color=BEFORE_COLOUR, linewidth=1.2)


def _describe(axes: Axes, about: pd.Series) -> None:
    lines = [f"mean {_number(about['mean'])}", f"std {_number(about['standard_deviation'])}"]
    if pd.notna(about["gamma"]):
        lines.append(rf"$\gamma$ = {_number(about['gamma'])}, $\beta$ = {_number(about['beta'])}")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # hides the grid
    axes.text(0.02, 0.98, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=SMALL, bbox=box)


def _set_title(axes: Axes, name: str, formula: str) -> None:
    """Write a stage's name above its formula; as one title of two lines, a formula with a root would be higher."""
    axes.set_title(name, pad=17)
    axes.annotate(formula, (0, 1), xytext=(0, 5), xycoords="axes fraction", textcoords="offset points")


def _number(value: float) -> str:
    return f"{value:z.3f}".replace("-", MINUS)


def _broken(reason: str) -> str:
    """Break the line after the first word of the reason for which a unit was chosen."""
    return reason.replace(" ", "\n", 1)


def _scale(grid: Sequence[Axes], mechanics: pd.DataFrame) -> None:
    """Set the scales that all axes share, with 0 in the middle and room for the text above the highest bar."""
    reach = 1.05 * np.abs(mechanics[list(STAGE_TITLES)].to_numpy()).max()
    highest = max(axes.dataLim.y1 for axes in grid)
    grid[0].set_xlim(-reach, reach)
    grid[0].set_ylim(0, highest / BARS)
    grid[0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid[0].set_yticks(MaxNLocator(3, integer=True).tick_values(0, highest))
