"""Accuracies at the end of training, over initializations and learning rates, and how steady they are.

Tables, besides `seed`:

runs                    condition, arm, final_accuracy
initializations         arm, learning_rate, init_std, final_accuracy: the study of this name
tuning                  entrant, inside: see `Sources.tuned`
finals                  entrant, final_accuracy: of runs at the entrant's best learning rate, after all steps
usable_rates            activation, arm, learning_rate, final_accuracy: the study of this name
steadiness              activation, init_std, arm, step, accuracy: the tutorial's tanh, relu and tanh_bad_init again,
                        with at least 40 evaluations on all validation images in the last quarter of the steps
"""

import numpy as np
import pandas as pd

from bnpipe.analysis.curves import LAST_PART, LEAST_EVALUATIONS, detrended_spread
from bnpipe.analysis.measures.sources import (
    DECIMALS,
    PAIR,
    AbsentError,
    Sources,
    by_arm,
    lead,
    log_ratio,
    measured,
    outcome,
)

WITHIN_OF_GOOD_START = 0.05  # the initialization does not matter if batchnorm's accuracies differ by at most this
WITHIN_OF_BEST = 0.01  # largest shortfall from an arm's best final accuracy at which a learning rate is usable


def final(sources: Sources, activation: str, learning_rate: float, init_std: float) -> pd.DataFrame:
    """Take the difference of final accuracies, batchnorm minus vanilla."""
    condition = sources.condition(activation=activation, learning_rate=learning_rate, init_std=init_std)
    return measured(lead(by_arm(sources.rows("runs", "final_accuracy", condition=condition), "final_accuracy")))


def spread_over_initializations(sources: Sources) -> pd.DataFrame:
    """Take the spread of final accuracy over init std at rate 0.01, largest minus smallest, vanilla minus batchnorm."""
    runs = sources.rows("initializations", "init_std", "final_accuracy", learning_rate=0.01)
    if runs["init_std"].nunique() < 2:
        raise AbsentError("init_std")
    accuracies = runs.groupby(["arm", "seed"])["final_accuracy"]
    return measured(-lead(accuracies.max() - accuracies.min()))


def initialization_no_longer_matters(sources: Sources) -> pd.DataFrame:
    """Note whether batchnorm from std 1 ends within 5 points of batchnorm from std 0.1, each at its best rate."""
    entrants = ["tanh-batchnorm-1", "tanh-batchnorm"]
    runs = sources.table("finals", "entrant", "seed", "final_accuracy")
    sources.tuned(*entrants)
    if not {*entrants} <= {*runs["entrant"]}:
        raise AbsentError("finals")
    found = runs[runs["entrant"].isin(entrants)].pivot_table("final_accuracy", "seed", "entrant", dropna=False)
    apart = (found[entrants[0]] - found[entrants[1]]).abs().round(DECIMALS)
    return outcome(apart <= WITHIN_OF_GOOD_START, apart.notna())


def usable_decades(sources: Sources, activation: str) -> pd.DataFrame:
    """Take the difference of the ranges of usable learning rates, batchnorm minus vanilla, in decades.

    A rate is usable if its final accuracy is within 1 point of the best that the arm reaches with this seed at any
    rate. The range is the number of usable rates times the grid step. It is only known to within a step, so the true
    difference and the measured one differ by less than a step. If the smallest effect is two steps, a difference of
    three or more counts as above it, one or less as below it, and two is a tie. If the rate at an end of the grid is
    usable, the range may go on beyond it and is a lower bound.
    """
    runs = sources.rows("usable_rates", "learning_rate", "final_accuracy", activation=activation)
    rates = np.unique(runs["learning_rate"].astype(float))
    if len(rates) < 3:
        raise AbsentError("usable_rates")
    step = round(float(np.median(np.diff(np.log10(rates)))), 2)
    accuracies = runs.pivot_table("final_accuracy", ["arm", "seed"], "learning_rate", dropna=False)
    shortfall = (-accuracies.sub(accuracies.max(axis="columns"), axis="index")).round(DECIMALS)
    usable = shortfall <= WITHIN_OF_BEST
    whole = accuracies.notna().all(axis="columns")
    decades = lead((usable.sum(axis="columns") * step).where(whole))
    goes_on = usable.iloc[:, 0] | usable.iloc[:, -1]
    open_vanilla, open_batchnorm = (goes_on.xs(arm).reindex(decades.index, fill_value=False) for arm in PAIR)
    cases = [open_vanilla & open_batchnorm, open_batchnorm, open_vanilla]
    return measured(decades, np.select(cases, ["both", "above", "below"], ""))


def steadier(sources: Sources, activation: str, init_std: float) -> pd.DataFrame:
    """Take the log ratio of the spreads of accuracy about its trend in the last quarter, vanilla over batchnorm.

    See `detrended_spread`. Raises AbsentError if a run has too few evaluations there.
    """
    curves = sources.rows("steadiness", "step", "accuracy", activation=activation, init_std=init_std)
    late = curves[curves["step"] >= LAST_PART * curves.groupby(["arm", "seed"])["step"].transform("max")]
    if late.groupby(["arm", "seed"]).size().min() < LEAST_EVALUATIONS:
        raise AbsentError("steadiness")
    runs = curves.sort_values("step").groupby(["arm", "seed"])
    spreads = pd.Series({key: detrended_spread(run["step"], run["accuracy"]) for key, run in runs}, dtype=float)
    return measured(log_ratio(spreads.round(DECIMALS).rename_axis(["arm", "seed"])))
