"""Tidy tables of a study: those of the default grid, with the swept values as columns instead of a condition.

accuracy    one row an evaluation of a run
runs        one row a run
summary     one row a combination of swept values and arm: accuracies and states of its runs in short
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from bnpipe.analysis.stats import estimate_mean
from bnpipe.analysis.tables import check_one_dataset, evaluations_of, origin_of, rows_to_average, runs_of
from bnpipe.core.csv_files import write_table
from bnpipe.core.records import Record, read_record

STATES = ["healthy", "saturated", "dead", "overflow"]
SUMMARY_COLUMNS = [
    *("n", "diverged", "mean", "standard_deviation", "low", "high"),
    *(*STATES, "first_bad_step", "first_bad_layer"),
]


def make_study_tables(
    records: Sequence[Path], swept: Sequence[str], relative_to: Path, accuracy: Path, runs: Path, summary: Path
) -> None:
    """Write accuracy.csv, runs.csv and summary.csv of a study.

    swept: names of the settings that differ between its conditions; they become columns, the first ones.
    Raises InputError, naming the records, where these cannot be read or were trained on different data.
    """
    origins, all_runs, evaluations = (
        pd.concat(tables) for tables in zip(*_tables_of(records, swept, relative_to), strict=True)
    )
    check_one_dataset(origins)
    # Records and their runs stand in the order of the configuration: by arm, shapes, seed, learning rate and init std.
    write_table(all_runs, runs)
    write_table(evaluations.dropna(axis="columns", how="all"), accuracy)
    write_table(study_summary_table(all_runs, swept), summary)


def study_summary_table(runs: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """Sum up each combination of swept values and arm, in the order of the runs; their columns and SUMMARY_COLUMNS.

    `mean` to `high` (the 95% interval of the mean) are of the final validation accuracy, over the runs that stayed
    finite, or over the diverged ones where none did; `healthy` to `overflow` count runs; `first_bad_step` and
    `first_bad_layer` are of the run where that was first.
    """
    keys, rows = [*swept, "arm"], []
    for values, group in runs.groupby(keys, sort=False):
        diverged = group["first_nonfinite_step"].notna()
        estimate = estimate_mean(group["final_accuracy"][rows_to_average(diverged)])
        states = [(group["state"] == state).sum() for state in STATES]
        where = ["first_bad_step", "first_bad_layer"]
        first_bad = group[where].sort_values(where).iloc[0]
        rows.append((*values, len(group), diverged.sum(), *estimate, *states, *first_bad))
    return pd.DataFrame(rows, columns=[*keys, *SUMMARY_COLUMNS])


def _tables_of(records: Sequence[Path], swept: Sequence[str], relative_to: Path) -> Iterator[tuple[pd.DataFrame, ...]]:
    """Go through the records, one in memory at a time: the origin of each, its runs and their evaluations."""
    for path in records:
        record, name = read_record(path), path.relative_to(relative_to).as_posix()
        runs, evaluations = runs_of(record, name), evaluations_of(record)
        yield origin_of(record, name), _with_swept(runs, record, swept), _with_swept(evaluations, record, swept)


def _with_swept(rows: pd.DataFrame, record: Record, swept: Sequence[str]) -> pd.DataFrame:
    """Put the swept settings of each run in the place of its condition; rows: of one run after the other."""
    each = len(rows) // len(record.settings)
    values = {
        name: [written(getattr(settings, name)) for settings in record.settings for _ in range(each)] for name in swept
    }
    return pd.concat([pd.DataFrame(values, index=rows.index), rows.drop(columns="condition")], axis="columns")


def written(value: Any) -> Any:
    """Write a setting as a cell of a table and a tick of a figure: layers of one width as 9 x 100, none as all."""
    if value is None:
        return "all"
    if isinstance(value, tuple):
        return " + ".join(f"{len(list(rows_to_average))} x {width}" for width, rows_to_average in groupby(value))
    return value
