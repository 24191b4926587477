from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.equilibrium import EQUILIBRIUM_COLUMNS, answer, equilibrium_table, make_equilibrium_table
from bnpipe.core.csv_files import read_table, write_table

# Two layers at two seeds, measured at steps 1, 21 and 41. Norms grow from 1 to 4 and from 1 to 16. In the second half
# squares of angles are, in units of 2 * 0.1 * 0.05 = 0.01: 1 and 1, 0.81 and 0.81; 1 and 1.44, 1.44 and 1.
ANGLES = {(42, 1): (1, 1), (42, 2): (0.81, 0.81), (43, 1): (1, 1.44), (43, 2): (1.44, 1)}


def turns(arm: str = "batchnorm", decay: float = 0.05) -> pd.DataFrame:
    rows = []
    for (seed, layer), squares in ANGLES.items():
        for step, norm, square in zip((1, 21, 41), (1, 2, 4 if seed == 42 else 16), (9, *squares), strict=True):
            rows.append((arm, 0.1, decay, seed, step, layer, norm, 0.1 * np.sqrt(square)))
    columns = ["arm", "learning_rate", "weight_decay", "seed", "step", "layer", "norm", "angle"]
    return pd.DataFrame(rows, columns=columns)


def test_the_table_by_hand() -> None:
    table = equilibrium_table(pd.concat([turns(decay=0.0), turns()]))
    assert list(table.columns) == EQUILIBRIUM_COLUMNS
    without, row = table.to_dict("records")
    assert (row["arm"], row["learning_rate"], row["weight_decay"], row["n"], row["steps"]) == (
        *("batchnorm", 0.1, 0.05),
        *(2, 42),
    )
    assert row["norm_growth"] == pytest.approx(8)
    assert row["predicted_angle"] == pytest.approx(0.1)
    assert row["ratio"] == pytest.approx(np.sqrt((1 + 0.81 + 1.22 + 1.22) / 4))
    assert row["angle"] == pytest.approx(0.1 * row["ratio"])
    assert (row["lowest_ratio"], row["highest_ratio"]) == pytest.approx((0.9, np.sqrt(1.22)))
    assert np.isnan([without[name] for name in ("predicted_angle", "ratio", "lowest_ratio", "highest_ratio")]).all()


def test_the_answer_speaks_of_batch_normalization_and_says_whether_theory_is_met() -> None:
    parts = [turns(decay=0.0), turns(), turns(decay=0.03), turns("vanilla")]
    text = answer(equilibrium_table(pd.concat(parts)))
    assert text == (
        "Without weight decay the weights below batch normalization grow: after 42 steps their norm is 8 times what "
        "it was. With weight decay 0.05 their norm is 8 times what it was, and a step turns them by 0.1031 radians, "
        "1.03 times the predicted 0.1000: within 10% (layers and seeds: 0.90 to 1.10). With weight decay 0.03 their "
        "norm is 8 times what it was, and a step turns them by 0.1031 radians, 1.33 times the predicted 0.0775: not "
        "within 10% (layers and seeds: 1.16 to 1.43)."
    )
    alone = answer(equilibrium_table(turns()))
    assert alone.startswith("With weight decay 0.05 the norm of weights below batch normalization is 8 times")
    shrunk = equilibrium_table(turns(decay=0.0)).assign(norm_growth=0.9)
    assert answer(shrunk) == "Without weight decay the weights below batch normalization do not grow."


def test_tables_of_both_arms_are_one(tmp_path: Path) -> None:
    files = [tmp_path / f"{arm}.csv" for arm in ("vanilla", "batchnorm")]
    for file in files:
        write_table(turns(file.stem), file)
    make_equilibrium_table(files, tmp_path / "table.csv")
    assert read_table(tmp_path / "table.csv")["arm"].tolist() == ["vanilla", "batchnorm"]
