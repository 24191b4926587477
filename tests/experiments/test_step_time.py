from collections.abc import Iterator
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bnpipe.core.csv_files import read_table
from bnpipe.core.errors import InputError
from bnpipe.core.settings import TrainingSettings
from bnpipe.data.packed import Dataset, pack
from bnpipe.experiments import step_time
from bnpipe.experiments.step_time import STEP_TIME_COLUMNS, make_step_time, step_seconds
from bnpipe.training.trainer import Training, network_arithmetic
from tests.conftest import make_settings

ARMS = ("vanilla", "batchnorm")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it short: three rounds of two steps, in two processes."""
    monkeypatch.setattr(step_time, "ROUNDS", 3)
    monkeypatch.setattr(step_time, "STEPS", 2)
    monkeypatch.setattr(step_time, "PROCESSES", 2)


def kinds(**changes: object) -> list[TrainingSettings]:
    return [make_settings(arm=arm, hidden_sizes=(5,), **changes) for arm in ARMS]


def clock_of(turns: list[float]) -> Iterator[float]:
    """Yield what a clock shows that is read before and after turns of so many seconds."""
    for end, turn in zip(accumulate(turns), turns, strict=True):
        yield from (end - turn, end)


@pytest.mark.usefixtures("few")
def test_arms_take_turns_and_the_median_is_taken_by_step(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    # Vanilla 6, 40, 8 seconds and batchnorm 20, 12, 16, in turns, after a warm-up that does not count.
    clock = clock_of([100, 100, 6, 20, 40, 12, 8, 16])
    monkeypatch.setattr(step_time, "perf_counter", lambda: next(clock))
    assert step_seconds(kinds(), 42, dataset.train) == [8 / 2, 16 / 2]
    assert next(clock, None) is None


@pytest.mark.usefixtures("few")
def test_what_is_timed_is_training(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[NDArray[np.floating]] = []
    advance = Training.advance

    def recorded(training: Training, steps: int) -> NDArray[np.floating]:
        taken.append(advance(training, steps))
        return taken[-1]

    networks = kinds(binarize=True, training_images=70)
    with network_arithmetic():
        expected = np.stack([Training(settings, 42, dataset.train).advance(8) for settings in networks])
    monkeypatch.setattr(Training, "advance", recorded)
    seconds = step_seconds(networks, 42, dataset.train)
    turns = np.stack(taken).reshape(4, 2, 2)  # a warm-up and three rounds, of two networks, of two steps
    np.testing.assert_array_equal(turns.transpose(1, 0, 2).reshape(2, 8), expected)
    assert len(np.unique(expected[:, -1])) == 2
    assert min(seconds) > 0


def test_every_process_measures_every_network(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_time, "PROCESSES", 2)
    images = dataset.train.pixels.reshape(-1, 28, 28), dataset.train.labels.astype(np.uint8)
    pack(images, images, 100, tmp_path / "packed.safetensors")
    of = [("vanilla", "tanh"), ("batchnorm", "tanh"), ("vanilla", "relu")]
    settings = [asdict(make_settings(arm=arm, activation=function, hidden_sizes=(5,))) for arm, function in of]
    make_step_time(settings, 42, tmp_path / "packed.safetensors", tmp_path / "step_time.csv")
    table = read_table(tmp_path / "step_time.csv")
    assert list(table.columns) == STEP_TIME_COLUMNS
    assert table["activation"].tolist() == ["tanh", "tanh", "relu"] * 2
    assert table["arm"].tolist() == ["vanilla", "batchnorm", "vanilla"] * 2
    assert table["process"].tolist() == [1, 1, 1, 2, 2, 2]
    assert (table["seconds"] > 0).all()
    assert table["seconds"].nunique() == 6


def test_a_packed_file_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="packed"):
        make_step_time([asdict(make_settings())], 42, tmp_path / "packed.safetensors", tmp_path / "step_time.csv")
