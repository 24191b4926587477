"""Write and read tables as CSV files, and name the columns that identify their rows."""

from pathlib import Path

import pandas as pd

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write

RUN_KEYS = ["condition", "arm", "seed"]  # columns that identify a run
ENTRANT_KEYS = ["entrant", "activation", "arm", "init_std", "learning_rate", "seed"]  # in the fair comparison


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV: floats with 9 digits, which preserve single precision; unknown values as empty cells."""
    with atomic_write(path) as partial:
        table.to_csv(partial, index=False, float_format="%.9g", lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """Read one of the tables back. Raises InputError, naming the file, if it cannot be read."""
    try:
        return pd.read_csv(path, dtype={"condition": str, "arm": str, "baseline": str, "claim": str, "censored": str})
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a table ({error}); delete it, and the workflow will make it again") from error
