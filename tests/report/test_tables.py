import numpy as np
import pandas as pd

from bnpipe.analysis.words import percent
from bnpipe.report.tables import MAX_ROWS, RUNS, Cell, Column, make_table, origins_frame


def test_a_cell_holds_the_exact_value_behind_its_text() -> None:
    frame = pd.DataFrame({"share": [0.123456789, np.nan], "name": ["a", "b"]})
    columns = [Column("share", "share", percent), Column("name", "name", str, is_text=True)]
    table = make_table("t", frame, columns, "Shares", "t.csv")
    assert table.rows == [[Cell("12.35%", "0.123456789"), Cell("a", None)], [Cell("", None), Cell("b", None)]]
    assert (table.files, table.rows_are, table.of) == (("t.csv",), "all rows", 2)


def test_a_column_may_show_the_text_of_another() -> None:
    frame = pd.DataFrame({"effect": [0.5], "effect_text": ["1.65 times"]})
    table = make_table("t", frame, [Column("effect", "effect", str, shown="effect_text")], "Effects", "t.csv")
    assert table.rows == [[Cell("1.65 times", "0.5")]]


def test_of_many_rows_the_first_are_shown_and_all_are_counted() -> None:
    frame = pd.DataFrame({"seed": range(MAX_ROWS + 1)})
    table = make_table("t", frame, [Column("seed", "seed", str)], "Seeds", "t.csv")
    assert (len(table.rows), table.of) == (MAX_ROWS, MAX_ROWS + 1)


def test_records_of_one_origin_are_counted_together() -> None:
    row = {"device": "cpu", "python": "3.11", "numba": "0.62.0", "numpy": "2", "scipy": "1", "torch": np.nan}
    row |= {"dataset_sha256": "d", "code_sha256": "c"}
    frame = pd.DataFrame([{"record": "a", **row}, {"record": "b", **row}, {"record": "c", **row, "device": "cuda"}])
    assert origins_frame(frame)["records"].tolist() == [2, 1]


def test_the_columns_of_runs_have_names_of_their_own() -> None:
    titles = [column.title for column in RUNS]
    assert len(set(titles)) == len(titles)
