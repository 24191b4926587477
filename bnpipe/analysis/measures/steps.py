"""How many updates, or how much time, a network needs to reach 90% validation accuracy.

A network that never gets there needs more updates than it made, and that number is a lower bound. If it is the slower
one of a ratio, the true ratio is larger ("above"); if it is the faster one, the true ratio is smaller ("below").

Tables, besides `seed`:

accuracy    condition, arm, step, accuracy
step_time   activation, arm, process, seconds: of a training step of one network, measured in several processes
best_rate   entrant, step, accuracy: runs at the entrant's best learning rate; they may end once 90% is passed
tuning      entrant, inside: see `Sources.tuned`
transfers   activation, arm, step, accuracy: the study of this name, with vanilla, batchnorm, firstbatch, noisybatchnorm
"""

import numpy as np
import pandas as pd

from bnpipe.analysis.curves import updates_of_runs
from bnpipe.analysis.measures.sources import PAIR, AbsentError, Sources, logarithms, measured
from bnpipe.analysis.verdicts import median_ranks

LEAST_PROCESSES = 6  # with fewer, no interval of their median covers it in 95% of cases


def at_the_fixed_rate(sources: Sources, activation: str) -> pd.DataFrame:
    """Take the log ratio of updates to 90%, vanilla over batchnorm, at the tutorial's rate and initialization."""
    condition = sources.condition(activation=activation, learning_rate=0.01, init_std=0.1)
    curves = sources.rows("accuracy", "step", "accuracy", condition=condition)
    return ratio(updates_of(curves, "arm"), *PAIR)


def time_at_the_fixed_rate(sources: Sources, activation: str) -> pd.DataFrame:
    """Take the values of `at_the_fixed_rate` minus the log ratio of step times; see `step_time_ratio`."""
    steps = at_the_fixed_rate(sources, activation)
    return steps.assign(value=steps["value"] - step_time_ratio(sources, activation))


def step_time_ratio(sources: Sources, activation: str) -> float:
    """Return the log ratio of the times of a step, batchnorm over vanilla, at the end that is worse for the claim.

    Each process gives a ratio of medians. The result is the higher end of the interval of the median over processes
    (`median_ranks`). Raises AbsentError if there are fewer than six processes.
    """
    times = sources.table("step_time", "activation", "arm", "process", "seconds")
    times = times[(times["activation"] == activation) & times["arm"].isin(PAIR)]
    medians = times.pivot_table("seconds", "process", "arm", aggfunc="median")
    if {*medians.columns} != {*PAIR} or len(medians) < LEAST_PROCESSES:
        raise AbsentError("step_time")
    ratios = np.sort(np.log(medians["batchnorm"] / medians["vanilla"]))
    _, high, _ = median_ranks(len(ratios))
    return float(ratios[high - 1])


def at_the_best_rates(sources: Sources, slower: str, faster: str) -> pd.DataFrame:
    """Take the log ratio of updates to 90% of two entrants, each at its own best learning rate."""
    curves = sources.table("best_rate", "entrant", "seed", "step", "accuracy")
    sources.tuned(slower, faster)
    if not {slower, faster} <= {*curves["entrant"]}:
        raise AbsentError("best_rate")
    return ratio(updates_of(curves[curves["entrant"].isin([slower, faster])], "entrant"), slower, faster)


def noisy(sources: Sources) -> pd.DataFrame:
    """Take the log ratio of updates to 90%, vanilla over batchnorm followed by noise."""
    arms = ("vanilla", "noisybatchnorm")
    return ratio(updates_of(sources.rows("transfers", "step", "accuracy", arms=arms, activation="tanh"), "arm"), *arms)


def recovered_by_first_batch(sources: Sources) -> pd.DataFrame:
    """Take the share of batchnorm's gain in updates that normalizing the first batch alone recovers.

    With v, b and f updates of vanilla, batchnorm and firstbatch it is (v - f) / (v - b). It is unknown if batchnorm
    gains nothing. If v is a lower bound, so is the share, because it tends to 1 from below as v grows; a share above 1
    tends to 1 from above, and 1 is then the bound. If f is a lower bound, the share is an upper bound.
    """
    arms = (*PAIR, "firstbatch")
    runs = updates_of(sources.rows("transfers", "step", "accuracy", arms=arms, activation="tanh"), "arm")
    v, b, f = (_known(runs, arm) for arm in arms)
    open_v, open_b, open_f = (_open_ended(runs, arm) for arm in arms)
    share = ((v - f) / (v - b)).where(v > b)
    share = share.where(~open_v, share.clip(upper=1))
    nothing = open_b | (open_v & open_f)
    censored = np.select([nothing, open_v, open_f], ["both", "above", "below"], "")
    return measured(share.mask(nothing), censored)


def updates_of(curves: pd.DataFrame, of: str) -> pd.DataFrame:
    """Return `updates` to 90% of every run, empty if it never gets there, and its `budget`: all updates it made.

    curves: columns `of`, seed, step, accuracy. of: the column that names networks. The index is `of` and seed.
    """
    runs = updates_of_runs(curves.sort_values("step"), [of, "seed"]).set_index([of, "seed"])
    budgets = curves.groupby([of, "seed"])["step"].max() + 1.0
    return budgets.to_frame("budget").assign(updates=runs["updates_to_90"])


def ratio(runs: pd.DataFrame, slower: str, faster: str) -> pd.DataFrame:
    """Take the log ratio of updates of two kinds of networks. runs: as `updates_of` returns them."""
    open_slower, open_faster = (_open_ended(runs, each) for each in (slower, faster))
    both = open_slower & open_faster
    values = logarithms(_known(runs, slower)) - logarithms(_known(runs, faster))
    return measured(values.mask(both), np.select([both, open_slower, open_faster], ["both", "above", "below"], ""))


def _known(runs: pd.DataFrame, which: str) -> "pd.Series[float]":
    """Return updates to 90% by seed, or all updates made if it was never reached; unknown if there is no such run."""
    of = runs.xs(which).reindex(runs.index.unique("seed"))
    return of["updates"].fillna(of["budget"])


def _open_ended(runs: pd.DataFrame, which: str) -> "pd.Series[bool]":
    """Return, by seed, whether there is a run and it never reached 90%."""
    of = runs.xs(which).reindex(runs.index.unique("seed"))
    return of["updates"].isna() & of["budget"].notna()
