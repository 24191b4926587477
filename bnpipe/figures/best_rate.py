"""The fair comparison: updates to 90% against learning rate, for every network at every rate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bnpipe.analysis.curves import updates_of_runs
from bnpipe.analysis.words import TIMES, tick_text
from bnpipe.core.csv_files import ENTRANT_KEYS, read_table
from bnpipe.figures.arms import COLOURS, LINE_STYLES, MARKERS
from bnpipe.figures.style import SMALL, TWO_COLUMNS, canvas, distinct, save, style

MISSED = 1.3  # where trials that never passed 90% are drawn, as a multiple of their steps
APART = 1.13  # between the trials of two networks that never passed, as a factor
BESIDE = 1.09  # how far fresh seeds are drawn to the right of the trials at the same rate, as a factor


class NetworkStyle(NamedTuple):
    """How a network is drawn; networks can be told apart without colour."""

    colour: str
    line_style: Any
    marker: str


OTHER_INIT = {  # how an arm is drawn if it starts from other weights than in the condition
    "vanilla": NetworkStyle("#E69F00", (0, (1, 1)), "D"),
    "batchnorm": NetworkStyle("#56B4E9", (0, (5, 1.5, 1, 1.5)), "^"),
}


def make_best_rate(
    tunings: Sequence[Path],
    steps: int,
    rates: Mapping[str, float],
    inits: Mapping[str, float | str],
    note: str,
    outputs: Sequence[Path],
    curves: Sequence[Path] = (),
) -> None:
    """Draw the trials of all networks from their tables into each of the output files; see `draw_best_rate`."""
    trials = pd.concat([read_table(table) for table in tunings])
    fresh = pd.concat([updates_of_runs(read_table(table), ENTRANT_KEYS) for table in curves]) if curves else None
    with style():
        save(draw_best_rate(trials, steps, rates, inits, note, fresh), outputs)


def draw_best_rate(
    trials: pd.DataFrame,
    steps: int,
    rates: Mapping[str, float],
    inits: Mapping[str, float | str],
    note: str,
    fresh: pd.DataFrame | None = None,
) -> Figure:
    """Draw updates to 90% against learning rate, each nonlinearity a panel.

    trials: tables of `bnpipe.analysis.best_rates`. steps: how many each trial had. rates, inits: learning rate and init
    std of the conditions, by nonlinearity; the rate is marked, and labels name only other init stds. note: what is
    written above the axes. fresh: updates of the configuration's seeds at the best rates, see
    `bnpipe.analysis.curves.updates_of_runs`; they are drawn beside the trials.
    """
    counts = f"{trials['seed'].nunique()} seeds for trials"
    if fresh is not None:
        counts += f", {fresh['seed'].nunique()} other seeds at each network's best rate (circled)"
    activations = distinct(trials["activation"])
    explanation = f"every trial and geometric means; {TIMES}: 90% not reached in {tick_text(steps)} steps"
    figure = canvas(TWO_COLUMNS, 2.9, f"{note}; {counts}; {explanation}")
    grid = figure.subplots(1, len(activations), sharey=True, squeeze=False)[0]
    for axes, activation in zip(grid, activations, strict=True):
        of_activation = trials[trials["activation"] == activation]
        for place, entrant in enumerate(distinct(of_activation["entrant"])):
            own = of_activation[of_activation["entrant"] == entrant]
            arm, init = own["arm"].iloc[0], own["init_std"].iloc[0]
            is_usual = str(init) == f"{inits[activation]}"
            drawn = NetworkStyle(COLOURS[arm], LINE_STYLES[arm], MARKERS[arm]) if is_usual else OTHER_INIT[arm]
            _draw_trials(
                axes, own, steps * MISSED * APART**place, drawn, arm if is_usual else f"{arm}, init std {init}"
            )
            if fresh is not None:
                seeds = fresh[fresh["entrant"] == entrant]
                axes.plot(seeds["learning_rate"] * BESIDE, seeds["updates_to_90"], **_dots(drawn, alpha=0.8))
        axes.axvline(rates[activation], color="#555555", linewidth=0.8, linestyle=":")
        axes.annotate(
            f"{tick_text(rates[activation])}, the rate\nof the conditions",
            (rates[activation], 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=SMALL,
        )
        axes.set_title(activation)
        _scale(axes)
        axes.legend(loc="upper center", fontsize=SMALL, bbox_to_anchor=(0.5, -0.16), ncols=2)
    grid[0].set_ylabel("updates to 90% validation accuracy")
    return figure


def _draw_trials(axes: Axes, trials: pd.DataFrame, missed_at: float, drawn: NetworkStyle, label: str) -> None:
    """Draw the trials of a network, and the mean of each rate at which all of them passed."""
    passed = trials[trials["updates_to_90"].notna()]
    axes.plot(passed["learning_rate"], passed["updates_to_90"], **_dots(drawn, alpha=0.35))
    missed = trials[trials["updates_to_90"].isna()]
    axes.plot(missed["learning_rate"], [missed_at] * len(missed), "x", color=drawn.colour, markersize=4)
    of_rate = np.log(trials.set_index("learning_rate")["updates_to_90"]).groupby(level=0)
    means = np.exp(of_rate.mean()).where(of_rate.apply(lambda logs: logs.notna().all()))
    axes.plot(means.index, means, color=drawn.colour, linestyle=drawn.line_style, label=label)
    best = means[means.index == trials.loc[trials["chosen"], "learning_rate"].iloc[0]]
    axes.plot(best.index, best, "o", color=drawn.colour, markersize=10, fillstyle="none")


def _dots(drawn: NetworkStyle, alpha: float) -> dict[str, Any]:
    return {"color": drawn.colour, "marker": drawn.marker, "linestyle": "none", "markersize": 2.5, "alpha": alpha}


def _scale(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("learning rate")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
        axis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
