"""Tidy tables of a study: those of the default grid, with the swept values as columns instead of a condition.

accuracy    one row an evaluation of a run
runs        one row a run
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from bnpipe.records import Record, read_record
from bnpipe.tables import check_one_dataset, evaluations_of, origin_of, runs_of, write_table


def make_study_tables(
    records: Sequence[Path], swept: Sequence[str], relative_to: Path, accuracy: Path, runs: Path
) -> None:
    """Write accuracy.csv and runs.csv of a study.

    swept: names of the settings that differ between its conditions; they become columns, the first ones.
    Raises InputError, naming the records, where these cannot be read or were trained on different data.
    """
    read = [(read_record(path), path.relative_to(relative_to).as_posix()) for path in records]
    check_one_dataset(pd.concat([origin_of(record, name) for record, name in read]))
    all_runs = pd.concat([_with_swept(runs_of(record, name), record, swept) for record, name in read])
    evaluations = pd.concat([_with_swept(evaluations_of(record), record, swept) for record, _ in read])
    # Records and the runs in them stand in the order of the configuration: by arm, by swept value, by seed.
    write_table(all_runs, runs)
    write_table(evaluations.dropna(axis="columns", how="all"), accuracy)


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
        return " + ".join(f"{len(list(alike))} x {width}" for width, alike in groupby(value))
    return value
