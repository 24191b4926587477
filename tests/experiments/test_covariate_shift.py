from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Activation, Arm, TrainingSettings
from bnpipe.data.packed import Dataset, pack
from bnpipe.experiments.covariate_shift import (
    SHIFT_COLUMNS,
    compare,
    covariate_shift_table,
    gradient_shift,
    make_covariate_shift,
)
from bnpipe.networks.network import Network, draw_network
from bnpipe.networks.seeds import BatchOrder, initial_weights, streams_of
from bnpipe.training.trainer import Training
from tests.conftest import make_runs, make_settings

SEEDS = [42, 43]
BOTH: tuple[Arm, ...] = ("vanilla", "batchnorm")
TABLE = make_runs(SEEDS, hidden_sizes=(20, 20), steps=61)
RATE = 0.3


def test_change_and_cosine_by_hand() -> None:
    # (3, 4) and (3, 0): distance 4 of 5, cosine 9 / (5 * 3). Twice the gradient: distance 1, cosine 1.
    gradient = np.array([[3.0, 4.0]])
    assert compare(gradient, np.array([[3.0, 0.0]])) == pytest.approx((0.8, 0.6), rel=1e-15)
    assert compare(gradient.T, 2 * gradient.T) == pytest.approx((1.0, 1.0), rel=1e-15)


Numbers = NDArray[np.float64]
Parameters = list[list[NDArray[Any]]]  # of a layer: weights and bias, or weights, gamma and beta


def loss(layers: Parameters, activation: Activation, images: Numbers, labels: NDArray[np.int64]) -> Any:
    """Return the loss of one network, written down a second time: a function of complex numbers, too."""
    values: NDArray[Any] = images
    for weight, *rest in layers:
        z = values @ weight
        if len(rest) == 1:
            z = z + rest[0]
        else:
            centred = z - z.mean(axis=0)
            z = centred / np.sqrt((centred**2).mean(axis=0) + 1e-3) * rest[0] + rest[1]
        values = np.tanh(z) if activation == "tanh" else np.where(z.real > 0, z, 0)
    return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]).mean()


def gradients(layers: Parameters, *rest: Any) -> Parameters:
    """Differentiate the loss by a step along the imaginary axis: no difference is taken, and so no digits are lost."""
    inside = [[array.astype(np.complex128) for array in layer] for layer in layers]
    found = [[np.empty_like(array) for array in layer] for layer in layers]
    for layer, slopes in zip(inside, found, strict=True):
        for array, slope in zip(layer, slopes, strict=True):
            for place in np.ndindex(array.shape):
                array[place] += 1e-30j
                slope[place] = loss(inside, *rest).imag / 1e-30
                array[place] -= 1e-30j
    return found


def small(arm: Arm, activation: Activation) -> tuple[TrainingSettings, Network, Numbers, NDArray[np.int64]]:
    """Return a network of four layers on 8 pixels whose parameters are all away from their start, and a batch."""
    settings = make_settings(arm=arm, activation=activation, precision="float64")
    rng = np.random.default_rng(5)
    network = Network([rng.normal(size=size) / 2 for size in ((8, 6), (6, 5), (5, 4), (4, 10))], settings)
    for values in network.learned:
        for array in values:
            array += 0.1 * rng.random(len(array))
    return settings, network, rng.random((12, 8)), rng.integers(0, 10, 12)


def probe_for(network: Network, settings: TrainingSettings) -> Network:
    """Return a network of the same shape that holds something else."""
    return Network([weight + 1 for weight in network.weights], settings)


@pytest.mark.parametrize(("arm", "activation"), list(product(BOTH, ("tanh", "relu"))))
def test_the_shift_is_what_differentiation_says(arm: Arm, activation: Activation) -> None:
    settings, network, images, labels = small(arm, activation)
    change, cosine = gradient_shift(network, probe_for(network, settings), images, labels, RATE)
    assert change.shape == cosine.shape == (3,)
    own = zip(network.weights, network.parameters, strict=True)
    before, batch = [[weight, *learned.values()] for weight, learned in own], (activation, images, labels)
    slopes = gradients(before, *batch)
    after = [[p - RATE * g for p, g in zip(*layer, strict=True)] for layer in zip(before, slopes, strict=True)]
    for layer in (1, 2, 3):
        g = slopes[layer][0].ravel()
        shifted = gradients([*after[:layer], *before[layer:]], *batch)[layer][0].ravel()
        norms = np.linalg.norm(g), np.linalg.norm(shifted)
        assert change[layer - 1] == pytest.approx(np.linalg.norm(shifted - g) / norms[0], rel=1e-9)
        assert cosine[layer - 1] == pytest.approx(g @ shifted / norms[0] / norms[1], rel=1e-12)
        assert change[layer - 1] > 1e-3  # there is something to compare


@pytest.mark.parametrize("arm", BOTH)
def test_measuring_leaves_the_network_as_it_is(arm: Arm) -> None:
    settings, network, images, labels = small(arm, "tanh")
    kept = {name: array.copy() for name, array in network.state().items()}
    probe = probe_for(network, settings)
    first = gradient_shift(network, probe, images, labels, RATE)
    for name, array in network.state().items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
    again = gradient_shift(network, probe, images, labels, RATE)  # whatever the probe holds
    np.testing.assert_array_equal(again, first)


def test_a_smaller_step_shifts_less_in_proportion() -> None:
    settings, network, images, labels = small("batchnorm", "tanh")
    probe = probe_for(network, settings)
    larger, smaller = (gradient_shift(network, probe, images, labels, rate)[0] for rate in (2e-5, 1e-5))
    np.testing.assert_allclose(smaller / larger, 0.5, rtol=1e-3)


@pytest.mark.parametrize("arm", BOTH)
def test_the_table_holds_each_steps_own_update(dataset: Dataset, arm: Arm) -> None:
    runs = TABLE.change(arm=arm)
    table = covariate_shift_table("tanh", runs, dataset.train)
    assert list(table.columns) == SHIFT_COLUMNS
    keys = [("tanh", arm, seed, step, layer) for seed in SEEDS for step in (0, 60) for layer in (2, 3)]
    assert list(table[SHIFT_COLUMNS[:5]].itertuples(index=False, name=None)) == keys

    for seed in SEEDS:
        at_60 = table[(table["seed"] == seed) & (table["step"] == 60)]
        streams = streams_of([seed])
        initial_weights(streams[0], runs.settings.layer_sizes, runs.settings.init_std)
        batch = dataset.train.take(BatchOrder(streams, len(dataset.train), 60).next_batches(61)[60, :, 0])
        training = Training(runs.settings, seed, dataset.train)
        probe = draw_network(replace(runs.settings, precision="float64"), streams[0])
        training.advance(60)
        shift = gradient_shift(training.network, probe, batch.shown(np.float64), batch.labels, 0.01)
        np.testing.assert_allclose(at_60["relative_change"], shift[0], rtol=1e-6)
        np.testing.assert_allclose(at_60["cosine"], shift[1], rtol=1e-9)
        probe.restore(training.network.state())
        expected = probe.step(batch.shown(np.float64), batch.labels, 0.01).loss
        assert training.advance(1)[0] == pytest.approx(expected, rel=1e-5)  # the batch is the one of step 60


def test_a_run_measures_the_same_alone(dataset: Dataset) -> None:
    runs = TABLE.change(learning_rate=[0.01, 1.0])
    stack, alone = (covariate_shift_table("tanh", each, dataset.train) for each in (runs, runs[1:]))
    of_43 = stack[stack["seed"] == 43].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, of_43, rtol=1e-12)


def test_a_gradient_of_zero_has_no_shift_and_the_table_is_written(dataset: Dataset, tmp_path: Path) -> None:
    # Weights of zero under relu: nothing gets through, in either direction.
    settings = make_settings(arm="vanilla", activation="relu", init_std=0.0, hidden_sizes=(8,), steps=1)
    files = dataset.train.pixels.reshape(-1, 28, 28), dataset.train.labels.astype(np.uint8)
    pack(files, files, 100, tmp_path / "packed.safetensors")
    make_covariate_shift("relu", asdict(settings), [42], tmp_path / "packed.safetensors", tmp_path / "shift.csv")
    assert (tmp_path / "shift.csv").read_text() == f"{','.join(SHIFT_COLUMNS)}\nrelu,vanilla,42,0,2,,\n"
    assert read_table(tmp_path / "shift.csv")["cosine"].isna().all()
