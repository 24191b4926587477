from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.generalization import LEVELS, gap_at, generalization_table, make_generalization
from bnpipe.core.csv_files import read_table, write_table

SWEPT = ["training_images", "normalize_logits"]


def curve(training: list[float], validation: list[float]) -> pd.DataFrame:
    steps = 60 * np.arange(len(training))
    return pd.DataFrame({"step": steps, "training_set_loss": training, "loss": validation})


VANILLA = curve([2.0, 0.5, 0.1, 0.02], [2.1, 0.6, 0.4, 0.5])
BATCHNORM = curve([2.0, 0.2, 0.01], [2.0, 0.4, 0.3])


def study(images: str = "2000", seed: int = 42) -> pd.DataFrame:
    runs = (("vanilla", VANILLA), ("batchnorm", BATCHNORM))
    keys: dict[str, Any] = {"seed": seed, "training_images": images, "normalize_logits": True}
    return pd.concat([run.assign(arm=arm, **keys) for arm, run in runs])


def test_gaps_are_taken_at_fixed_levels() -> None:
    table = generalization_table(study(), SWEPT)
    assert list(table.columns) == ["seed", "arm", "training_images", "normalize_logits", "level", "gap"]
    assert table["level"].tolist() == [*LEVELS] * 2
    # Vanilla is halfway from 0.5 to 0.1 at 0.3, and 7/8 of the way from 0.1 to 0.02 at 0.03; it never reaches 0.01.
    vanilla = [0.5 - 0.3, 0.4 - 0.1, 0.4875 - 0.03, np.nan]
    # Batchnorm is 17/18 of the way from 2.0 to 0.2 at 0.3, and 10/19 and 17/19 from 0.2 to 0.01 at 0.1 and 0.03.
    batchnorm = [2 - 1.6 * 17 / 18 - 0.3, 0.4 - 0.1 * 10 / 19 - 0.1, 0.4 - 0.1 * 17 / 19 - 0.03, 0.3 - 0.01]
    assert table["gap"].tolist() == pytest.approx(vanilla + batchnorm, nan_ok=True)


def test_seeds_and_cells_keep_their_order() -> None:
    table = generalization_table(pd.concat([study("all", 43), study("all", 42), study("2000", 42)]), SWEPT)
    assert table["seed"].tolist() == [43] * 8 + [42] * 16
    assert table["training_images"].tolist() == ["all"] * 16 + ["2000"] * 8
    assert table["arm"].tolist() == (["vanilla"] * 4 + ["batchnorm"] * 4) * 3


def test_training_losses_are_smoothed_before_they_are_read() -> None:
    # 0.2 and 0.4 become 0.3 twice; 0.47 is 9/10 of the way from 2.0 to the first of them.
    restless = curve([2.0, 0.2, 0.4, 0.1], [2.0, 0.7, 0.9, 1.0])
    assert gap_at(0.47, restless) == pytest.approx(2.0 - 0.9 * 1.3 - 0.47)
    assert gap_at(0.2, restless) == pytest.approx(0.95 - 0.2)  # halfway from 0.3 to 0.1, from 0.9 to 1.0


def test_a_run_that_begins_at_the_level_or_below() -> None:
    assert gap_at(2.0, VANILLA) == pytest.approx(0.1)
    assert np.isnan(gap_at(2.5, VANILLA))  # it never had that loss


@pytest.mark.parametrize("column", ["training_set_loss", "loss"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_run_with_a_loss_that_is_not_finite_has_no_gap(column: str, value: float) -> None:
    diverged = VANILLA.copy()
    diverged.loc[3, column] = value
    assert np.isnan(gap_at(0.3, diverged))


def test_the_table_is_made_from_a_file(tmp_path: Path) -> None:
    write_table(pd.concat([study("all"), study("2000")]), tmp_path / "accuracy.csv")
    make_generalization(tmp_path / "accuracy.csv", SWEPT, tmp_path / "generalization.csv")
    table = read_table(tmp_path / "generalization.csv")
    assert table["training_images"].tolist() == ["all"] * 8 + ["2000"] * 8
    assert table["gap"][0] == pytest.approx(0.2)
