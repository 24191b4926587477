"""Weight decay and batch normalization during training: the norm of weights, and how far a step turns them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnpipe.analysis.equilibrium import answer
from bnpipe.core.csv_files import read_table
from bnpipe.figures.style import (
    SMALL,
    TWO_COLUMNS,
    canvas,
    distinct,
    draw_mean,
    draw_seeds,
    save,
    scale_numbers,
    scale_steps,
    style,
)

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000")  # of weight decays, in their order
DASHES = ("solid", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (9, 2)), (0, (3, 1)))
TOGETHER = 5  # measured steps averaged in a point of a curve, because single mini-batches differ


def draw_equilibrium(turns: pd.DataFrame, table: pd.DataFrame, note: str) -> Figure:
    """Draw norms and turns of every weight decay against step, each arm as a row.

    turns: the concatenated tables of `bnpipe.experiments.equilibrium`. table: their summary, see
    `bnpipe.analysis.equilibrium.equilibrium_table`. note: what is written above the axes, before the answer.
    """
    arms = distinct(turns["arm"])
    rate = f"learning rate {turns['learning_rate'].iloc[0]:g}"
    heading = f"{note}, plain gradient descent, {rate}; mean over layers; every seed, mean and its 95% interval"
    figure = canvas(TWO_COLUMNS, 1.8 * len(arms) + 0.2, heading, answer(table))
    grid = figure.subplots(len(arms), 2, sharex=True, squeeze=False)
    curves = _curves(turns)
    for (norms, angles), arm in zip(grid, arms, strict=True):
        norms.set_title(f"{arm}: norm")
        norms.set_ylabel("norm / first norm")
        angles.set_title(f"{arm}: turn")
        angles.set_ylabel("angle of a step (radians)")
        for place, decay in enumerate(distinct(table["weight_decay"])):
            own = curves[(curves["arm"] == arm) & (curves["weight_decay"] == decay)]
            colour, dashes = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
            for axes, column in ((norms, "norm"), (angles, "angle")):
                known = own[np.isfinite(own[column]) & (own[column] > 0)]
                draw_seeds(axes, known, "step", column, colour)
                label = {"linestyle": dashes, "label": f"weight decay {decay:g} (n = {own['seed'].nunique()})"}
                draw_mean(axes, known, "step", column, colour, geometric=True, **label)
        if arm == "batchnorm":
            for predicted in table.loc[table["arm"] == arm, "predicted_angle"].dropna():
                angles.axhline(predicted, color="#555555", linewidth=0.8, linestyle=":")
                _name(angles, float(predicted))
        for axes in (norms, angles):
            scale_steps(axes)
            scale_numbers(axes)
    for axes in grid[:-1].flat:
        axes.set_xlabel("")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 3))
    figure.align_ylabels()
    return figure


def make_equilibrium_figure(turns: Sequence[Path], table: Path, note: str, outputs: Sequence[Path]) -> None:
    """Draw the tables into each of the output files; see `draw_equilibrium`."""
    with style():
        save(draw_equilibrium(pd.concat([read_table(own) for own in turns]), read_table(table), note), outputs)


def _curves(turns: pd.DataFrame) -> pd.DataFrame:
    """Return, for each run, the geometric mean of norm / first norm, and the root mean square of angles.

    Both are taken over layers and over TOGETHER measured steps in a row; `step` is the first of these.
    """
    first = turns.groupby(["arm", "weight_decay", "seed", "layer"])["norm"].transform("first")
    steps = np.sort(turns["step"].unique())
    starts = dict(zip(steps, steps[np.arange(len(steps)) // TOGETHER * TOGETHER], strict=True))
    measured = turns.assign(
        step=turns["step"].map(starts), norm=np.log(turns["norm"] / first), angle=np.square(turns["angle"])
    )
    means = (
        measured.groupby(["arm", "weight_decay", "seed", "step"], sort=False)[["norm", "angle"]].mean().reset_index()
    )
    return means.assign(norm=np.exp(means["norm"]), angle=np.sqrt(means["angle"]))


def _name(axes: Axes, predicted: float) -> None:
    axes.annotate(
        f"predicted: {predicted:.3g}",
        (0.98, predicted),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        fontsize=SMALL,
    )
