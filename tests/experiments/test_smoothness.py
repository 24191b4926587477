from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.made_up import SHAPE
from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Activation, Arm
from bnpipe.data.packed import Dataset
from bnpipe.experiments.along_training import probe_of
from bnpipe.experiments.smoothness import (
    LEARNED,
    RATE_MULTIPLES,
    SMOOTHNESS_COLUMNS,
    Smoothness,
    gradient_at,
    learned_by,
    make_smoothness,
    smoothness,
    smoothness_table,
)
from bnpipe.networks.network import Network
from bnpipe.training.trainer import Training, network_arithmetic
from tests.conftest import make_runs, make_settings
from tests.experiments.differentiation import Parameters, gradients, loss, parameters, probe_for, small
from tests.experiments.tuning import batch_of_step, packed_images, write_tuning

BOTH: tuple[Arm, ...] = ("vanilla", "batchnorm")
RATE = 0.3


def test_step_sizes_go_from_a_quarter_to_four_learning_rates() -> None:
    np.testing.assert_allclose(RATE_MULTIPLES[[0, 2, 4, 6, 8]], [0.25, 0.5, 1, 2, 4], rtol=1e-15)


def test_a_network_of_two_logits_by_hand() -> None:
    # One pixel of 1, two classes, label 0. Weights 1, -1 and biases -1, 1 make both logits 0: g = (-1, 1, -1, 1) / 2.
    # A step of size c makes the logits c and -c; then the second softmax is p = 1 / (1 + e^2c), the loss ln(1 + e^-2c),
    # g = (-p, p, -p, p), and the change 2 (1/2 - p) = tanh(c). If only the weights move, logits are c / 2 and -c / 2:
    # the change at the weights is sqrt(2) tanh(c / 2) / 2, the way c / sqrt(2), and ||W||^2 is 2.
    settings = make_settings(arm="vanilla", precision="float64")
    network = Network([np.array([[1.0, -1.0]])], settings)
    network.numbers.beta[:] = [-1, 1]
    found = smoothness(network, probe_for(network, settings), np.ones((1, 1)), np.zeros(1, np.int64), learning_rate=0.5)
    smallest, largest = 0.125, 2.0  # c: the change is the largest at the largest, tanh(c / 2) / c at the smallest
    assert found == pytest.approx(
        Smoothness(
            rate_multiple=4,
            gradient_change=np.tanh(largest),
            loss_range=np.log1p(np.exp(-2 * smallest)) - np.log1p(np.exp(-2 * largest)),
            scale_free=2 * np.tanh(smallest / 2) / smallest,
        ),
        rel=1e-12,
    )


def flat(layers: Parameters) -> NDArray[np.float64]:
    return np.concatenate([array.ravel() for layer in layers for array in layer])


@pytest.mark.parametrize(("arm", "activation"), list(product(BOTH, ("tanh", "relu"))))
def test_it_is_what_differentiation_says(arm: Arm, activation: Activation) -> None:
    settings, network, images, labels = small(arm, activation)
    found = smoothness(network, probe_for(network, settings), images, labels, RATE)
    here, batch = parameters(network), (activation, images, labels)
    slopes = gradients(here, *batch)
    changes, losses, scale_free = [], [], []
    size = np.linalg.norm(np.concatenate([weight.ravel() for weight, *_ in here]))
    for multiple in RATE_MULTIPLES:
        step = multiple * RATE
        there = [[p - step * g for p, g in zip(*layer, strict=True)] for layer in zip(here, slopes, strict=True)]
        losses.append(loss(there, *batch).real)
        changes.append(np.linalg.norm(flat(gradients(there, *batch)) - flat(slopes)))
        there = [[w - step * g, *rest] for (w, *rest), (g, *_) in zip(here, slopes, strict=True)]
        moved = [(w - own).ravel() for (w, *_), (own, *_) in zip(there, here, strict=True)]
        changed = [(w - own).ravel() for (w, *_), (own, *_) in zip(gradients(there, *batch), slopes, strict=True)]
        scale_free.append(np.linalg.norm(np.concatenate(changed)) / np.linalg.norm(np.concatenate(moved)) * size**2)
    assert found.gradient_change == pytest.approx(max(changes), rel=1e-9)
    assert found.rate_multiple == RATE_MULTIPLES[np.argmax(changes)]
    assert found.loss_range == pytest.approx(max(losses) - min(losses), rel=1e-9)
    assert found.scale_free == pytest.approx(max(scale_free), rel=1e-9)


def test_the_scale_of_normalized_weights_matters_but_for_the_scale_free_form() -> None:
    found = []
    for a in (1.0, 3.0):
        settings, network, images, labels = small("batchnorm", "tanh", epsilon=1e-3 * a**2)
        network.numbers.weights[:] *= a
        found.append(smoothness(network, probe_for(network, settings), images, labels, RATE * a**2))
    assert found[1].scale_free == pytest.approx(found[0].scale_free, rel=1e-9)
    assert abs(np.log(found[1].gradient_change / found[0].gradient_change)) > 0.1


@pytest.mark.parametrize("arm", BOTH)
def test_measuring_leaves_the_network_as_it_is_and_moving_averages_do_not_matter(arm: Arm) -> None:
    settings, network, images, labels = small(arm, "tanh")
    kept = {name: array.copy() for name, array in network.state().items()}
    probe = probe_for(network, settings)
    first = smoothness(network, probe, images, labels, RATE)
    for name, array in network.state().items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
    network.numbers.mean[:], network.numbers.variance[:] = 5, 7
    assert smoothness(network, probe, images, labels, RATE) == first  # whatever the probe holds


def test_overflow_on_the_way_is_infinite_and_at_its_start_unknown() -> None:
    settings, network, images, labels = small("vanilla", "relu")
    probe = probe_for(network, settings)
    with network_arithmetic():
        far = smoothness(network, probe, images, labels, learning_rate=1e200)
        assert (far.gradient_change, far.loss_range, far.scale_free) == (np.inf, np.inf, np.inf)
        network.numbers.weights[0] = np.nan
        assert np.isnan(smoothness(network, probe, images, labels, RATE)).all()


@pytest.mark.parametrize("arm", BOTH)
def test_the_table_holds_each_steps_own_gradient(dataset: Dataset, arm: Arm) -> None:
    runs = make_runs([42, 43], arm=arm, hidden_sizes=(20, 20), steps=61, learning_rate=0.1)
    table = smoothness_table("tanh", runs, dataset.train)
    assert list(table.columns) == SMOOTHNESS_COLUMNS
    keys = [("tanh", arm, seed, step) for seed in (42, 43) for step in (0, 60)]
    assert list(table[SMOOTHNESS_COLUMNS[:4]].itertuples(index=False, name=None)) == keys
    batch = batch_of_step(60, 43, runs.settings, dataset.train)
    training = Training(runs.settings, 43, dataset.train)
    training.advance(60)
    expected = smoothness(training.network, probe_of(runs.settings, SHAPE), batch.shown(np.float64), batch.labels, 0.1)
    np.testing.assert_allclose(table.iloc[3][SMOOTHNESS_COLUMNS[4:]].astype(float), expected, rtol=1e-6)


def test_gamma_and_beta_move_along_the_gradient_whatever_their_own_rate(dataset: Dataset) -> None:
    runs = make_runs([42], hidden_sizes=(20, 20), steps=1)
    own = smoothness_table("tanh", runs.change(parameter_rate=0.1), dataset.train)
    assert own.equals(smoothness_table("tanh", runs, dataset.train))


def test_the_gradient_is_of_all_that_is_learned() -> None:
    settings, network, images, labels = small("batchnorm", "tanh")
    point = learned_by(network)
    assert len(point) == sum(network.state()[name].size for name in LEARNED)
    probe = probe_for(network, settings)
    _, gradient = gradient_at(probe, point, images, labels)
    slopes = gradients(parameters(network), "tanh", images, labels)
    kinds = [np.concatenate([layer[kind].ravel() for layer in slopes]) for kind in range(3)]
    np.testing.assert_allclose(gradient, np.concatenate(kinds), rtol=1e-9, atol=1e-15)


def test_the_table_of_the_chosen_rate_is_written(dataset: Dataset, tmp_path: Path) -> None:
    settings = make_settings(arm="vanilla", activation="relu", init_std=0.0, hidden_sizes=(8,))
    tuning, table = write_tuning(tmp_path, {0.25: True}), tmp_path / "smoothness.csv"
    make_smoothness("relu", asdict(settings), [42], tuning, packed_images(tmp_path, dataset), table)
    written = read_table(table)
    assert list(written.columns) == SMOOTHNESS_COLUMNS
    assert written["step"].tolist() == list(range(0, 601, 60))
    assert written["scale_free"].isna().all()  # no gradient gets to the weights
    assert (written["gradient_change"] > 0).all()  # the biases of the logits learn
