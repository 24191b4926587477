"""Tables as a page shows them: each cell a text, and behind it the value that it is sorted by and copied as."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from bnpipe.analysis.claims import MINUS, condition_text, effect_text, verdict_text
from bnpipe.figures.studies import spoken
from bnpipe.report.explorer import as_text

MAX_ROWS = 2_000  # of a table on a page


class Column(NamedTuple):
    """A column of a table on a page."""

    key: str  # of the frame: what rows are sorted by, and copied
    title: str
    write: Callable[[Any], str]
    is_text: bool = False  # set flush left
    is_wide: bool = False  # may be broken into lines
    shown: str | None = None  # another column of the frame, whose text is shown instead


class Cell(NamedTuple):
    """A cell: what is read, and the value behind it where that is another text."""

    text: str
    value: str | None


@dataclass(frozen=True)
class Table:
    """A table on a page."""

    name: str  # its id
    files: Sequence[str]  # what it is taken from, below the folder of results; the first one holds its rows
    rows_are: str  # which rows of that file
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    of: int  # rows that there are


def percent(share: float) -> str:
    """Write a share as a percentage with two decimals."""
    return f"{share:.2%}"


def points(difference: float) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    sign = MINUS if difference < 0 else "+"
    return f"{sign}{abs(difference) * 100:.2f} points"


def whole(number: float) -> str:
    """Write a whole number, its thousands set apart."""
    return f"{number:,.0f}"


def short(digest: str) -> str:
    """Write the beginning of a checksum."""
    return digest[:12]


def _digits(number: float) -> str:
    return f"{number:.4g}".replace("-", MINUS)


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
    Column("final_training_loss", "final training loss", _digits),
]
AUTOPSY = [
    _text("state"),
    Column("first_bad_step", "first bad step", whole),
    Column("first_bad_layer", "in layer", whole),
    _text("in its", "first_bad_place"),
]
RUNS = [_text("condition"), _text("arm"), Column("seed", "seed", str), *ACCURACIES]
RUNS += [Column("first_nonfinite_step", "first non-finite step", whole), _text("state")]
FAILURES = [_text("condition"), _text("arm"), Column("seed", "seed", str), *AUTOPSY, *ACCURACIES[:1]]
SUMMARY = [
    *(_text("condition"), _text("arm"), _runs("runs", "n"), _runs("diverged")),
    Column("mean", "final validation accuracy", percent),
    Column("low", "95% from", percent),
    Column("high", "to", percent),
    Column("test_mean", "test accuracy", percent),
    Column("test_low", "95% from", percent),
    Column("test_high", "to", percent),
]
COMPARISON = [
    *(_text("condition"), _text("arm"), _text("minus", "baseline"), _runs("pairs", "n")),
    _runs("with a diverged run", "n_diverged"),
    Column("mean_difference", "mean difference of final accuracy", points),
    Column("low", "95% from", points),
    Column("high", "to", points),
]
CLAIMS = [
    *(_text("claim"), Column("verdict", "verdict", str, is_text=True, shown="verdict_text")),
    *(_text("statement", wide=True), _text("measured as", "measure", wide=True), _runs("pairs", "n")),
    Column("effect", "effect [95% interval]", str, shown="effect_text"),
    Column("sesoi", "it must be", str, shown="condition_text"),
    Column("p_holm", "p (Holm)", lambda p: f"{p:.2g}"),
]
MECHANICS = [
    *(Column("unit", "unit", str), _text("step", "stage"), _text("formula")),
    Column("gamma", "gamma", _digits),
    Column("beta", "beta", _digits),
    Column("mean", "mean", _digits),
    Column("standard_deviation", "standard deviation", _digits),
]
ORIGINS = [
    *(_runs("records"), _text("device"), _text("Python", "python"), _text("NumPy", "numpy"), _text("PyTorch", "torch")),
    Column("dataset_sha256", "data (SHA-256)", short, is_text=True),
    Column("code_sha256", "training code (SHA-256)", short, is_text=True),
]


def study_columns(swept: Sequence[str]) -> list[Column]:
    """Return the columns of a study's summary."""
    states = ("healthy", "saturated", "dead", "overflow")
    return [
        *(_text(spoken(name), name) for name in swept),
        *(_text("arm"), _runs("runs", "n"), _runs("diverged"), Column("mean", "mean", percent)),
        *(Column("low", "95% from", percent), Column("high", "to", percent), *map(_runs, states)),
        *(Column("first_bad_step", "first bad step", whole), Column("first_bad_layer", "in layer", whole)),
    ]


def study_run_columns(swept: Sequence[str]) -> list[Column]:
    """Return the columns of a study's runs."""
    settings = [_text(spoken(name), name) for name in swept]
    return [*settings, _text("arm"), Column("seed", "seed", str), *ACCURACIES, *AUTOPSY]


def make_table(
    name: str, frame: pd.DataFrame, columns: Sequence[Column], caption: str, *files: str, rows_are: str = "all rows"
) -> Table:
    """Make a table of the columns of a frame; the first MAX_ROWS rows of it."""
    rows = [[_cell(column, row) for column in columns] for row in frame.head(MAX_ROWS).to_dict("records")]
    return Table(name, files, rows_are, caption, columns, rows, len(frame))


def claims_frame(claims: pd.DataFrame) -> pd.DataFrame:
    """Add to the table of claims what a page shows of its rows in words."""
    words = {"verdict_text": verdict_text, "effect_text": effect_text, "condition_text": condition_text}
    return claims.assign(**{key: [write(row) for _, row in claims.iterrows()] for key, write in words.items()})


def origins_frame(origins: pd.DataFrame) -> pd.DataFrame:
    """Count the records of each origin."""
    keys = [column.key for column in ORIGINS[1:]]
    return origins.groupby(keys, as_index=False).agg(records=("record", "size"))


def _cell(column: Column, row: dict[Any, Any]) -> Cell:
    """Write a cell; what is not known is empty."""
    value = row[column.key]
    known = not pd.isna(value)
    text = str(row[column.shown]) if column.shown else column.write(value) if known else ""
    behind = (f"{value:.9g}" if isinstance(value, float) else str(value)) if known else ""
    return Cell(text, behind if behind != text else None)
