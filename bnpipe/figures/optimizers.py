"""The fair comparison under every optimizer: the ratio of updates to 90%, vanilla over batchnorm."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bnpipe.analysis.measures.sources import PAIR
from bnpipe.analysis.optimizers import answer
from bnpipe.analysis.words import tick_text
from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS, MARKERS
from bnpipe.figures.style import TWO_COLUMNS, canvas, distinct, save, style

BESIDE = 0.12  # how far an arm is from its optimizer's place, and a mean from its seeds


def draw_optimizers(seeds: pd.DataFrame, ratios: pd.DataFrame, note: str) -> Figure:
    """Draw the updates of both networks and their ratio under every optimizer, a column for each nonlinearity.

    seeds, ratios: the tables of `bnpipe.analysis.optimizers`. note: what is written above the axes, before the answer.
    """
    activations = distinct(ratios["activation"])
    count = seeds["seed"].nunique()
    heading = (
        f"{note}, every network at its own best learning rate; every seed (n = {count}), geometric mean, 95% interval"
    )
    figure = canvas(TWO_COLUMNS, 3.4, heading, answer(ratios))
    grid = figure.subplots(2, len(activations), sharex="col", sharey="row", squeeze=False)
    for column, activation in enumerate(activations):
        updates, lead = grid[:, column]
        own = seeds[seeds["activation"] == activation]
        means = ratios[ratios["activation"] == activation].reset_index(drop=True)
        for place, row in means.iterrows():
            of_optimizer = own[own["optimizer"] == row["optimizer"]]
            for side, arm in zip((-BESIDE, BESIDE), PAIR, strict=True):
                places = [place + side] * len(of_optimizer)
                dots = {"color": COLOURS[arm], "marker": MARKERS[arm], "linestyle": "none", "markersize": 3}
                updates.plot(places, of_optimizer[arm], alpha=0.6, label=arm if place == 0 else None, **dots)
            lead.plot([place] * len(of_optimizer), of_optimizer["ratio"], "o", color="#777777", markersize=3, alpha=0.6)
            lead.plot([place + BESIDE] * 2, [row["low"], row["high"]], color="black", linewidth=1)
            lead.plot(place + BESIDE, row["ratio"], "_", color="black", markersize=7)
        lead.axhline(1, color="#555555", linewidth=0.8, linestyle=":")
        lead.set_xticks(range(len(means)), list(means["optimizer"]))
        lead.set_xlim(-0.5, len(means) - 0.5)
        updates.set_title(activation)
        for axes in (updates, lead):
            _scale(axes)
    grid[0, 0].set_ylabel("updates to 90%")
    grid[1, 0].set_ylabel("vanilla / batchnorm")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def make_optimizers(seeds: Path, ratios: Path, note: str, outputs: Sequence[Path]) -> None:
    """Draw the two tables into each of the output files; see `draw_optimizers`."""
    with style():
        save(draw_optimizers(read_table(seeds), read_table(ratios), note), outputs)


def _scale(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
    axes.yaxis.set_minor_locator(NullLocator())
