from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Activation, Arm, Runs
from bnpipe.data.packed import Dataset, pack
from bnpipe.experiments.covariate_shift import (
    SHIFT_COLUMNS,
    compare,
    covariate_shift_table,
    gradient_shift,
    make_covariate_shift,
)
from bnpipe.networks.network import StackedNetwork, cross_entropy
from bnpipe.networks.seeds import BatchOrder, initial_weights, streams_of
from bnpipe.training.trainer import Training, build_network
from tests.conftest import make_runs, make_settings

SEEDS = [42, 43]
BOTH: tuple[Arm, ...] = ("vanilla", "batchnorm")
TABLE = make_runs(SEEDS, hidden_sizes=(20, 20), steps=61)
RATES = torch.full((2, 1), 0.3, dtype=torch.float64)


def test_change_and_cosine_by_hand() -> None:
    # (3, 4) and (3, 0): distance 4 of 5, cosine 9 / (5 * 3). Twice the gradient: distance 1, cosine 1.
    gradient = torch.tensor([[[3.0, 4.0]], [[3.0, 4.0]]], dtype=torch.float64)
    shifted = torch.tensor([[[3.0, 0.0]], [[6.0, 8.0]]], dtype=torch.float64)
    change, cosine = compare(gradient, shifted)
    assert change.tolist() == pytest.approx([0.8, 1.0], rel=1e-15)
    assert cosine.tolist() == pytest.approx([0.6, 1.0], rel=1e-15)


Parameters = list[list[Tensor]]  # of a layer: weights and bias, or weights, gamma and beta


def loss(layers: Parameters, activation: Activation, images: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of one network, written down a second time for autograd."""
    values = images
    for weight, *rest in layers:
        z = values @ weight
        if len(rest) == 1:
            z = z + rest[0]
        else:
            variance, mean = torch.var_mean(z, dim=0, correction=0)
            z = (z - mean) / torch.sqrt(variance + 1e-3) * rest[0] + rest[1]
        values = torch.tanh(z) if activation == "tanh" else torch.relu(z)
    return torch.nn.functional.cross_entropy(z, labels)


def gradients(layers: Parameters, *rest: object) -> Parameters:
    leaves = [[tensor.clone().requires_grad_() for tensor in layer] for layer in layers]
    flat = torch.autograd.grad(loss(leaves, *rest), [tensor for layer in leaves for tensor in layer])  # type: ignore[arg-type]
    remaining = iter(flat)
    return [[next(remaining) for _ in layer] for layer in leaves]


def parameters(network: StackedNetwork, run: int) -> Parameters:
    return [
        [weight[run], *(tensor.view(len(SEEDS), -1)[run] for tensor in transform.parameters().values())]
        for weight, transform in network.layers
    ]


def small(arm: Arm, activation: Activation) -> tuple[Runs, StackedNetwork, Tensor, Tensor]:
    """Return two networks of four layers whose parameters are all away from their start, and a batch for each."""
    runs = make_runs(
        SEEDS,
        arm=arm,
        activation=activation,
        hidden_sizes=(6, 5, 4),
        init_std=0.5,
        learning_rate=0.3,
        precision="float64",
    )
    network = build_network(runs, streams_of(SEEDS))
    generator = torch.Generator().manual_seed(5)
    for _, transform in network.layers:
        for tensor in transform.state().values():
            tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator, dtype=torch.float64))
    images = torch.rand(12, 2, 784, generator=generator, dtype=torch.float64)
    return runs, network, images, torch.randint(0, 10, (12, 2), generator=generator)


@pytest.mark.parametrize(("arm", "activation"), list(product(BOTH, ("tanh", "relu"))))
def test_the_shift_is_what_autograd_says(arm: Arm, activation: Activation) -> None:
    runs, network, images, labels = small(arm, activation)
    probe = build_network(runs, streams_of(SEEDS))
    change, cosine = gradient_shift(network, probe, images, labels, RATES)
    assert change.shape == cosine.shape == (3, 2)
    for run in range(2):
        before, batch = parameters(network, run), (activation, images[:, run], labels[:, run])
        slopes = gradients(before, *batch)
        after = [[p - 0.3 * g for p, g in zip(*layer, strict=True)] for layer in zip(before, slopes, strict=True)]
        for layer in (1, 2, 3):
            g = slopes[layer][0]
            g_shifted = gradients([*after[:layer], *before[layer:]], *batch)[layer][0]
            assert change[layer - 1, run].item() == pytest.approx(((g_shifted - g).norm() / g.norm()).item(), rel=1e-9)
            expected = (g_shifted.flatten() @ g.flatten() / g.norm() / g_shifted.norm()).item()
            assert cosine[layer - 1, run].item() == pytest.approx(expected, rel=1e-12)
            assert change[layer - 1, run] > 1e-3  # there is something to compare


@pytest.mark.parametrize("arm", BOTH)
def test_measuring_leaves_the_network_as_it_is(arm: Arm) -> None:
    runs, network, images, labels = small(arm, "tanh")
    kept = {name: tensor.clone() for name, tensor in network.state().items()}
    probe = build_network(runs, streams_of(SEEDS))
    first = gradient_shift(network, probe, images, labels, RATES)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in network.state().items())
    again = gradient_shift(network, probe, images, labels, RATES)  # whatever the probe holds
    assert all(torch.equal(*values) for values in zip(first, again, strict=True))


def test_a_smaller_step_shifts_less_in_proportion() -> None:
    runs, network, images, labels = small("batchnorm", "tanh")
    probe = build_network(runs, streams_of(SEEDS))
    large, small_one = (
        gradient_shift(network, probe, images, labels, torch.full_like(RATES, rate))[0] for rate in (2e-5, 1e-5)
    )
    torch.testing.assert_close(small_one / large, torch.full_like(large, 0.5), rtol=1e-3, atol=0)


@pytest.mark.parametrize("arm", BOTH)
def test_the_table_holds_each_steps_own_update(dataset: Dataset, arm: Arm) -> None:
    runs = TABLE.change(arm=arm)
    table = covariate_shift_table("tanh", runs, dataset.train)
    assert list(table.columns) == SHIFT_COLUMNS
    keys = [("tanh", arm, seed, step, layer) for seed in SEEDS for step in (0, 60) for layer in (2, 3)]
    assert list(table[SHIFT_COLUMNS[:5]].itertuples(index=False, name=None)) == keys

    streams = streams_of(SEEDS)
    for stream in streams:
        initial_weights(stream, runs.settings.layer_sizes, runs.settings.init_std)
    indices = BatchOrder(streams, len(dataset.train), 60).next_batches(61)[60]
    images, labels = dataset.train.batch(torch.from_numpy(indices))
    training = Training(runs, dataset.train)
    probe = build_network(runs.change(precision="float64"), streams)
    with torch.inference_mode():
        training.advance(60)
        change, cosine = gradient_shift(training.network, probe, images.double(), labels, torch.full_like(RATES, 0.01))
        at_60 = table[table["step"] == 60]
        np.testing.assert_allclose(at_60["relative_change"], change.T.flatten(), rtol=1e-6)
        np.testing.assert_allclose(at_60["cosine"], cosine.T.flatten(), rtol=1e-9)
        expected, _ = cross_entropy(training.network.forward(images), labels)
        assert torch.equal(training.advance(1)[0], expected)  # the batch is the one of step 60


def test_a_run_measures_the_same_alone(dataset: Dataset) -> None:
    runs = TABLE.change(learning_rate=[0.01, 1.0])
    stack, alone = (covariate_shift_table("tanh", each, dataset.train) for each in (runs, runs[1:]))
    of_43 = stack[stack["seed"] == 43].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, of_43, rtol=1e-12)


def test_a_gradient_of_zero_has_no_shift_and_the_table_is_written(dataset: Dataset, tmp_path: Path) -> None:
    # Weights of zero under relu: nothing gets through, in either direction.
    settings = make_settings(arm="vanilla", activation="relu", init_std=0.0, hidden_sizes=(8,), steps=1)
    files = (dataset.train.pixels.view(-1, 28, 28).numpy(), dataset.train.labels.to(torch.uint8).numpy())
    pack(files, files, 100, tmp_path / "packed.safetensors")
    make_covariate_shift("relu", asdict(settings), [42], tmp_path / "packed.safetensors", tmp_path / "shift.csv")
    assert (tmp_path / "shift.csv").read_text() == f"{','.join(SHIFT_COLUMNS)}\nrelu,vanilla,42,0,2,,\n"
    assert read_table(tmp_path / "shift.csv")["cosine"].isna().all()
