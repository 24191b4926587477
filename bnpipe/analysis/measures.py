"""How claims are measured: from tables, a value for each pair of runs, oriented so that a larger one favours the claim.

Every measure is a function that returns the columns PAIR_COLUMNS, one row for each seed: `pair` is the seed, `value`
the pair's value, empty if it is not known, and `diverged` says whether a run of the pair did. A condition is found by
its settings, not by its name. Any of the tables may be missing. Their columns besides condition, arm and seed are:

accuracy                step, accuracy, moving_accuracy, population_accuracy
runs                    final_accuracy, steps_to_90, first_nonfinite_step, state
initialization          gradient_slope, orthogonality_gap: one row for each network
inference               step, statistics, accuracy: of a batch-normalized network per seed, without condition and arm
covariate_shift         relative_change
step_time               activation, seconds: of a training step, without condition and seed
learning_rate_and_init  learning_rate, init_std, final_accuracy, best_accuracy, first_nonfinite_step, without condition
scale_equivalence       relative_difference: of the weights of a seed's two trainings, without condition and arm
regularization          training_images, normalize_logits, gap: of a run of each kind, without condition
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bnpipe.core.settings import THRESHOLD

PAIR_COLUMNS = ["pair", "value", "diverged"]
PAIR = ("vanilla", "batchnorm")
USUAL_SETTINGS = {"activation", "learning_rate", "init_std", "steps"}  # a condition that sets others is not meant
STEADY_ACCURACY = 0.8  # below it a curve is still climbing, and its volatility says little
EARLY_STEP = 60  # by then 46% of the moving averages comes from batches, the rest from their initial values
SAME_WEIGHTS = 1e-12  # relative difference up to which weights count as the same, in double precision


class AbsentError(LookupError):
    """A table, column, condition or arm that a claim needs is not there."""


@dataclass(frozen=True)
class Sources:
    """What is measured."""

    tables: Mapping[str, pd.DataFrame]
    conditions: Mapping[str, Mapping[str, Any]]  # settings of each condition of the tables, by its name

    def table(self, name: str, *columns: str) -> pd.DataFrame:
        """Return a table. Raises AbsentError if the table or one of the columns is not there."""
        table = self.tables.get(name)
        if table is None or not {*columns} <= {*table.columns}:
            raise AbsentError(name)
        return table

    def rows(self, name: str, *columns: str, arms: Sequence[str] = PAIR, condition: str | None = None) -> pd.DataFrame:
        """Return the rows of some arms, and of a condition. Raises AbsentError like `table`, and if an arm has none."""
        rows = self.table(name, "arm", *columns)
        if condition is not None:
            rows = rows[self.table(name, "condition")["condition"] == condition]
        rows = rows[rows["arm"].isin(arms)]
        if {*rows["arm"]} != {*arms}:
            raise AbsentError(name)
        return rows

    def condition(self, **settings: Any) -> str:
        """Return the name of the first condition that has these settings and sets nothing unusual besides.

        Raises AbsentError if there is none.
        """
        for name, found in self.conditions.items():
            if settings.items() <= found.items() and found.keys() <= USUAL_SETTINGS:
                return name
        raise AbsentError(str(settings))


def updates_to_90(sources: Sources, activation: str) -> pd.DataFrame:
    """Take the log ratio of updates to 90%, vanilla over batchnorm; a run that never gets there counts all its steps.

    The value of a pair is not known if neither run gets there.
    """
    condition = sources.condition(activation=activation, learning_rate=0.01, init_std=0.1)
    runs = sources.rows("runs", "seed", "steps_to_90", "first_nonfinite_step", condition=condition)
    reached = by_arm(runs, "steps_to_90")
    updates = (reached + 1).fillna(sources.conditions[condition]["steps"])  # steps count from 0
    return pairs_of(log_ratio(updates).mask(reached.isna().groupby("seed").all()), runs)


def time_to_90(sources: Sources, activation: str) -> pd.DataFrame:
    """Take the log ratio of times to 90%: of updates, plus that of the arms' median step times, equal for all pairs."""
    steps = updates_to_90(sources, activation)
    times = sources.rows("step_time", "activation", "seconds")
    medians = times[times["activation"] == activation].groupby("arm")["seconds"].median()
    if {*medians.index} != {*PAIR}:
        raise AbsentError("step_time")
    return steps.assign(value=steps["value"] + np.log(medians["vanilla"] / medians["batchnorm"]))


def final_accuracy(sources: Sources, **settings: Any) -> pd.DataFrame:
    """Take the difference of final accuracies, batchnorm minus vanilla."""
    columns = ("seed", "final_accuracy", "first_nonfinite_step")
    runs = sources.rows("runs", *columns, condition=sources.condition(**settings))
    return pairs_of(difference(by_arm(runs, "final_accuracy")), runs)


def weights_differ(sources: Sources) -> pd.DataFrame:
    """Note whether two trainings that differ only in units end with different weights: 1 if they do, 0 if not."""
    differences = sources.table("scale_equivalence", "seed", "relative_difference").set_index("seed")
    return pairs_of((differences["relative_difference"] > SAME_WEIGHTS).astype(float))


def largest_learning_rate(sources: Sources) -> pd.DataFrame:
    """Take the log10 ratio of the largest rates at which a run stays finite and passes 90%, batchnorm over vanilla.

    If there is no such rate, one grid step below the smallest rate is taken.
    """
    columns = ("seed", "learning_rate", "init_std", "best_accuracy", "first_nonfinite_step")
    runs = sources.rows("learning_rate_and_init", *columns)
    runs = runs[runs["init_std"] == 0.1]
    rates = np.unique(runs["learning_rate"])
    if len(rates) < 2:
        raise AbsentError("learning_rate")
    usable = (runs["best_accuracy"] >= THRESHOLD) & runs["first_nonfinite_step"].isna()
    largest = runs["learning_rate"].where(usable).groupby([runs["arm"], runs["seed"]]).max()
    return pairs_of(-log_ratio(largest.fillna(rates[0] ** 2 / rates[1])) / np.log(10))


def accuracy_spread(sources: Sources) -> pd.DataFrame:
    """Take the spread of final accuracy over initializations, largest minus smallest, vanilla minus batchnorm."""
    columns = ("seed", "learning_rate", "init_std", "final_accuracy", "first_nonfinite_step")
    runs = sources.rows("learning_rate_and_init", *columns)
    runs = runs[runs["learning_rate"] == 0.01]
    if runs["init_std"].nunique() < 2:
        raise AbsentError("init_std")
    accuracies = runs.groupby(["arm", "seed"])["final_accuracy"]
    return pairs_of(-difference(accuracies.max() - accuracies.min()), runs)


def accuracy_kept(sources: Sources) -> pd.DataFrame:
    """Take batchnorm's accuracy from weights of std 1 minus that from std 0.1, at the last step that both have."""
    curves, runs = [], []
    for init_std in (0.1, 1):
        name = sources.condition(activation="tanh", learning_rate=0.01, init_std=init_std)
        curves.append(sources.rows("accuracy", "seed", "step", "accuracy", arms=["batchnorm"], condition=name))
        runs.append(sources.rows("runs", "seed", "first_nonfinite_step", arms=["batchnorm"], condition=name))
    step = max({*curves[0]["step"]} & {*curves[1]["step"]})
    good, bad = (curve[curve["step"] == step].set_index("seed")["accuracy"] for curve in curves)
    return pairs_of(bad - good, pd.concat(runs))


def generalization_gap(sources: Sources, all_images: bool, normalize_logits: bool) -> pd.DataFrame:
    """Take the difference of gaps between validation and training loss, vanilla minus batchnorm, in nats.

    all_images: whether to take the runs on all training images or those on few. normalize_logits: the runs' setting.
    """
    rows = sources.rows("regularization", "seed", "training_images", "normalize_logits", "gap")
    on_all = rows["training_images"].astype(str) == "all"
    rows = rows[(on_all == all_images) & (rows["normalize_logits"] == normalize_logits)]
    if rows.empty:
        raise AbsentError("regularization")
    return pairs_of(-difference(by_arm(rows, "gap")))


def volatility(sources: Sources, activation: str, without_lag: bool = False) -> pd.DataFrame:
    """Take the log ratio of the volatilities of the validation curve, vanilla over batchnorm.

    Volatility is the standard deviation of second differences in the last quarter of the curve. The value of a pair is
    not known if an accuracy there is not above 80%. without_lag: infer with the statistics of a fixed probe instead of
    moving averages, which trail behind the weights (on fewer images, for both arms).
    """
    condition = sources.condition(activation=activation, learning_rate=0.01, init_std=0.1)
    if without_lag:
        columns = ("seed", "step", "moving_accuracy", "population_accuracy")
        curves = sources.rows("accuracy", *columns, condition=condition)
        # A vanilla network has no statistics; its accuracy on the same images is in `moving_accuracy`.
        exact = curves["moving_accuracy"].where(curves["arm"] != "batchnorm", curves["population_accuracy"])
        curves = curves.assign(accuracy=exact)
    else:
        curves = sources.rows("accuracy", "seed", "step", "accuracy", condition=condition)
    curves = curves.sort_values("step")
    late = curves[curves["step"] >= 0.75 * curves["step"].max()].groupby(["arm", "seed"])["accuracy"]
    deviations = late.agg(lambda accuracy: accuracy.diff().diff().std())
    return pairs_of(log_ratio(deviations.where(late.min() > STEADY_ACCURACY)))


def dead_units(sources: Sources) -> pd.DataFrame:
    """Note whether a vanilla relu network that starts from std 1 ends with a dead layer: 1 if it does, 0 if not."""
    condition = sources.condition(activation="relu", learning_rate=0.01, init_std=1)
    runs = sources.rows("runs", "seed", "state", arms=["vanilla"], condition=condition).set_index("seed")
    return pairs_of((runs["state"] == "dead").astype(float).where(runs["state"] != "unknown"))


def gradient_growth(sources: Sources, activation: str) -> pd.DataFrame:
    """Take minus the size of the slope of the log squared gradient per layer of batchnorm, at initialization."""
    condition = sources.condition(activation=activation, init_std=0.1)
    networks = sources.rows("initialization", "seed", "gradient_slope", arms=["batchnorm"], condition=condition)
    return pairs_of(-networks.set_index("seed")["gradient_slope"].abs())


def orthogonality(sources: Sources, **settings: Any) -> pd.DataFrame:
    """Take the difference of orthogonality gaps at initialization, vanilla minus batchnorm."""
    condition = sources.condition(**settings)
    networks = sources.rows("initialization", "seed", "orthogonality_gap", condition=condition)
    return pairs_of(-difference(by_arm(networks, "orthogonality_gap")))


def covariate_shift(sources: Sources, activation: str) -> pd.DataFrame:
    """Take the log ratio of the mean relative changes of a layer's gradient, vanilla over batchnorm."""
    condition = sources.condition(activation=activation, learning_rate=0.01, init_std=0.1)
    changes = sources.rows("covariate_shift", "seed", "relative_change", condition=condition)
    return pairs_of(log_ratio(changes.groupby(["arm", "seed"])["relative_change"].mean()))


def inference_accuracy(sources: Sources, last: bool) -> pd.DataFrame:
    """Take minus the size of the difference in accuracy between moving averages and population statistics.

    last: whether at the last step, or at the last one up to step 60.
    """
    accuracy = sources.table("inference", "seed", "step", "statistics", "accuracy")
    steps = accuracy["step"] if last else accuracy["step"][accuracy["step"] <= EARLY_STEP]
    at_step = accuracy[accuracy["step"] == steps.max()].set_index("seed")
    of = {name: at_step["accuracy"][at_step["statistics"] == name] for name in ("moving_biased", "population")}
    return pairs_of(-(of["moving_biased"] - of["population"]).abs())


def by_arm(rows: pd.DataFrame, column: str) -> "pd.Series[float]":
    """Return a column of rows, of which there is one for each arm and seed, indexed by arm and seed."""
    return rows.set_index(["arm", "seed"])[column].astype(float)


def difference(values: "pd.Series[float]") -> "pd.Series[float]":
    """Return batchnorm's minus vanilla's values. values: indexed by arm and seed; the result: by seed."""
    return values.xs("batchnorm") - values.xs("vanilla")


def log_ratio(values: "pd.Series[float]") -> "pd.Series[float]":
    """Return the log of vanilla's over batchnorm's values, not known for 0 over 0. values: as in `difference`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return -difference(values.map(np.log))


def pairs_of(values: "pd.Series[float]", runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Lay out values, indexed by seed, as a table. runs: the runs of the pairs; None if they cannot have diverged."""
    diverged = False if runs is None else runs["first_nonfinite_step"].notna().groupby(runs["seed"]).any()
    return pd.DataFrame({"value": values, "diverged": diverged}).rename_axis("pair").reset_index()
