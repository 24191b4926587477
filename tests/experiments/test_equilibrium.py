from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Arm
from bnpipe.data.packed import Dataset
from bnpipe.experiments.equilibrium import INTERVAL, TURN_COLUMNS, angle_between, make_equilibrium, turn_table
from bnpipe.training.engines import engine_on_cpu
from bnpipe.training.trainer import one_thread
from tests.conftest import make_runs, make_settings
from tests.experiments.tuning import packed_images

SMALL = make_settings(hidden_sizes=(30, 20), learning_rate=0.1, steps=2 * INTERVAL, epsilon=1e-5)


def test_angles_by_hand() -> None:
    assert angle_between(np.array([[1.0, 0], [0, 0]]), np.array([[3.0, 3], [0, 0]])) == pytest.approx(np.pi / 4)
    assert angle_between(np.array([2.0, 0]), np.array([0, -1.0])) == pytest.approx(np.pi / 2)
    assert angle_between(np.array([1.0, 2]), np.array([-2.0, -4])) == pytest.approx(np.pi)
    # Of an angle whose cosine is 1 in double precision, six digits are known.
    assert angle_between(np.array([1.0, 0]), np.array([1.0, 1e-9])) == pytest.approx(1e-9, rel=1e-6)
    with np.errstate(invalid="ignore"):
        assert np.isnan(angle_between(np.array([1.0, 0]), np.zeros(2)))


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_what_is_measured_is_that_of_the_weights_themselves(dataset: Dataset, arm: Arm, decay: float) -> None:
    runs = make_runs([42, 43], **{**asdict(SMALL), "arm": arm, "weight_decay": decay})
    table = turn_table(runs, dataset.train)
    assert list(table.columns) == TURN_COLUMNS
    assert table["step"].unique().tolist() == [1, INTERVAL + 1]
    assert len(table) == 2 * 2 * 3  # seeds, steps, layers
    assert {*table["weight_decay"]} == {decay}
    stack = engine_on_cpu(runs.settings).start(runs.take([1]), dataset.train)
    with one_thread():
        stack.advance(INTERVAL)
        before, after = (stack.observed_step()[0].weights[1].astype(np.float64).ravel() for _ in range(2))
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    row = table[(table["seed"] == 43) & (table["step"] == INTERVAL + 1) & (table["layer"] == 2)].iloc[0]
    assert row["norm"] == pytest.approx(np.linalg.norm(before), rel=1e-12)
    assert row["angle"] == pytest.approx(np.arccos(cosine), rel=1e-6)


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_behind_batch_normalization_the_gradient_is_orthogonal_to_the_weights(dataset: Dataset, arm: Arm) -> None:
    # Then what decay leaves of the weights and the step are the legs of a right triangle, and the new weights are its
    # hypotenuse: ||W'|| cos(angle) = (1 - r d) ||W||.
    exact = {**asdict(SMALL), "arm": arm, "weight_decay": 0.5, "epsilon": 1e-12, "precision": "float64"}
    stack = engine_on_cpu(make_settings(**exact)).start(make_runs([42], **exact), dataset.train)
    with one_thread():
        stack.advance(5)
        (before,), (after,) = stack.observed_step(), stack.observed_step()
    lengths = []
    for weights, turned in zip(before.weights, after.weights, strict=True):
        along = np.linalg.norm(turned) * np.cos(angle_between(weights, turned))
        lengths.append(along / np.linalg.norm(weights))
    assert (np.abs(np.array(lengths) - (1 - 0.1 * 0.5)) < 1e-9).all() == (arm == "batchnorm")


def test_the_table_has_every_weight_decay_and_seed(dataset: Dataset, tmp_path: Path) -> None:
    packed, table = packed_images(tmp_path, dataset), tmp_path / "along.csv"
    make_equilibrium({**asdict(SMALL), "hidden_sizes": [5]}, (0.0, 0.1), (42, 43), packed, table)
    found = read_table(table)
    assert list(found.columns) == TURN_COLUMNS
    assert found[["weight_decay", "seed"]].drop_duplicates().to_numpy().tolist() == [
        [0, 42],
        [0, 43],
        [0.1, 42],
        [0.1, 43],
    ]
