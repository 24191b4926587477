from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.generalization import gap_at, generalization_table, make_generalization
from bnpipe.core.csv_files import read_table, write_table

SWEPT = ["training_images", "normalize_logits"]


def curve(training: list[float], validation: list[float]) -> pd.DataFrame:
    steps = 60 * np.arange(len(training))
    return pd.DataFrame({"step": steps, "training_set_loss": training, "loss": validation})


VANILLA = curve([2.0, 1.0, 0.5], [2.1, 1.2, 0.9])  # least training loss 0.5
BATCHNORM = curve([2.0, 0.6, 0.2], [2.0, 0.8, 0.5])


def study(*runs: pd.DataFrame, cell: tuple[Any, bool] = (2000, True), seed: int = 42) -> pd.DataFrame:
    settings: dict[str, Any] = dict(zip(SWEPT, cell, strict=True))
    arms = ("vanilla", "batchnorm", "layernorm")
    return pd.concat([run.assign(arm=arm, seed=seed, **settings) for arm, run in zip(arms, runs, strict=False)])


def test_gaps_are_taken_at_the_lowest_loss_that_both_reach() -> None:
    # 0.5 is vanilla's last. Batchnorm comes from 0.6 to 0.2: a quarter of the way, where 0.8 to 0.5 has reached 0.725.
    table = generalization_table(study(VANILLA, BATCHNORM), SWEPT)
    assert list(table.columns) == ["seed", "arm", "training_images", "normalize_logits", "level", "gap"]
    assert table.iloc[:, :4].to_numpy().tolist() == [[42, "vanilla", 2000, True], [42, "batchnorm", 2000, True]]
    assert table["level"].tolist() == [0.5, 0.5]
    assert table["gap"].tolist() == pytest.approx([0.9 - 0.5, 0.725 - 0.5])


def test_seeds_and_cells_have_levels_of_their_own_and_keep_their_order() -> None:
    higher = VANILLA.assign(training_set_loss=VANILLA["training_set_loss"] + 0.1)
    parts = [
        study(VANILLA, BATCHNORM, cell=("all", False), seed=43),
        study(VANILLA, BATCHNORM, cell=("all", False), seed=42),
        study(higher, BATCHNORM, cell=("2000", True), seed=42),
    ]
    table = generalization_table(pd.concat(parts), SWEPT)
    assert table["seed"].tolist() == [43, 43, 42, 42, 42, 42]
    assert table["training_images"].tolist() == ["all"] * 4 + ["2000"] * 2
    assert table["level"].tolist() == [0.5] * 4 + [0.6] * 2
    assert table["gap"].iloc[-1] == pytest.approx(0.8 - 0.6)  # an evaluation of its own


def test_the_level_is_one_that_every_arm_reaches() -> None:
    slow = curve([2.0, 1.5, 1.0], [2.0, 1.5, 1.1])
    table = generalization_table(study(VANILLA, BATCHNORM, slow), SWEPT)
    assert table["level"].tolist() == [1.0] * 3
    assert table["gap"].tolist() == pytest.approx([0.2, 2 - 1.2 / 1.4 - 1, 0.1])


def test_where_a_curve_comes_down_twice_the_first_time_counts() -> None:
    restless = curve([2.0, 1.0, 1.5, 0.5], [2.0, 1.3, 1.9, 1.5])
    assert gap_at(1.25, restless) == pytest.approx(1.3 + 0.25 * 0.7 - 1.25)  # three quarters from 2.0 to 1.0
    assert gap_at(0.75, restless) == pytest.approx(1.5 + 0.25 * 0.4 - 0.75)


def test_a_run_that_begins_at_the_level_or_below() -> None:
    assert gap_at(2.0, VANILLA) == pytest.approx(0.1)
    assert np.isnan(gap_at(2.5, VANILLA))  # it never had that loss


def test_a_level_that_is_not_reached_has_no_gap() -> None:
    assert np.isnan(gap_at(0.4, VANILLA))


@pytest.mark.parametrize("column", ["training_set_loss", "loss"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pairs_in_which_a_run_diverged_have_neither_level_nor_gap(column: str, value: float) -> None:
    diverged = VANILLA.copy()
    diverged.loc[2, column] = value
    sound = study(VANILLA, BATCHNORM, seed=43)
    table = generalization_table(pd.concat([study(diverged, BATCHNORM), sound]), SWEPT)
    assert table[["level", "gap"]].isna().all(axis=1).tolist() == [True, True, False, False]


def test_the_table_is_made_from_a_file(tmp_path: Path) -> None:
    accuracy = pd.concat([study(VANILLA, BATCHNORM, cell=("all", True)), study(VANILLA, BATCHNORM, cell=(2000, False))])
    write_table(accuracy, tmp_path / "accuracy.csv")
    make_generalization(tmp_path / "accuracy.csv", SWEPT, tmp_path / "generalization.csv")
    table = read_table(tmp_path / "generalization.csv")
    assert table["training_images"].tolist() == ["all", "all", "2000", "2000"]
    assert table["gap"].tolist() == pytest.approx([0.4, 0.225] * 2)
