from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Dataset, pack
from bnpipe.experiments import step_time
from bnpipe.experiments.step_time import STEP_TIME_COLUMNS, make_step_time, step_time_table
from bnpipe.training.trainer import Training, network_arithmetic
from tests.conftest import make_runs, make_settings

ARMS = ("vanilla", "batchnorm")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it short: three rounds of two steps."""
    monkeypatch.setattr(step_time, "ROUNDS", 3)
    monkeypatch.setattr(step_time, "STEPS", 2)


def groups(seeds: Sequence[int]) -> list[Runs]:
    return [make_runs(seeds, arm=arm, hidden_sizes=(5,)) for arm in ARMS]


def clock_of(turns: list[float]) -> Iterator[float]:
    """Yield what a clock shows that is read before and after turns of so many seconds."""
    for end, turn in zip(accumulate(turns), turns, strict=True):
        yield from (end - turn, end)


@pytest.mark.usefixtures("few")
def test_arms_take_turns_and_the_median_is_taken_by_step_and_network(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Vanilla 6, 40, 8 seconds and batchnorm 20, 12, 16, in turns, after a warm-up that does not count.
    clock = clock_of([100, 100, 6, 20, 40, 12, 8, 16])
    monkeypatch.setattr(step_time, "perf_counter", lambda: next(clock))
    table = step_time_table(groups([42, 43]), dataset.train)
    expected = [["tanh", "vanilla", 8 / 4], ["tanh", "batchnorm", 16 / 4]]  # 2 steps of 2 networks
    assert list(table.columns) == STEP_TIME_COLUMNS
    assert table.to_numpy().tolist() == expected
    assert next(clock, None) is None


@pytest.mark.usefixtures("few")
def test_what_is_timed_is_training(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[NDArray[np.floating]] = []
    advance = Training.advance

    def recorded(training: Training, steps: int) -> NDArray[np.floating]:
        taken.append(advance(training, steps))
        return taken[-1]

    stacks = [runs.change(binarize=True, training_images=70, learning_rate=[0.1, 0.2]) for runs in groups([42, 43])]
    networks = [
        Training(settings, seed, dataset.train)
        for runs in stacks
        for settings, seed in zip(runs.each, runs.seeds, strict=True)
    ]
    with network_arithmetic():
        expected = np.stack([network.advance(8) for network in networks])
    monkeypatch.setattr(Training, "advance", recorded)
    table = step_time_table(stacks, dataset.train)
    turns = np.stack(taken).reshape(4, 4, 2)  # a warm-up and three rounds, of two networks of two arms, of two steps
    np.testing.assert_array_equal(turns.transpose(1, 0, 2).reshape(4, 8), expected)
    assert len(np.unique(expected[:, -1])) == 4
    assert (table["seconds"] > 0).all()


@pytest.mark.usefixtures("few")
def test_the_table_is_written(dataset: Dataset, tmp_path: Path) -> None:
    images = dataset.train.pixels.reshape(-1, 28, 28), dataset.train.labels.astype(np.uint8)
    pack(images, images, 100, tmp_path / "packed.safetensors")
    kinds = [("vanilla", "tanh"), ("batchnorm", "tanh"), ("vanilla", "relu")]
    settings = [asdict(make_settings(arm=arm, activation=function, hidden_sizes=(5,))) for arm, function in kinds]
    make_step_time(settings, [42], tmp_path / "packed.safetensors", tmp_path / "step_time.csv")
    table = read_table(tmp_path / "step_time.csv")
    assert table["activation"].tolist() == ["tanh", "tanh", "relu"]
    assert table["arm"].tolist() == ["vanilla", "batchnorm", "vanilla"]
    assert (table["seconds"] > 0).all()
