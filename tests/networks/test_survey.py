from itertools import product

import numpy as np
import pytest

from benchmarks.made_up import SHAPE
from bnpipe.core.settings import Arm, Position, TrainingSettings
from bnpipe.data.packed import Dataset
from bnpipe.networks.network import KINDS, SURVEY_ROWS, Network, draw_network
from tests.conftest import make_settings

POSITIONS: tuple[Position, ...] = ("before", "after")


def learned_network(settings: TrainingSettings) -> Network:
    """Return a network whose numbers are all away from their start."""
    network, rng = draw_network(settings, SHAPE, np.random.RandomState(42)), np.random.default_rng(1)
    for values in network.learned:
        for array in values:
            array += rng.random(len(array))
    return network


@pytest.mark.parametrize(("arm", "position"), list(product(KINDS, POSITIONS)))
def test_guesses_are_those_of_each_batch_by_itself(dataset: Dataset, arm: Arm, position: Position) -> None:
    settings = make_settings(arm=arm, position=position, hidden_sizes=(20, 15), precision="float64")
    network = learned_network(settings)
    batches = np.random.default_rng(2).permutation(990).astype(np.int32).reshape(-1, 90)
    assert SURVEY_ROWS % 90 != 0 != 990 % (SURVEY_ROWS // 90 * 90)  # batches are neither split nor all fill a product
    before = {name: array.copy() for name, array in network.state().items()}
    surveyed = network.survey(dataset.train.pixels, batches)
    for name, array in network.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    for batch, guesses in zip(batches, surveyed.guesses, strict=True):
        logits = network.forward(dataset.train.take(batch).shown(np.float64))
        np.testing.assert_array_equal(guesses, logits.argmax(axis=1))
    assert len(np.unique(surveyed.guesses)) > 1  # there is something to compare


@pytest.mark.parametrize("size", [1, 7, SURVEY_ROWS + 1])
@pytest.mark.parametrize("position", POSITIONS)
def test_means_and_unbiased_variances_are_those_of_numpy(dataset: Dataset, size: int, position: Position) -> None:
    network = learned_network(make_settings(position=position, hidden_sizes=(5,), precision="float64"))
    batches = np.arange(900 // size * size, dtype=np.int32).reshape(-1, size)
    surveyed = network.survey(dataset.train.pixels, batches)
    means, variances = [], []
    for batch in batches:
        seen = network.step(dataset.train.take(batch).shown(np.float64), dataset.train.labels[batch], 0.0)
        normalized = [seen.z[0] if position == "before" else np.tanh(seen.z[0]), seen.z[1]]
        means.append(np.concatenate([values.mean(axis=0) for values in normalized]))
        if size > 1:
            variances.append(np.concatenate([values.var(axis=0, ddof=1) for values in normalized]))
    np.testing.assert_allclose(surveyed.mean, np.mean(means, axis=0), rtol=1e-12, atol=1e-12)
    if size > 1:
        np.testing.assert_allclose(surveyed.variance, np.mean(variances, axis=0), rtol=1e-12, atol=1e-12)
    else:
        assert np.isnan(surveyed.variance).all()


def test_layers_without_moving_averages_keep_theirs(dataset: Dataset) -> None:
    network = draw_network(make_settings(hidden_sizes=(5,), normalize_logits=False), SHAPE, np.random.RandomState(42))
    surveyed = network.survey(dataset.train.pixels, np.arange(600, dtype=np.int32).reshape(-1, 60))
    assert surveyed.mean[5:].tolist() == [0] * 10
    assert surveyed.variance[5:].tolist() == [1] * 10
    assert (surveyed.variance[:5] != 1).all()


def test_other_moving_averages_are_those_of_another_network_with_the_same_weights(dataset: Dataset) -> None:
    settings, images = make_settings(hidden_sizes=(20,)), dataset.validation
    network, expected = learned_network(settings), learned_network(settings)
    rng = np.random.default_rng(3)
    mean, variance = rng.normal(size=30), rng.random(30) + 0.5
    own = network.evaluate(images.pixels, images.labels)
    other = network.with_averages(mean, variance)
    expected.restore({**expected.state(), "mean": mean, "variance": variance})
    assert other.evaluate(images.pixels, images.labels) == expected.evaluate(images.pixels, images.labels) != own
    assert network.evaluate(images.pixels, images.labels) == own
    network.weights[0][:] = 0
    assert (other.weights[0] == 0).all()
