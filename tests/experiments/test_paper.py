from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Arm, Runs
from bnpipe.data.packed import Dataset, pack
from bnpipe.experiments import paper
from bnpipe.experiments.paper import (
    ACCURACY_COLUMNS,
    PERCENTILE_COLUMNS,
    inputs_of_last_hidden,
    make_paper,
    paper_tables,
)
from bnpipe.training.train import train_runs
from bnpipe.training.trainer import Training, one_thread
from tests.conftest import make_settings

PAPER = make_settings(
    activation="sigmoid", hidden_sizes=(9, 8, 7), binarize=True, normalize_logits=False, learning_rate=0.3, steps=131
)
SEEDS = [42, 43]
RUNS = Runs.of_seeds(PAPER, SEEDS)


DOUBLE = replace(PAPER, precision="float64")


def trained(arm: Arm, dataset: Dataset, steps: int = 60, seed: int = 42) -> Training:
    training = Training(replace(DOUBLE, arm=arm), seed, dataset.train)
    with one_thread():
        training.advance(steps)
    return training


def probe_of(dataset: Dataset, images: int = 200) -> NDArray[np.float64]:
    return (dataset.train.pixels[:images] >= 128).astype(np.float64)


def entering(training: Training, arm: Arm, probe: NDArray[np.float64]) -> NDArray[np.floating]:
    return inputs_of_last_hidden(training.network, replace(DOUBLE, arm=arm), probe)


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_what_enters_the_sigmoids_is_that_of_numpy(arm: Arm, dataset: Dataset) -> None:
    training, values = trained(arm, dataset), probe_of(dataset)
    found = entering(training, arm, values)
    assert found.shape == (200, 7)
    for weight, learned in [*zip(training.network.weights, training.network.learned, strict=True)][:3]:
        z = values @ weight
        if arm == "batchnorm":
            z = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-3) * learned.gamma
        expected = z + learned.beta
        values = 1 / (1 + np.exp(-expected))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_what_enters_is_not_normalized_if_the_settings_leave_hidden_layers_out(dataset: Dataset) -> None:
    settings, probe = replace(DOUBLE, normalize_hidden=False, normalize_logits=True), probe_of(dataset)
    training = Training(settings, 42, dataset.train)
    training.advance(5)
    below = training.network.step(probe, dataset.train.labels[:200], 0.0).output[1]
    expected = below @ training.network.weights[2] + training.network.learned[2].beta
    found = inputs_of_last_hidden(training.network, settings, probe)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_the_sigmoid_of_what_enters_is_what_the_network_passes_on(arm: Arm, dataset: Dataset) -> None:
    training, probe = trained(arm, dataset), probe_of(dataset)
    found = 1 / (1 + np.exp(-entering(training, arm, probe)))
    seen = training.network.step(probe, dataset.train.labels[:200], 0.1)
    np.testing.assert_allclose(found, seen.output[2], rtol=0, atol=1e-14)


def test_looking_leaves_the_network_as_it_is(dataset: Dataset) -> None:
    training = trained("batchnorm", dataset, steps=5)
    before = {name: array.copy() for name, array in training.network.state().items()}
    entering(training, "batchnorm", probe_of(dataset))
    for name, array in training.network.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_batch_normalization_keeps_what_enters_at_beta_and_gamma(dataset: Dataset) -> None:
    training = trained("batchnorm", dataset)
    found, learned = entering(training, "batchnorm", probe_of(dataset)), training.network.learned[2]
    np.testing.assert_allclose(found.mean(axis=0), learned.beta, rtol=0, atol=1e-12)
    assert (found.std(axis=0) < learned.gamma).all()  # by epsilon


def test_percentiles_are_those_of_unit_0_over_the_probe(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of 21 images in order of their values the 4th, 11th and 18th: 15%, 50% and 85% of the way from first to last.
    monkeypatch.setattr(paper, "PROBE_IMAGES", 21)
    _, table = paper_tables(RUNS.change(arm="vanilla", steps=60, precision="float64"), dataset)
    assert list(table.columns) == PERCENTILE_COLUMNS
    last = table[table["step"] == 59]
    assert last["percentile"].tolist() == [15, 50, 85] * 2
    for seed in SEEDS:
        found = entering(trained("vanilla", dataset, seed=seed), "vanilla", probe_of(dataset, 21))
        values = last["value"][last["seed"] == seed].tolist()
        assert values == pytest.approx(np.sort(found[:, 0])[[3, 10, 17]].tolist(), rel=1e-12)


def test_accuracy_is_that_of_training_undisturbed_at_every_evaluation_and_the_last_step(dataset: Dataset) -> None:
    seen: list[tuple[int, list[float]]] = []
    accuracy, percentiles = paper_tables(RUNS, dataset, lambda step, values: seen.append((step, values.tolist())))
    curves = train_runs(RUNS, replace(dataset, test=dataset.validation))
    assert list(accuracy.columns) == ACCURACY_COLUMNS
    assert accuracy[["arm", "seed", "step"]].to_numpy().tolist() == [
        ["batchnorm", seed, step] for seed in SEEDS for step in (0, 60, 120, 130)
    ]
    expected = np.column_stack([curves.accuracy, curves.test_accuracy])
    np.testing.assert_array_equal(accuracy["accuracy"], expected.ravel())
    # The steps of both runs on average, rounded up; the second begins when the first has taken its 131.
    assert [step for step, _ in seen] == [0, 30, 60, 65, 65, 95, 125, 130]
    np.testing.assert_array_equal([values for _, values in seen], expected.reshape(8, 1))
    assert len(percentiles) == 2 * 4 * 3


def test_a_seed_is_the_same_alone(dataset: Dataset) -> None:
    runs = RUNS.change(learning_rate=[0.3, 0.5])
    for one, all_seeds in zip(paper_tables(runs[1:], dataset), paper_tables(runs, dataset), strict=True):
        pd.testing.assert_frame_equal(one, all_seeds[all_seeds["seed"] == 43].reset_index(drop=True))


def test_pixels_are_black_and_white_where_the_settings_say_so(dataset: Dataset) -> None:
    images = (dataset.train, dataset.validation, dataset.test)
    train, validation, test = (split.binarized() for split in images)
    black_and_white = replace(dataset, train=train, validation=validation, test=test)
    grey = RUNS.change(binarize=False)
    for expected, found in zip(
        paper_tables(grey, black_and_white),
        paper_tables(RUNS, dataset),
        strict=True,
    ):
        pd.testing.assert_frame_equal(found, expected)


def test_the_tables_are_written(dataset: Dataset, tmp_path: Path) -> None:
    images = dataset.train.pixels.reshape(-1, 28, 28), dataset.train.labels.astype(np.uint8)
    pack(images, images, 100, tmp_path / "packed.safetensors")
    accuracy, percentiles = tmp_path / "accuracy.csv", tmp_path / "percentiles.csv"
    make_paper(asdict(replace(PAPER, steps=5)), SEEDS, tmp_path / "packed.safetensors", accuracy, percentiles)
    assert list(read_table(accuracy).columns) == ACCURACY_COLUMNS
    assert read_table(percentiles)["step"].tolist() == [0, 0, 0, 4, 4, 4] * 2
