from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.made_up import SHAPE
from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Activation, Arm
from bnpipe.data.packed import Dataset
from bnpipe.experiments.along_training import probe_of
from bnpipe.experiments.gradient_shift import (
    GRADIENT_COLUMNS,
    compare,
    gradient_shift,
    gradient_shift_table,
    make_gradient_shift,
)
from bnpipe.training.trainer import Training
from tests.conftest import make_runs, make_settings
from tests.experiments.differentiation import gradients, parameters, probe_for, small
from tests.experiments.tuning import batch_of_step, packed_images, write_tuning

SEEDS = [42, 43]
BOTH: tuple[Arm, ...] = ("vanilla", "batchnorm")
TABLE = make_runs(SEEDS, hidden_sizes=(20, 20), steps=61)
RATE = 0.3


def test_changes_and_cosine_by_hand() -> None:
    # (3, 4) and (3, 0): distance 4 of 5, cosine 9 / (5 * 3). Twice the gradient: distance 5 of 5, cosine 1.
    gradient = np.array([[3.0, 4.0]])
    assert compare(gradient, np.array([[3.0, 0.0]])) == pytest.approx((0.8, 4.0, 0.6), rel=1e-15)
    assert compare(gradient.T, 2 * gradient.T) == pytest.approx((1.0, 5.0, 1.0), rel=1e-15)


@pytest.mark.parametrize(("arm", "activation"), list(product(BOTH, ("tanh", "relu"))))
def test_the_shift_is_what_differentiation_says(arm: Arm, activation: Activation) -> None:
    settings, network, images, labels = small(arm, activation)
    shifts = gradient_shift(network, probe_for(network, settings), images, labels, RATE)
    assert len(shifts) == 3
    before, batch = parameters(network), (activation, images, labels)
    slopes = gradients(before, *batch)
    after = [[p - RATE * g for p, g in zip(*layer, strict=True)] for layer in zip(before, slopes, strict=True)]
    for layer, shift in enumerate(shifts, start=1):
        g = slopes[layer][0].ravel()
        shifted = gradients([*after[:layer], *before[layer:]], *batch)[layer][0].ravel()
        norms = np.linalg.norm(g), np.linalg.norm(shifted)
        assert shift.absolute_change == pytest.approx(np.linalg.norm(shifted - g), rel=1e-9)
        assert shift.relative_change == pytest.approx(np.linalg.norm(shifted - g) / norms[0], rel=1e-9)
        assert shift.cosine == pytest.approx(g @ shifted / norms[0] / norms[1], rel=1e-12)
        assert shift.relative_change > 1e-3  # there is something to compare


@pytest.mark.parametrize("arm", BOTH)
def test_measuring_leaves_the_network_as_it_is(arm: Arm) -> None:
    settings, network, images, labels = small(arm, "tanh")
    kept = {name: array.copy() for name, array in network.state().items()}
    probe = probe_for(network, settings)
    first = gradient_shift(network, probe, images, labels, RATE)
    for name, array in network.state().items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
    assert gradient_shift(network, probe, images, labels, RATE) == first  # whatever the probe holds


def test_a_smaller_step_shifts_less_in_proportion() -> None:
    settings, network, images, labels = small("batchnorm", "tanh")
    probe = probe_for(network, settings)
    larger, smaller = (np.array(gradient_shift(network, probe, images, labels, rate)) for rate in (2e-5, 1e-5))
    np.testing.assert_allclose(smaller[:, :2] / larger[:, :2], 0.5, rtol=1e-3)


@pytest.mark.parametrize("arm", BOTH)
def test_the_table_holds_each_steps_own_update(dataset: Dataset, arm: Arm) -> None:
    runs = TABLE.change(arm=arm)
    table = gradient_shift_table("tanh", runs, dataset.train)
    assert list(table.columns) == GRADIENT_COLUMNS
    keys = [("tanh", arm, seed, step, layer) for seed in SEEDS for step in (0, 60) for layer in (2, 3)]
    assert list(table[GRADIENT_COLUMNS[:5]].itertuples(index=False, name=None)) == keys
    for seed in SEEDS:
        at_60 = table[(table["seed"] == seed) & (table["step"] == 60)]
        batch = batch_of_step(60, seed, runs.settings, dataset.train)
        training = Training(runs.settings, seed, dataset.train)
        training.advance(60)
        images = batch.shown(np.float64), batch.labels
        expected = gradient_shift(training.network, probe_of(runs.settings, SHAPE), *images, learning_rate=0.01)
        np.testing.assert_allclose(at_60[GRADIENT_COLUMNS[5:]], expected, rtol=1e-6)


def test_a_run_measures_the_same_alone(dataset: Dataset) -> None:
    runs = TABLE.change(learning_rate=[0.01, 1.0])
    stack, alone = (gradient_shift_table("tanh", each, dataset.train) for each in (runs, runs[1:]))
    of_43 = stack[stack["seed"] == 43].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, of_43, rtol=1e-12)


def test_a_gradient_of_zero_has_no_relative_shift_and_the_table_is_written(dataset: Dataset, tmp_path: Path) -> None:
    # Weights of zero under relu: nothing gets through, in either direction.
    settings = make_settings(arm="vanilla", activation="relu", init_std=0.0, hidden_sizes=(8,))
    tuning = write_tuning(tmp_path, {0.25: True})
    table = tmp_path / "shift.csv"
    make_gradient_shift("relu", asdict(settings), [42], tuning, packed_images(tmp_path, dataset), table)
    lines = table.read_text().splitlines()
    assert lines[:2] == [",".join(GRADIENT_COLUMNS), "relu,vanilla,42,0,2,,0,"]
    written = read_table(table)
    assert written["step"].tolist() == list(range(0, 601, 60))
    assert written["cosine"].isna().all()
