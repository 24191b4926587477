from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.core.csv_files import read_table, write_table
from bnpipe.core.errors import InputError


def test_single_precision_survives_the_csv(tmp_path: Path) -> None:
    values = np.random.default_rng(3).random(1000, dtype=np.float32) * 10
    write_table(pd.DataFrame({"x": values.astype(np.float64)}), tmp_path / "x.csv")
    assert (pd.read_csv(tmp_path / "x.csv")["x"].to_numpy().astype(np.float32) == values).all()


def test_names_stay_text_and_unknown_is_empty(tmp_path: Path) -> None:
    table = pd.DataFrame({"claim": ["3", "7"], "condition": ["1e3", "nan"], "value": [np.nan, 0.5]})
    write_table(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "claim,condition,value\n3,1e3,\n7,nan,0.5\n"
    assert read_table(tmp_path / "t.csv")["claim"].tolist() == ["3", "7"]
    assert read_table(tmp_path / "t.csv")["condition"].tolist()[0] == "1e3"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_what_is_no_table_is_one_line_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"t.csv: not a table") as error:
        read_table(path)
    assert len(str(error.value).splitlines()) == 1
