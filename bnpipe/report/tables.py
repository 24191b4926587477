"""Tables as a page shows them: each cell has a text, and behind it the value for sorting and copying."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from bnpipe.analysis.claim_words import effect_text, evidence_text, threshold_text, worst_text
from bnpipe.analysis.study_tables import STATES
from bnpipe.analysis.words import as_text, four_digits, in_words, percent, points, short, whole

MAX_ROWS = 2_000  # the most that a page shows of a table


class Column(NamedTuple):
    """A column of a table on a page."""

    key: str  # column of the frame with the values for sorting and copying
    title: str
    write: Callable[[Any], str]
    is_text: bool = False  # aligned left
    is_wide: bool = False  # may be broken into lines
    shown: str | None = None  # another column of the frame, whose text is shown instead


class Cell(NamedTuple):
    """A cell: the text that is shown, and the value behind it if that is a different text."""

    text: str
    value: str | None


@dataclass(frozen=True)
class Table:
    """A table on a page."""

    name: str  # its id
    files: Sequence[str]  # its sources, below the folder of results; the first one holds its rows
    rows_are: str  # which rows of that file
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]  # those that are shown
    of: int  # how many rows there are


def _text(title: str, key: str | None = None, *, wide: bool = False) -> Column:
    return Column(key or title, title, as_text, is_text=True, is_wide=wide)


def _runs(title: str, key: str | None = None) -> Column:
    return Column(key or title, title, whole)


ACCURACIES = [
    Column("final_accuracy", "final", percent),
    Column("best_accuracy", "best", percent),
    Column("test_accuracy", "test", percent),
    Column("area_under_curve", "area under curve", percent),
    Column("steps_to_90", "steps to 90%", whole),
    Column("final_training_loss", "final training loss", four_digits),
]
AUTOPSY = [
    _text("state"),
    Column("first_bad_step", "first bad step", whole),
    Column("first_bad_layer", "in layer", whole),
    _text("in its", "first_bad_place"),
]
RUNS = [
    _text("condition"),
    _text("arm"),
    Column("seed", "seed", str),
    *ACCURACIES,
    Column("first_nonfinite_step", "first non-finite step", whole),
    _text("state"),
]
FAILURES = [_text("condition"), _text("arm"), Column("seed", "seed", str), *AUTOPSY, *ACCURACIES[:1]]
SUMMARY = [
    _text("condition"),
    _text("arm"),
    _runs("runs", "n"),
    _runs("diverged"),
    Column("mean", "final validation accuracy", percent),
    Column("low", "95% from", percent),
    Column("high", "to", percent),
    Column("test_mean", "test accuracy", percent),
    Column("test_low", "95% from", percent),
    Column("test_high", "to", percent),
]
COMPARISON = [
    _text("condition"),
    _text("arm"),
    _text("minus", "baseline"),
    _runs("pairs", "n"),
    _runs("with a diverged run", "n_diverged"),
    Column("mean_difference", "mean difference of final accuracy", points),
    Column("low", "95% from", points),
    Column("high", "to", points),
]
CLAIMS = [
    _text("claim"),
    _text("verdict"),
    _text("seeds", "explanation", wide=True),
    _text("measured as", "measure", wide=True),
    _runs("seeds counted", "n"),
    _runs("for it", "above"),
    _runs("against it", "below"),
    Column("median", "median [interval]", str, shown="effect_text"),
    Column("worst", "worst seed", str, shown="worst_text"),
    Column("sesoi", "threshold", str, shown="threshold_text"),
    Column("e_above", "min(1, 1/E) for it", evidence_text),
    Column("e_below", "against it", evidence_text),
]
MECHANICS = [
    Column("unit", "unit", str),
    _text("step", "stage"),
    _text("formula"),
    Column("gamma", "gamma", four_digits),
    Column("beta", "beta", four_digits),
    Column("mean", "mean", four_digits),
    Column("standard_deviation", "standard deviation", four_digits),
]
ORIGINS = [
    _runs("records"),
    _text("device"),
    _text("Python", "python"),
    _text("NumPy", "numpy"),
    _text("numba", "numba"),
    _text("SciPy", "scipy"),
    _text("PyTorch", "torch"),
    Column("dataset_sha256", "data (SHA-256)", short, is_text=True),
    Column("code_sha256", "training code (SHA-256)", short, is_text=True),
]


def study_columns(swept: Sequence[str]) -> list[Column]:
    """Return the columns of a study's summary. swept: the names of its swept settings."""
    return [
        *[_text(in_words(name), name) for name in swept],
        _text("arm"),
        _runs("runs", "n"),
        _runs("diverged"),
        Column("mean", "mean", percent),
        Column("low", "95% from", percent),
        Column("high", "to", percent),
        *map(_runs, STATES),
        Column("first_bad_step", "first bad step", whole),
        Column("first_bad_layer", "in layer", whole),
    ]


def study_run_columns(swept: Sequence[str]) -> list[Column]:
    """Return the columns of a study's runs. swept: the names of its swept settings."""
    settings = [_text(in_words(name), name) for name in swept]
    return [*settings, _text("arm"), Column("seed", "seed", str), *ACCURACIES, *AUTOPSY]


def make_table(
    name: str, frame: pd.DataFrame, columns: Sequence[Column], caption: str, *files: str, rows_are: str = "all rows"
) -> Table:
    """Make a table of these columns from the first MAX_ROWS rows of a frame; see `Table` for the other arguments."""
    rows = [[_cell(column, row) for column in columns] for row in frame.head(MAX_ROWS).to_dict("records")]
    return Table(name, files, rows_are, caption, columns, rows, len(frame))


def in_order(table: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Sort the rows of a table in the order of the conditions, keeping the order within each."""
    places = {name: place for place, name in enumerate(conditions)}
    return table.sort_values("condition", key=lambda names: names.map(places), kind="stable")


def claims_frame(claims: pd.DataFrame) -> pd.DataFrame:
    """Add columns to the table of claims with what a page shows of its rows in words."""
    words = {"effect_text": effect_text, "worst_text": worst_text, "threshold_text": threshold_text}
    return claims.assign(**{key: [write(row) for _, row in claims.iterrows()] for key, write in words.items()})


def origins_frame(origins: pd.DataFrame) -> pd.DataFrame:
    """Count the records of each origin; a library that an engine does not use has no version."""
    keys = [column.key for column in ORIGINS[1:]]
    return origins.groupby(keys, as_index=False, dropna=False).agg(records=("record", "size"))


def _cell(column: Column, row: dict[Any, Any]) -> Cell:
    """Write a cell, empty if its value is not known. row: by the columns of the frame."""
    value = row[column.key]
    known = not pd.isna(value)
    text = str(row[column.shown]) if column.shown else column.write(value) if known else ""
    behind = (f"{value:.9g}" if isinstance(value, float) else str(value)) if known else ""
    return Cell(text, behind if behind != text else None)
