from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest

from bnpipe.core.settings import Activation, BuiltInActivation, Precision, TrainingSettings
from bnpipe.networks.first_batch import normalize_first_batch
from bnpipe.networks.network import Network
from tests.conftest import make_settings

SIZES = [6, 8, 4, 5]
EPSILON = 1e-3


def drawn(**changes: Any) -> tuple[Network, TrainingSettings]:
    rng = np.random.default_rng(3)
    settings = make_settings(arm="firstbatch", **{"precision": "float64", **changes})
    return Network([rng.normal(size=size) for size in pairwise(SIZES)], settings), settings


def some_images() -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(4).random((30, SIZES[0]))


def inputs_of_nonlinearities(network: Network) -> list[np.ndarray[Any, Any]]:
    """Return zW + b of every layer for the images."""
    biases = [own["beta"].copy() for own in network.parameters]
    images = some_images().astype(network.number)
    seen = network.step_from(images, np.zeros((len(images), SIZES[-1]), network.number))
    return [z + bias for z, bias in zip(seen.z, biases, strict=True)]


def test_one_layer_by_hand() -> None:
    # Two images of one pixel, 1 and 3, weight 2: products 2 and 6, mean 4, variance 4; with epsilon 5 deviation 3.
    settings = make_settings(arm="firstbatch", hidden_sizes=(), precision="float64", epsilon=5.0)
    network = Network([np.array([[2.0]])], settings)
    normalize_first_batch(network, settings, np.array([[1.0], [3.0]]))
    assert network.weights[0].item() == pytest.approx(2 / 3, rel=1e-14)
    assert network.parameters[0]["beta"].item() == pytest.approx(-4 / 3, rel=1e-14)


@pytest.mark.parametrize("activation", get_args(BuiltInActivation))
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_every_unit_has_mean_0_and_variance_1_up_to_epsilon(
    activation: Activation, precision: Precision, tolerance: float
) -> None:
    network, settings = drawn(activation=activation, precision=precision, position="after")
    before = inputs_of_nonlinearities(network)
    normalize_first_batch(network, settings, some_images())
    after = inputs_of_nonlinearities(network)
    for values in after:
        np.testing.assert_allclose(values.mean(axis=0), 0, rtol=0, atol=tolerance)
    variance = before[0].var(axis=0)
    np.testing.assert_allclose(after[0].var(axis=0), variance / (variance + EPSILON), rtol=tolerance)
    for values in after[1:]:
        np.testing.assert_allclose(values.var(axis=0), 1, rtol=0, atol=0.05)  # before, they were above 0.02
        assert (values.var(axis=0) < 1).all()


@pytest.mark.parametrize("activation", get_args(BuiltInActivation))
@pytest.mark.parametrize("changes", [{}, {"normalize_logits": False}, {"normalize_hidden": False}])
def test_it_starts_as_the_batch_normalized_network_does(activation: Activation, changes: dict[str, bool]) -> None:
    network, settings = drawn(activation=activation, **changes)
    twin = Network(network.weights, make_settings(precision="float64", activation=activation, **changes))
    normalize_first_batch(network, settings, some_images())
    expected = twin.forward(some_images())
    np.testing.assert_allclose(network.forward(some_images()), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(network.infer(some_images()), expected, rtol=1e-10, atol=1e-12)
    assert not np.allclose(twin.forward(some_images() ** 2), network.forward(some_images() ** 2))  # other images


@pytest.mark.parametrize(
    ("changes", "kept"), [({"normalize_logits": False}, [2]), ({"normalize_hidden": False}, [0, 1])]
)
def test_layers_that_are_not_normalized_keep_their_weights(changes: dict[str, bool], kept: list[int]) -> None:
    network, settings = drawn(**changes)
    before = [weight.copy() for weight in network.weights]
    normalize_first_batch(network, settings, some_images())
    for layer, (weight, own) in enumerate(zip(network.weights, network.parameters, strict=True)):
        assert np.array_equal(weight, before[layer]) == (layer in kept)
        assert (own["beta"] == 0).all() == (layer in kept)


def test_a_unit_that_is_the_same_for_all_images_gets_finite_weights() -> None:
    network, settings = drawn(activation="relu")
    network.weights[0][:, 2] = 0
    normalize_first_batch(network, settings, some_images())
    assert all(np.isfinite(array).all() for array in network.state().values())
    assert (network.weights[0][:, 2] == 0).all()
