"""What measures read and what they return.

A measure returns the columns VALUE_COLUMNS, one row for each seed that was tried. `value` is empty if it is not known.
`censored` says what is known of the true value: "" the value itself, "above" that it is at least `value`, "below" that
it is at most `value`, "both" nothing. A condition is found by its settings, not by its name. No measure leaves a seed
out because of what its networks did: a diverged network has the accuracy that argmax gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

VALUE_COLUMNS = ["seed", "value", "censored"]
PAIR = ("vanilla", "batchnorm")
USUAL_SETTINGS = {"activation", "learning_rate", "init_std", "steps"}  # claims are not about conditions that set others
DECIMALS = 9  # of differences that are compared with a limit: tables hold nine digits


class AbsentError(LookupError):
    """A table, column, condition or arm that a claim needs is not there."""


@dataclass(frozen=True)
class Sources:
    """The tables and conditions that claims are measured from."""

    tables: Mapping[str, pd.DataFrame]
    conditions: Mapping[str, Mapping[str, Any]]  # settings of each condition of the tables, by its name

    def table(self, name: str, *columns: str) -> pd.DataFrame:
        """Return a table. Raises AbsentError if the table or one of the columns is not there."""
        table = self.tables.get(name)
        if table is None or not {*columns} <= {*table.columns}:
            raise AbsentError(name)
        return table

    def rows(self, name: str, *columns: str, arms: Sequence[str] = PAIR, **keys: object) -> pd.DataFrame:
        """Return the rows of some arms in which columns have given values.

        columns: further columns that must be there; `arm` and `seed` always must. keys: the value of each column; a
        float also matches its text. Raises AbsentError like `table`, or if an arm has no such row.
        """
        rows = self.table(name, "arm", "seed", *columns, *keys)
        for column, value in keys.items():
            found = rows[column]
            rows = rows[pd.to_numeric(found, errors="coerce") == value if isinstance(value, float) else found == value]
        rows = rows[rows["arm"].isin(arms)]
        if {*rows["arm"]} != {*arms}:
            raise AbsentError(name)
        return rows

    def tuned(self, *entrants: str) -> None:
        """Raise AbsentError unless the best rate of each entrant is known and well inside its grid.

        If the best rate is at the end of its grid, a better one may lie beyond.
        """
        trials = self.table("tuning", "entrant", "inside")
        if not {*entrants} <= {*trials.loc[trials["inside"].astype(bool), "entrant"]}:
            raise AbsentError("tuning")

    def condition(self, **settings: Any) -> str:
        """Return the name of the first condition that has these settings and sets nothing unusual besides.

        Raises AbsentError if there is none.
        """
        for name, found in self.conditions.items():
            if settings.items() <= found.items() and found.keys() <= USUAL_SETTINGS:
                return name
        raise AbsentError(str(settings))


def by_arm(rows: pd.DataFrame, column: str) -> "pd.Series[float]":
    """Return a column of rows, indexed by arm and seed. rows: one for each arm and seed."""
    return rows.set_index(["arm", "seed"])[column].astype(float)


def strict_means(rows: pd.DataFrame, column: str) -> "pd.Series[float]":
    """Return means of a column by arm and seed; a run's mean is unknown if one of its values is.

    Raises AbsentError if there are no rows.
    """
    if rows.empty:
        raise AbsentError(column)
    groups = rows.groupby(["arm", "seed"])[column]
    return groups.mean().where(groups.count() == groups.size())


def lead(values: "pd.Series[float]") -> "pd.Series[float]":
    """Return batchnorm's values minus vanilla's, by seed. values: indexed by arm and seed."""
    return values.xs("batchnorm") - values.xs("vanilla")


def log_ratio(values: "pd.Series[float]") -> "pd.Series[float]":
    """Return the log of vanilla's values over batchnorm's, unknown for 0 over 0. values: as in `lead`."""
    return -lead(logarithms(values))


def logarithms(values: "pd.Series[float]") -> "pd.Series[float]":
    """Return natural logarithms; the logarithm of 0 is minus infinity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return values.map(np.log)


def outcome(holds: "pd.Series[bool]", known: "pd.Series[bool]") -> pd.DataFrame:
    """Lay out an outcome, indexed by seed: 1 if it is as claimed, -1 if not, empty if unknown."""
    return measured((2.0 * holds - 1).where(known))


def measured(values: "pd.Series[float]", censored: Any = "") -> pd.DataFrame:
    """Lay out values, indexed by seed, as a table. censored: one word for all, or one for each in their order."""
    return pd.DataFrame({"value": values, "censored": censored}).rename_axis("seed").reset_index()
