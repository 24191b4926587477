r"""Tables as LaTeX, for a paper: each is a `tabular` to include by `\input`, with the rules of the package booktabs.

Numbers are written as on the page.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bnpipe.analysis.claim_words import INFINITY
from bnpipe.analysis.words import MINUS, TIMES
from bnpipe.core.csv_files import read_table
from bnpipe.core.files import atomic_write_text
from bnpipe.report import tables
from bnpipe.report.tables import Column, Table, claims_frame, in_order, make_table, study_columns

# The claims have fewer columns than on the page, and the statement of each in place of its key.
CLAIMS = [
    Column("statement", "claim", str, is_text=True, is_wide=True),
    *(column for column in tables.CLAIMS if column.key in ("verdict", "n", "above", "below", "median", "sesoi")),
]
WIDE = r"p{0.35\linewidth}"  # of a column whose text is broken into lines
ESCAPES = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        MINUS: "$-$",
        TIMES: r"$\times$",
        INFINITY: r"$\infty$",
    }
)


def make_latex(
    summary: Path,
    comparison: Path,
    claims: Path,
    conditions: Sequence[str],
    summary_tex: Path,
    comparison_tex: Path,
    claims_tex: Path,
) -> None:
    """Write three tables of the report as LaTeX.

    summary, comparison, claims: the tables of these names. conditions: their order. ..._tex: the files to write.
    """
    accuracies, pairs = (in_order(read_table(path), conditions) for path in (summary, comparison))
    pairs = pairs.drop_duplicates(["condition", "arm"])
    for frame, columns, path in (
        (accuracies, tables.SUMMARY, summary_tex),
        (pairs, tables.COMPARISON, comparison_tex),
        (claims_frame(read_table(claims)), CLAIMS, claims_tex),
    ):
        _write(frame, columns, path)


def make_study_latex(summary: Path, swept: Sequence[str], table: Path) -> None:
    """Write the table `summary` of a study as LaTeX. swept: the names of its swept settings."""
    _write(read_table(summary), study_columns(swept), table)


def tabular(table: Table) -> str:
    """Return a table as LaTeX: text to the left, numbers to the right, cells as they are on the page."""
    kinds = "".join(WIDE if column.is_wide else "l" if column.is_text else "r" for column in table.columns)
    head = [escaped(column.title) for column in table.columns]
    rows = [[escaped(cell.text) for cell in row] for row in table.rows]
    lines = [" & ".join(cells) + r" \\" for cells in (head, *rows)]
    body = "\n".join([r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"])
    return f"\\begin{{tabular}}{{{kinds}}}\n{body}\n\\end{{tabular}}\n"


def escaped(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return text.translate(ESCAPES)


def _write(frame: pd.DataFrame, columns: Sequence[Column], path: Path) -> None:
    atomic_write_text(path, tabular(make_table(path.stem, frame, columns, "")))
