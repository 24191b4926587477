"""Made-up tables for the tests of measures."""

from typing import Any

import pandas as pd

from bnpipe.analysis.measures.sources import VALUE_COLUMNS, Sources

CONDITIONS = {
    "plain": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
    "rectified": {"activation": "relu", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
    "wide": {"activation": "tanh", "learning_rate": 0.01, "init_std": 1.0, "steps": 5000},
}


def sources(name: str, columns: str, rows: list[tuple[Any, ...]], **others: pd.DataFrame) -> Sources:
    """Return a table of these rows; columns: their names, apart by spaces."""
    return Sources({name: pd.DataFrame(rows, columns=columns.split()), **others}, CONDITIONS)


def trials(*entrants: str, inside: bool = True) -> pd.DataFrame:
    """Return the trials of entrants: whether the best rate of each is well inside its grid."""
    return pd.DataFrame({"entrant": entrants, "inside": inside})


def values(found: pd.DataFrame) -> dict[int, float]:
    """Return the values of a measure by seed."""
    assert list(found.columns) == VALUE_COLUMNS
    return dict(zip(found["seed"], found["value"], strict=True))


def censored(found: pd.DataFrame) -> dict[int, str]:
    """Return what is known of the values of a measure, by seed."""
    return dict(zip(found["seed"], found["censored"], strict=True))
