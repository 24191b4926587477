"""Tidy tables of a study: like those of the default grid, but with the swept values as columns instead of a condition.

accuracy    one row for each evaluation of a run
runs        one row for each run
summary     one row for each combination of swept values and arm: a summary of the accuracies and states of its runs
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.analysis.stats import estimate_mean
from bnpipe.analysis.tables import check_one_dataset, evaluations_of, origin_of, rows_to_average, runs_of
from bnpipe.analysis.words import setting_text
from bnpipe.core.csv_files import write_table
from bnpipe.core.parts import is_own, short_name
from bnpipe.core.records import Record, read_record

STATES = ["healthy", "saturated", "dead", "overflow"]
STUDY_SUMMARY_COLUMNS = [
    "n",
    "diverged",
    "mean",
    "standard_deviation",
    "low",
    "high",
    *STATES,
    "first_bad_step",
    "first_bad_layer",
]
MAP = {"learning_rate", "init_std"}  # a study that sweeps these two is shown as a map


def make_study_tables(records: Sequence[Path], swept: Sequence[str], accuracy: Path, runs: Path, summary: Path) -> None:
    """Write accuracy.csv, runs.csv and summary.csv of a study, in its folder below `studies` of the results.

    swept: the names of the settings that differ between its conditions; they become the first columns. Raises
    InputError, naming the records, if these cannot be read or were trained on different data.
    """
    origins, all_runs, evaluations = (
        pd.concat(tables) for tables in zip(*_tables_of(records, swept, runs.parents[2]), strict=True)
    )
    check_one_dataset(origins)
    # Records and their runs are in the order of the configuration: by arm, shapes, seed, learning rate and init std.
    write_table(all_runs, runs)
    write_table(evaluations.dropna(axis="columns", how="all"), accuracy)
    write_table(study_summary_table(all_runs, swept), summary)


def study_summary_table(runs: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """Summarize each combination of swept values and arm, in the order of the runs.

    Returns the columns of the swept settings, `arm` and STUDY_SUMMARY_COLUMNS. `mean` to `high` (the 95% interval of
    the mean) describe the final validation accuracy of the runs that stayed finite or, if none did, of the diverged
    ones. `healthy` to `overflow` count runs. `first_bad_step` and `first_bad_layer` are those of the run that went
    wrong first.
    """
    keys, rows = [*swept, "arm"], []
    for values, group in runs.groupby(keys, sort=False):
        diverged = group["first_nonfinite_step"].notna()
        estimate = estimate_mean(group["final_accuracy"][rows_to_average(diverged)])
        states = [(group["state"] == state).sum() for state in STATES]
        where = ["first_bad_step", "first_bad_layer"]
        first_bad = group[where].sort_values(where).iloc[0]
        rows.append((*values, len(group), diverged.sum(), *estimate, *states, *first_bad))
    return pd.DataFrame(rows, columns=[*keys, *STUDY_SUMMARY_COLUMNS])


def is_map(runs: pd.DataFrame, swept: Sequence[str]) -> bool:
    """Return whether a study is shown as a map: it sweeps learning rate and init std, and every init std is a number.

    runs: the study's table of this name. swept: the names of the swept settings.
    """
    return set(swept) == MAP and pd.api.types.is_numeric_dtype(runs["init_std"])


def _tables_of(records: Sequence[Path], swept: Sequence[str], relative_to: Path) -> Iterator[tuple[pd.DataFrame, ...]]:
    """Yield the origin of each record, its runs and their evaluations, with one record in memory at a time."""
    for path in records:
        record, name = read_record(path), path.relative_to(relative_to).as_posix()
        runs, evaluations = runs_of(record, name), evaluations_of(record)
        evaluated = record.curves.evaluated.sum(axis=1)
        yield (
            origin_of(record, name),
            _with_swept(runs, record, swept, np.ones_like(evaluated)),
            _with_swept(evaluations, record, swept, evaluated),
        )


def _with_swept(rows: pd.DataFrame, record: Record, swept: Sequence[str], counts: NDArray[np.int64]) -> pd.DataFrame:
    """Replace the condition by the swept settings. rows: run after run. counts: the rows of each run, (runs,)."""
    settings = [own for own, count in zip(record.settings, counts, strict=True) for _ in range(count)]
    values = {name: [_cell(getattr(own, name)) for own in settings] for name in swept}
    return pd.concat([pd.DataFrame(values, index=rows.index), rows.drop(columns="condition")], axis="columns")


def _cell(value: Any) -> Any:
    """Write a setting as a cell of a table; a user's own part is written by its short name."""
    return short_name(value) if isinstance(value, str) and is_own(value) else setting_text(value)
