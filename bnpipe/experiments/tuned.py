"""The learning rate that the tuning of an arm has chosen."""

from pathlib import Path

from bnpipe.core.csv_files import read_table
from bnpipe.core.errors import InputError

REMEDY = "delete it, and the workflow will make it again"


def best_rate(tuning: Path) -> float:
    """Return the learning rate that is chosen in the table of one arm's tuning.

    tuning: a table with the columns `learning_rate` and `chosen` (bool); each rate has a row for each tuning seed.
    Raises InputError if the table lacks one of them, or if it does not choose exactly one rate.
    """
    table = read_table(tuning)
    if not {"learning_rate", "chosen"} <= {*table.columns}:
        raise InputError(f"{tuning}: expected the columns learning_rate and chosen; {REMEDY}")
    rates = table.loc[table["chosen"].astype(str) == "True", "learning_rate"].unique()
    if len(rates) != 1:
        found = ", ".join(f"{rate:g}" for rate in rates) or "none"
        raise InputError(f"{tuning}: expected one chosen learning rate, got {found}; {REMEDY}")
    return float(rates[0])
