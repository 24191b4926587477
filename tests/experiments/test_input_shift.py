from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from benchmarks.made_up import SHAPE
from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Arm
from bnpipe.data.packed import Dataset
from bnpipe.experiments.along_training import probe_of
from bnpipe.experiments.input_shift import (
    INPUT_COLUMNS,
    Values,
    distance,
    input_shift_table,
    make_input_shift,
    measured_batches,
    values_of,
)
from bnpipe.training.trainer import Training, network_arithmetic
from tests.conftest import make_runs, make_settings
from tests.experiments.tuning import packed_images, write_tuning

SEEDS = [42, 43]
TABLE = make_runs(SEEDS, hidden_sizes=(20, 20), steps=121)


def test_a_distance_by_hand() -> None:
    # First unit: 0, 2 becomes 5, 3 in another order: each moves by 3, and the variance is 1 at both steps. Second unit:
    # 1, 1 becomes 0, 4: the sorted values move by 1 and 3, the variances are 0 and 4, their mean is 2.
    before, after = np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[5.0, 0.0], [3.0, 4.0]])
    assert distance(before[:, :1], after[:, :1]) == pytest.approx(3)
    assert distance(before, after) == pytest.approx((3 + 2 / np.sqrt(2)) / 2)
    assert distance(after, before) == distance(before, after)
    assert distance(before, before[::-1]) == 0  # which image shows which value is of no matter


def test_the_distance_is_scipys_in_standard_deviations() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.normal(size=(300, 7)), rng.exponential(size=(300, 7)) * [1, 2, 3, 4, 5, 6, 7]
    units = [
        wasserstein_distance(b, a) / np.sqrt((b.var() + a.var()) / 2) for b, a in zip(before.T, after.T, strict=True)
    ]
    assert distance(before, after) == pytest.approx(np.mean(units), rel=1e-12)


def test_units_that_are_constant_at_both_steps_are_left_out() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.normal(size=(300, 4)), rng.normal(size=(300, 4)) + 1
    alive = distance(before[:, :2], after[:, :2])
    before[:, 2], after[:, 2] = 0, 0  # dead
    before[:, 3], after[:, 3] = 0.1, 0.7  # constant but for rounding: their variance is not exactly zero
    assert before[:, 3].std() > 0
    assert distance(before, after) == alive
    assert np.isnan(distance(before[:, 2:], after[:, 2:]))
    before[:, 2] = 0
    after[:, 2] = np.arange(300)  # a unit that wakes up counts
    assert distance(before[:, 2:3], after[:, 2:3]) == pytest.approx(149.5 / np.sqrt((300**2 - 1) / 24))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_has_no_distance(value: float) -> None:
    broken = np.full((3, 2), value)
    with network_arithmetic():
        assert np.isnan(distance(np.ones((3, 2)) * [[1], [2], [3]], broken))


@pytest.mark.parametrize(
    ("batch_size", "images", "sizes"),
    [(60, 1000, [60] * 5), (130, 1000, [130] * 2), (400, 1000, [400]), (60, 200, [60] * 3)],
)
def test_batches_are_as_large_as_those_of_training(
    dataset: Dataset, batch_size: int, images: int, sizes: list[int]
) -> None:
    batches = measured_batches(make_settings(batch_size=batch_size), dataset.train.first(images))
    assert [len(batch) for batch in batches] == sizes
    np.testing.assert_array_equal(np.concatenate([b.pixels for b in batches]), dataset.train.pixels[: sum(sizes)])


def values_after(steps: int, seed: int, dataset: Dataset, arm: Arm) -> list[Values]:
    """Train, and compute what the two hidden layers show on the first 300 images, mini-batch by mini-batch."""
    training = Training(make_settings(arm=arm, hidden_sizes=(20, 20)), seed, dataset.train)
    training.advance(steps)
    found = []
    inputs = dataset.train.pixels[:300] / 255
    layers = zip(training.network.weights[:-1], training.network.parameters[:-1], strict=True)
    for weight, learned in layers:
        z = inputs @ weight.astype(np.float64)
        y = z + learned["beta"]
        if arm == "batchnorm":
            of_batches = z.reshape(5, 60, -1)
            mean, variance = of_batches.mean(axis=1, keepdims=True), of_batches.var(axis=1, keepdims=True)
            normalized = ((of_batches - mean) / np.sqrt(variance + 1e-3)).reshape(300, -1)
            y = learned["gamma"] * normalized + learned["beta"]
        inputs = np.tanh(y)
        found.append(Values(inputs, z))
    return found


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_the_table_holds_inputs_and_the_products_that_they_are_made_from(dataset: Dataset, arm: Arm) -> None:
    table = input_shift_table("tanh", TABLE.change(arm=arm), dataset.train)
    assert list(table.columns) == INPUT_COLUMNS
    keys = [("tanh", arm, seed, step, layer) for seed in SEEDS for step in (0, 60) for layer in (2, 3)]
    assert list(table[INPUT_COLUMNS[:5]].itertuples(index=False, name=None)) == keys
    of_43 = table[(table["seed"] == 43) & (table["step"] == 60)]
    before, after = values_after(60, 43, dataset, arm), values_after(120, 43, dataset, arm)
    for quantity, column in (("outputs", "distance"), ("products", "product_distance")):
        layers = [distance(getattr(b, quantity), getattr(a, quantity)) for b, a in zip(before, after, strict=True)]
        np.testing.assert_allclose(of_43[column], layers, rtol=1e-6)  # training is in single precision
    assert (of_43["distance"] > 1e-3).all()


def test_measuring_leaves_the_network_as_it_is_and_moving_averages_do_not_matter(dataset: Dataset) -> None:
    settings = make_settings(hidden_sizes=(20, 20))
    network = Training(settings, 42, dataset.train).network
    batches = measured_batches(settings, dataset.train)
    kept = {name: array.copy() for name, array in network.state().items()}
    first = values_of(network, probe_of(settings, SHAPE), batches)
    for name, array in network.state().items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
    network.numbers.mean[:] = 5
    again = values_of(network, probe_of(settings, SHAPE), batches)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.outputs, other.outputs)


def test_the_table_of_the_chosen_rate_is_written(dataset: Dataset, tmp_path: Path) -> None:
    settings = make_settings(arm="vanilla", activation="relu", init_std=0.0, hidden_sizes=(8,))  # all units are dead
    tuning, table = write_tuning(tmp_path, {0.25: True}), tmp_path / "shift.csv"
    make_input_shift("relu", asdict(settings), [42], tuning, packed_images(tmp_path, dataset), table)
    assert table.read_text().splitlines()[:2] == [",".join(INPUT_COLUMNS), "relu,vanilla,42,0,2,,"]
    assert read_table(table)["step"].tolist() == list(range(0, 541, 60))
