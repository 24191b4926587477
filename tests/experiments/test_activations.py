from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bnpipe.core.settings import Activation, Arm
from bnpipe.experiments.activations import (
    ACTIVATION_COLUMNS,
    HISTOGRAM_COLUMNS,
    INITIALIZATIONS,
    draw,
    histogram,
    make_activation_tables,
    measure_tutorial,
)
from bnpipe.networks.network import KINDS
from bnpipe.training.trainer import one_thread

Numbers = NDArray[np.float64]
Function = Callable[[Numbers], Numbers]

EPSILON = 1e-3
# A nonlinearity and its slope, given its output.
FUNCTIONS: dict[Activation, tuple[Function, Function]] = {
    "tanh": (np.tanh, lambda output: 1 - output**2),
    "relu": (lambda z: np.maximum(z, 0), lambda output: (output > 0).astype(float)),
}


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    with one_thread():
        yield


def test_inputs_are_drawn_first_then_the_weights_then_the_gradient() -> None:
    draws, stream = draw(42), np.random.RandomState(42)
    assert (draws.inputs == stream.randn(500, 200)).all()
    assert len(draws.weights) == 11
    assert all((weight == stream.randn(200, 200)).all() for weight in draws.weights)
    assert (draws.gradient == stream.randn(500, 200)).all()
    assert not np.array_equal(draw(43).inputs, draws.inputs)


def spread(z: Numbers) -> Numbers:
    std: Numbers = np.sqrt(z.var(axis=0) + EPSILON)
    return std


def normalized(z: Numbers) -> Numbers:
    x_hat: Numbers = (z - z.mean(axis=0)) / spread(z)
    return x_hat


def slope_of_normalized(z: Numbers, delta: Numbers) -> Numbers:
    """Return the gradient at z, given the one at what it becomes; all (images, units).

    dx_hat_i / dz_j = (1[i = j] - 1 / m - x_hat_i * x_hat_j / m) / sqrt(variance + epsilon).
    """
    x_hat = normalized(z)
    summed = delta.sum(axis=0) + x_hat * (x_hat * delta).sum(axis=0)
    slope: Numbers = (delta - summed / len(z)) / spread(z)
    return slope


def test_the_slope_of_normalization_is_that_of_differences() -> None:
    z, delta = np.random.default_rng(0).normal(size=(2, 5, 3))
    for place in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[place] = 1e-6
        difference = (normalized(z + step) - normalized(z - step)) / 2e-6
        assert (difference * delta).sum() == pytest.approx(slope_of_normalized(z, delta)[place], abs=1e-8)


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_layers_are_as_the_chain_rule_has_them(
    activation: Activation, arm: Arm, is_compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_compiled:
        monkeypatch.delitem(KINDS, arm)
    draws, init_std = draw(7), 0.05
    function, slope = FUNCTIONS[activation]
    hidden, products, outputs = draws.inputs, [], []
    for weight in draws.weights:
        z = hidden @ (weight * init_std)
        products.append(z)
        hidden = function(normalized(z) if arm == "batchnorm" else z)
        outputs.append(hidden)
    delta, deltas = draws.gradient, list[Numbers]()
    for layer in range(10, -1, -1):
        if layer < 10:  # the linear layer has no nonlinearity
            delta = delta @ (draws.weights[layer + 1] * init_std).T * slope(outputs[layer])
        if arm == "batchnorm":
            delta = slope_of_normalized(products[layer], delta)
        deltas.insert(0, delta)
    squares = [np.square(z).mean() for z in products]
    gradients = [np.square(delta).sum(axis=1).mean() for delta in deltas]

    layers, histograms = measure_tutorial(draws, activation, arm, init_std, EPSILON)
    assert layers["layer"].tolist() == list(range(1, 11))
    np.testing.assert_allclose(layers["mean"], [values.mean() for values in outputs[:10]], atol=1e-12)
    np.testing.assert_allclose(layers["standard_deviation"], [values.std() for values in outputs[:10]])
    np.testing.assert_allclose(layers["forward_growth"][1:], np.divide(squares[1:10], squares[:9]), rtol=1e-9)
    np.testing.assert_allclose(layers["backward_growth"], np.divide(gradients[:10], gradients[1:]), rtol=1e-9)
    assert np.isnan(layers["forward_growth"][0])
    counts = histograms[histograms["layer"] == 3]["count"].tolist()
    assert counts[1:-1] == np.histogram(outputs[2], bins=30, range=(-1, 1))[0].tolist()
    assert sum(counts) == 500 * 200


def test_histogram_by_hand() -> None:
    counts = histogram(np.array([-2.0, -1.0, -0.999, 0.0, 0.05, 1.0, 1.0, 1.001, 30.0]))
    filled = counts[counts["count"] > 0]
    expected = [[-np.inf, -1, 1], [-1, -14 / 15, 2], [0, 1 / 15, 2], [14 / 15, 1, 2], [1, np.inf, 2]]
    np.testing.assert_allclose(filled.to_numpy(), expected, atol=1e-12)
    assert len(counts) == 32


@pytest.mark.parametrize(
    ("arm", "activation", "initialization"),
    [
        ("vanilla", "tanh", "small"),
        ("vanilla", "tanh", "xavier"),
        ("vanilla", "tanh", "unit"),
        ("vanilla", "relu", "xavier"),
        ("batchnorm", "tanh", "small"),
        ("batchnorm", "tanh", "unit"),
        ("batchnorm", "relu", "small"),
        ("batchnorm", "relu", "xavier"),
    ],
)
def test_the_tutorials_networks_grow_as_theory_says(arm: Arm, activation: Activation, initialization: str) -> None:
    layers = pd.concat(
        measure_tutorial(draw(seed), activation, arm, INITIALIZATIONS[initialization], EPSILON)[0] for seed in range(4)
    )
    for direction in ("forward", "backward"):
        ratio = layers[f"{direction}_growth"] / layers[f"{direction}_theory"]
        assert ratio.count() == 4 * (9 if direction == "forward" else 10)
        assert ratio.mean() == pytest.approx(1, abs=0.05)
        if arm == "batchnorm" or activation == "tanh":
            assert ratio.groupby(layers["layer"]).mean().dropna().to_numpy() == pytest.approx(1, abs=0.05)


def activation_tables(folder: Path, seeds: Sequence[int]) -> tuple[list[str], list[str]]:
    paths = folder / "activations.csv", folder / "histograms.csv"
    make_activation_tables(["batchnorm"], seeds, seeds[0], EPSILON, *paths)
    return paths[0].read_text().splitlines(), paths[1].read_text().splitlines()


def test_activation_tables_are_complete_and_a_seed_is_the_same_with_others(tmp_path: Path) -> None:
    both, histograms = activation_tables(tmp_path / "both", [42, 43])
    assert both[0] == ",".join(ACTIVATION_COLUMNS)
    assert len(both) - 1 == 3 * 2 * 2 * 10
    assert histograms[0] == ",".join(HISTOGRAM_COLUMNS)
    assert len(histograms) - 1 == 3 * 2 * 10 * 32
    alone, histograms_alone = activation_tables(tmp_path / "alone", [42])
    assert [line for line in both if ",43," not in line] == alone
    assert histograms == histograms_alone
    assert pd.read_csv(tmp_path / "both/histograms.csv")["low"].min() == -np.inf
