from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

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
from bnpipe.networks.kernels import one_thread

EPSILON = 1e-3
FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu}


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    with one_thread():
        yield


def slopes_of(products: list[Tensor]) -> list[Tensor]:
    return [z.grad for z in products if z.grad is not None]


def test_inputs_are_drawn_first_then_the_weights_then_the_gradient() -> None:
    draws, stream = draw(42), np.random.RandomState(42)
    assert (draws.inputs[:, 0].numpy() == stream.randn(500, 200)).all()
    assert len(draws.weights) == 11
    assert all((weight[0].numpy() == stream.randn(200, 200)).all() for weight in draws.weights)
    assert (draws.gradient[:, 0].numpy() == stream.randn(500, 200)).all()
    assert not torch.equal(draw(43).inputs, draws.inputs)


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_layers_are_as_autograd_has_them(activation: Activation, arm: Arm) -> None:
    draws, init_std = draw(7), 0.05
    hidden, products, outputs = draws.inputs[:, 0], [], []
    for weight in draws.weights:
        z = (hidden @ (weight[0] * init_std)).requires_grad_()
        z.retain_grad()
        products.append(z)
        if arm == "batchnorm":
            variance, mean = torch.var_mean(z, dim=0, correction=0)
            z = (z - mean) / torch.sqrt(variance + EPSILON)
        hidden = FUNCTIONS[activation](z)
        outputs.append(hidden.detach())
    (z * draws.gradient[:, 0]).sum().backward()  # type: ignore[no-untyped-call]
    squares = [float(z.detach().square().mean()) for z in products]
    gradients = [float(slope.square().sum(dim=1).mean()) for slope in slopes_of(products)]

    layers, histograms = measure_tutorial(draws, activation, arm, init_std, EPSILON)
    assert layers["layer"].tolist() == list(range(1, 11))
    np.testing.assert_allclose(layers["mean"], [float(values.mean()) for values in outputs[:10]], atol=1e-12)
    np.testing.assert_allclose(
        layers["standard_deviation"], [float(values.std(correction=0)) for values in outputs[:10]]
    )
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
