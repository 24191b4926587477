from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.made_up import SHAPE
from bnpipe.core.settings import Arm, Shape, TrainingSettings
from bnpipe.data.packed import Dataset
from bnpipe.experiments.along_training import Moment, moments, probe_of, table_along, tuned_runs
from bnpipe.training.trainer import Training
from tests.conftest import make_runs, make_settings
from tests.experiments.tuning import batch_of_step, write_tuning


def test_runs_take_601_steps_at_the_chosen_rate_and_keep_the_rest(tmp_path: Path) -> None:
    settings = make_settings(arm="vanilla", init_std="xavier", steps=5000, evaluation_interval=10)
    runs = tuned_runs(asdict(settings), [42, 7], write_tuning(tmp_path, {0.25: False, 0.5: True}))
    assert runs.seeds == (42, 7)
    expected = make_settings(arm="vanilla", init_std="xavier", steps=601, evaluation_interval=60, learning_rate=0.5)
    assert runs.each == (expected, expected)


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_a_moment_is_the_training_just_before_a_step_with_the_mini_batch_of_that_step(
    dataset: Dataset, arm: Arm
) -> None:
    settings = make_settings(arm=arm, hidden_sizes=(20, 20), training_images=970)
    images = dataset.train.first(970)
    training = Training(settings, 7, dataset.train)
    steps: list[int] = []
    for step, network, shown, labels in moments(settings, 7, dataset.train):
        training.advance(step - steps[-1] if steps else 0)
        for name, array in network.state().items():
            np.testing.assert_array_equal(array, training.network.state()[name], err_msg=name)
        batch = batch_of_step(step, 7, settings, images)
        np.testing.assert_array_equal(shown, batch.pixels / 255)
        np.testing.assert_array_equal(labels, batch.labels)
        steps.append(step)
    assert steps == [0, 60, 120]


def test_a_table_has_the_keys_of_every_run_and_what_was_measured(dataset: Dataset) -> None:
    def measure(settings: TrainingSettings, shape: Shape, along: Iterable[Moment]) -> Iterator[tuple[Any, ...]]:
        assert shape == SHAPE
        yield from ((moment.step, settings.learning_rate) for moment in along)

    runs = make_runs([43, 42], hidden_sizes=(5,), steps=61, learning_rate=[0.25, 0.5])
    table = table_along("relu", runs, dataset.train, ["condition", "arm", "seed", "step", "rate"], measure)
    assert list(table.columns) == ["condition", "arm", "seed", "step", "rate"]
    expected = [("relu", "batchnorm", *row) for row in ((43, 0, 0.25), (43, 60, 0.25), (42, 0, 0.5), (42, 60, 0.5))]
    assert list(table.itertuples(index=False, name=None)) == expected


def test_a_probe_has_the_shape_of_its_network_and_double_precision() -> None:
    settings = make_settings(hidden_sizes=(20, 30), parameter_rate=0.5)
    probe = probe_of(settings, SHAPE, parameter_rate=1.0)
    assert [weight.shape for weight in probe.weights] == [(784, 20), (20, 30), (30, 10)]
    assert probe.number == np.float64
    assert probe.plan.hidden.rate == 1
