from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.core.csv_files import read_table, write_table
from bnpipe.core.errors import InputError
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Dataset, open_dataset, pack
from bnpipe.experiments.best_rate import CURVE_COLUMNS, FINAL_COLUMNS, make_trials, make_tuned_runs
from bnpipe.training.train import train_runs
from tests.conftest import make_settings

SETTINGS = asdict(
    make_settings(arm="vanilla", steps=121, hidden_sizes=(20,), evaluation_interval=30, stop_at_accuracy=0.9)
)


@pytest.fixture
def packed(tmp_path: Path, dataset: Dataset) -> Path:
    parts = dataset.validation, dataset.train  # validation images come first
    pixels = np.concatenate([images.pixels for images in parts]).reshape(-1, 28, 28)
    labels = np.concatenate([images.labels for images in parts]).astype(np.uint8)
    test = dataset.test.pixels.reshape(-1, 28, 28), dataset.test.labels.astype(np.uint8)
    pack((pixels, labels), test, len(dataset.validation), tmp_path / "packed.safetensors")
    return tmp_path / "packed.safetensors"


def test_every_rate_is_tried_with_every_seed_until_it_passes(tmp_path: Path, packed: Path) -> None:
    make_trials("tanh-vanilla", SETTINGS, (0.01, 1.0), (500, 501), packed, tmp_path / "curves.csv")
    table = read_table(tmp_path / "curves.csv")
    assert list(table.columns) == CURVE_COLUMNS
    runs = Runs.from_plain({**SETTINGS, "learning_rate": [0.01, 0.01, 1.0, 1.0]}, [500, 501, 500, 501])
    whole = train_runs(runs.change(stop_at_accuracy=None), open_dataset(packed))
    for run, ((rate, seed), curve) in enumerate(table.groupby(["learning_rate", "seed"])):
        assert (rate, seed) == (runs.learning_rates[run], runs.seeds[run])
        passed = whole.accuracy[run] >= 0.9
        end = int(passed.argmax()) + 1 if passed.any() else 5
        assert curve["step"].tolist() == whole.steps[:end].tolist()
        assert curve["accuracy"].tolist() == pytest.approx(whole.accuracy[run, :end].tolist())
    lengths = table.groupby("learning_rate").size()
    assert lengths[1.0] < lengths[0.01] == 10  # else nothing stopped
    assert set(table["entrant"]) == {"tanh-vanilla"}


def test_the_counted_seeds_are_trained_at_the_chosen_rate(tmp_path: Path, packed: Path) -> None:
    tuning = pd.DataFrame({"learning_rate": [0.1, 1.0], "chosen": [False, True]})
    write_table(tuning, tmp_path / "tuning.csv")
    outputs = tmp_path / "curves.csv", tmp_path / "finals.csv"
    make_tuned_runs("tanh-vanilla", SETTINGS, 200, (42, 2000), packed, tmp_path / "tuning.csv", *outputs)
    curves, finals = map(read_table, outputs)
    assert list(finals.columns) == FINAL_COLUMNS
    assert {*curves["learning_rate"], *finals["learning_rate"]} == {1.0}
    assert np.diff(curves[curves["seed"] == 42]["step"]).tolist()[:2] == [10, 10]
    runs = Runs.from_plain({**SETTINGS, "learning_rate": 1.0, "steps": 200, "stop_at_accuracy": None}, (42, 2000))
    last = train_runs(runs.change(evaluation_interval=199), open_dataset(packed)).accuracy[:, -1]
    assert finals["final_accuracy"].tolist() == pytest.approx(last.tolist())
    assert finals["seed"].tolist() == [42, 2000]


@pytest.mark.parametrize("chosen", [[False, False], [True, True]])
def test_a_table_without_one_best_rate_is_one_line(tmp_path: Path, packed: Path, chosen: list[bool]) -> None:
    write_table(pd.DataFrame({"learning_rate": [0.1, 1.0], "chosen": chosen}), tmp_path / "tuning.csv")
    with pytest.raises(InputError, match="expected one chosen learning rate"):
        make_tuned_runs(
            *("tanh-vanilla", SETTINGS, 200, (42,), packed, tmp_path / "tuning.csv"),
            *(tmp_path / "curves.csv", tmp_path / "finals.csv"),
        )
