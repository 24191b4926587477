"""Tidy tables from run records: one row for each observation, rows sorted, columns in a fixed order.

accuracy    one row for each evaluation of a run
layers      one row for each layer at an evaluation of a run
runs        one row for each run
summary     one row for each condition and arm: a summary of the final accuracies of its runs
comparison  one row for each pair: a run and the baseline's run with the same condition and seed
origins     one row for each run record: the data, code, device and versions that made it
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.analysis.autopsy import autopsies
from bnpipe.analysis.stats import estimate_mean
from bnpipe.core.csv_files import RUN_KEYS, write_table
from bnpipe.core.errors import InputError
from bnpipe.core.records import TRAINING_SET, Record, read_record
from bnpipe.core.settings import THRESHOLD

LOSS_WINDOW = 60  # the final training loss is averaged over this many last mini-batches

PROBE_ACCURACIES = ["moving_accuracy", "population_accuracy"]
ACCURACY_COLUMNS = [*RUN_KEYS, "step", "accuracy", "loss", *PROBE_ACCURACIES, *TRAINING_SET]
LAYER_COLUMNS = [
    *RUN_KEYS,
    "step",
    "layer",
    "z_rms",
    "saturated",
    "dead",
    "delta_rms",
    "weight_norm",
    "update_ratio",
    "effective_rate",
    "gamma_mean",
    "gamma_std",
    "beta_mean",
    "beta_std",
]
RUN_COLUMNS = [
    *RUN_KEYS,
    "final_accuracy",
    "best_accuracy",
    "test_accuracy",
    "area_under_curve",
    "steps_to_90",
    "first_nonfinite_step",
    "final_training_loss",
    "state",
    "first_bad_step",
    "first_bad_layer",
    "first_bad_place",
    "record",
]
SUMMARY_COLUMNS = [
    "condition",
    "arm",
    "n",
    "diverged",
    "mean",
    "standard_deviation",
    "low",
    "high",
    "test_mean",
    "test_standard_deviation",
    "test_low",
    "test_high",
]
COMPARISON_COLUMNS = [
    *RUN_KEYS,
    "baseline",
    "final_accuracy",
    "baseline_final_accuracy",
    "difference",
    "diverged",
    "n",
    "n_diverged",
    "mean_difference",
    "low",
    "high",
]
LIBRARIES = ["python", "numba", "numpy", "scipy", "torch"]  # an engine uses some of them; the others are left empty
ORIGIN_COLUMNS = ["record", "dataset", "dataset_sha256", "code_sha256", "device", *LIBRARIES]


def evaluations_of(record: Record) -> pd.DataFrame:
    """Return every evaluation of a record's runs; columns ACCURACY_COLUMNS, empty if not measured.

    A run has rows up to its own end. `accuracy` and `loss` are taken on all validation images,
    `moving_accuracy` and `population_accuracy` on a few of them (see `bnpipe.training.diagnostics.diagnose`), and
    `training_set_...` on training images.
    """
    curves = record.curves
    runs, evaluations = curves.accuracy.shape
    measured: dict[str, NDArray[Any] | None] = {"accuracy": curves.accuracy, "loss": curves.loss}
    measured |= {name: curves.diagnostics.get(name) for name in PROBE_ACCURACIES}
    measured |= {name: getattr(curves, name) for name in TRAINING_SET}
    table = pd.DataFrame(
        {
            "condition": record.condition,
            "arm": record.arm,
            "seed": curves.seeds.repeat(evaluations),
            "step": np.tile(curves.steps, runs),
            **{name: np.nan if values is None else values.reshape(-1) for name, values in measured.items()},
        }
    )
    return table[curves.evaluated.ravel()]


def layers_of(record: Record) -> pd.DataFrame:
    """Return what was measured in every layer of the runs of a record; columns LAYER_COLUMNS, layers counted from 1.

    The quantities are those of `bnpipe.training.diagnostics.diagnose`. Without diagnostics the table is empty.
    """
    curves = record.curves
    if not curves.diagnostics:
        return pd.DataFrame(columns=LAYER_COLUMNS)
    layers = curves.diagnostics["z_rms"].shape[2]
    seed, step, layer = np.meshgrid(curves.seeds, curves.steps, np.arange(1, layers + 1), indexing="ij")
    keys = {"condition": record.condition, "arm": record.arm, "seed": seed.ravel()}
    places = {"step": step.ravel(), "layer": layer.ravel()}
    seen = {name: values.ravel() for name, values in curves.diagnostics.items() if name in LAYER_COLUMNS}
    return pd.DataFrame({**keys, **places, **seen})[LAYER_COLUMNS][curves.evaluated.ravel().repeat(layers)]


def runs_of(record: Record, name: str) -> pd.DataFrame:
    """Describe the runs of a record, one in each row; columns RUN_COLUMNS. name: the record file's.

    `final_accuracy` and `best_accuracy` are validation accuracies; `test_accuracy` is taken after the run's last step.
    `area_under_curve` is the mean of the validation curve over steps (trapezoids). `steps_to_90` is the first
    evaluated step with an accuracy of at least 0.9, empty if there is none; `first_nonfinite_step` is the first step
    whose training loss is not finite, empty if all are. `final_training_loss` is the mean over the last 60
    mini-batches. `state` to `first_bad_place` are the findings of `bnpipe.analysis.autopsy.autopsies`.
    """
    curves = record.curves
    reached = curves.accuracy >= THRESHOLD
    lengths = curves.evaluated.sum(axis=1)
    ended = [accuracy[:length] for accuracy, length in zip(curves.accuracy, lengths, strict=True)]
    losses = [loss[:taken] for loss, taken in zip(curves.training_loss, curves.steps_taken, strict=True)]
    nonfinite = curves.first_nonfinite_step
    findings = autopsies(curves)
    return pd.DataFrame(
        {
            "condition": record.condition,
            "arm": record.arm,
            "seed": curves.seeds,
            "final_accuracy": [accuracy[-1] for accuracy in ended],
            "best_accuracy": [accuracy.max() for accuracy in ended],
            "test_accuracy": curves.test_accuracy,
            "area_under_curve": [_mean_over_steps(accuracy, curves.steps[: len(accuracy)]) for accuracy in ended],
            "steps_to_90": _whole_numbers(curves.steps[reached.argmax(axis=1)], known=np.asarray(reached.any(axis=1))),
            "first_nonfinite_step": _whole_numbers(nonfinite, known=nonfinite >= 0),
            "final_training_loss": [loss[-LOSS_WINDOW:].mean(dtype=np.float64) for loss in losses],
            "state": [finding.state for finding in findings],
            "first_bad_step": pd.array([finding.step for finding in findings], dtype="Int64"),
            "first_bad_layer": pd.array([finding.layer for finding in findings], dtype="Int64"),
            "first_bad_place": [finding.place for finding in findings],
            "record": name,
        }
    )


def origin_of(record: Record, name: str) -> pd.DataFrame:
    """Say in one row where a record comes from; columns ORIGIN_COLUMNS. name: the record file's."""
    origin = asdict(record.origin)
    return pd.DataFrame([{"record": name, **origin, **origin["versions"]}], columns=ORIGIN_COLUMNS)


def accuracy_table(evaluations: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Combine the evaluations of all records, sorted by run and step; columns ACCURACY_COLUMNS."""
    return pd.concat(evaluations).sort_values([*RUN_KEYS, "step"])


def summary_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Summarize each condition and arm; columns SUMMARY_COLUMNS.

    `mean` to `high` (the 95% interval of the mean) describe the final validation accuracy, `test_...` the test
    accuracy. All are taken over the runs that stayed finite or, if none did, over the diverged ones.
    """
    rows = []
    for (condition, arm), group in runs.groupby(["condition", "arm"]):
        diverged = group["first_nonfinite_step"].notna()
        kept = group[rows_to_average(diverged)]
        statistics = (*estimate_mean(kept["final_accuracy"]), *estimate_mean(kept["test_accuracy"]))
        rows.append((condition, arm, len(group), diverged.sum(), *statistics))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def comparison_table(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Pair each run with the baseline's run of the same condition and seed; columns COMPARISON_COLUMNS.

    `difference` is the final accuracy minus the baseline's; `diverged` says whether either run did. `n`, `n_diverged`,
    `mean_difference` and its 95% interval, `low` to `high`, describe all pairs of the condition and arm and are
    repeated in each of their rows; the mean is taken over the pairs that stayed finite or, if none did, over the
    diverged ones.
    """
    runs = runs[[*RUN_KEYS, "final_accuracy"]].assign(diverged=runs["first_nonfinite_step"].notna())
    pairs = runs[runs["arm"] != baseline].merge(
        runs[runs["arm"] == baseline].drop(columns="arm"),
        on=["condition", "seed"],
        suffixes=("", "_of_baseline"),
    )
    pairs["baseline"] = baseline
    pairs["baseline_final_accuracy"] = pairs["final_accuracy_of_baseline"]
    pairs["difference"] = pairs["final_accuracy"] - pairs["baseline_final_accuracy"]
    pairs["diverged"] |= pairs["diverged_of_baseline"]
    means = []
    for (condition, arm), group in pairs.groupby(["condition", "arm"]):
        mean, _, low, high = estimate_mean(group["difference"][rows_to_average(group["diverged"])])
        means.append((condition, arm, len(group), group["diverged"].sum(), mean, low, high))
    columns = ["condition", "arm", "n", "n_diverged", "mean_difference", "low", "high"]
    pairs = pairs.merge(pd.DataFrame(means, columns=columns), on=["condition", "arm"])
    return pairs[COMPARISON_COLUMNS].sort_values(RUN_KEYS)


def with_divergence(accuracy: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Add a column to the rows of `accuracy` that says whether the run diverged, according to `runs`."""
    diverged = runs[RUN_KEYS].assign(diverged=runs["first_nonfinite_step"].notna())
    return accuracy.merge(diverged, on=RUN_KEYS)


def make_tables(
    records: Sequence[Path],
    conditions: Sequence[str],
    arms: Sequence[str],
    seeds: Sequence[int],
    **tables: Path,
) -> None:
    """Write the tables `accuracy`, `layers`, `runs`, `summary`, `comparison` and `origins`.

    tables: the file of each, in the folder `tables` of the results; records are named by their paths below the results.
    The records must hold every run of the grid conditions x arms x seeds exactly once, all trained on the same data.
    The first arm is the baseline of the comparison. Raises InputError, naming the runs or records, if they do not.
    """
    results = tables["runs"].parents[1]
    evaluations, layers, runs, origins = [], [], [], []
    for path in records:
        record, name = read_record(path), path.relative_to(results).as_posix()
        evaluations.append(evaluations_of(record))
        layers.append(layers_of(record))
        runs.append(runs_of(record, name))
        origins.append(origin_of(record, name))
    all_runs = pd.concat(runs).sort_values(RUN_KEYS)
    check_complete(all_runs, product(conditions, arms, seeds))
    all_origins = pd.concat(origins).sort_values("record")
    check_one_dataset(all_origins)
    write_table(accuracy_table(evaluations), tables["accuracy"])
    write_table(pd.concat(layers).sort_values([*RUN_KEYS, "step", "layer"]), tables["layers"])
    write_table(all_runs, tables["runs"])
    write_table(all_origins, tables["origins"])
    write_table(summary_table(all_runs), tables["summary"])
    write_table(comparison_table(all_runs, baseline=arms[0]), tables["comparison"])


def check_complete(runs: pd.DataFrame, expected: Iterable[tuple[str, str, int]]) -> None:
    """Raise InputError, naming up to ten runs, if runs are missing, appear twice or were not asked for."""
    found = Counter(runs[RUN_KEYS].itertuples(index=False, name=None))
    wanted = set(expected)
    faults = {
        "missing": sorted(wanted - found.keys()),
        "not asked for": sorted(found.keys() - wanted),
        "twice": sorted(run for run, times in found.items() if times > 1),
    }
    for fault, named in faults.items():
        if named:
            names = ", ".join(f"{condition}/{arm} seed {seed}" for condition, arm, seed in named[:10])
            more = f" and {len(named) - 10} more" if len(named) > 10 else ""
            raise InputError(
                f"tables: expected every run of the grid once, got runs {fault}: {names}{more}; run the workflow again"
            )


def check_one_dataset(origins: pd.DataFrame) -> None:
    """Raise InputError, naming one record for each data set, if records were trained on different data."""
    first_of_each = origins.drop_duplicates("dataset_sha256")
    if len(first_of_each) > 1:
        records = ", ".join(first_of_each["record"])
        raise InputError(
            f"tables: expected runs on the same data, got runs on different data: {records}; "
            "delete the records of one data set and run the workflow again"
        )


def rows_to_average(diverged: pd.Series) -> pd.Series:
    """Choose the rows to average: the finite ones or, if there are none, the diverged ones; never both together."""
    return diverged if diverged.all() else ~diverged


def _mean_over_steps(values: NDArray[np.float64], steps: NDArray[np.int64]) -> float:
    """Return the mean over steps of a curve (evaluations,) that is linear between evaluations."""
    if len(steps) == 1:
        return float(values[0])
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))


def _whole_numbers(values: NDArray[np.int64], known: NDArray[np.bool_]) -> pd.Series:
    """Return values (runs,) as whole numbers, empty if they are not known."""
    return pd.Series(values, dtype="Int64").where(pd.Series(known))
