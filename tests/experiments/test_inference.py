from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from benchmarks.made_up import SHAPE
from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import TrainingSettings, VarianceConvention
from bnpipe.data.packed import Dataset, Images, pack
from bnpipe.experiments.inference import (
    INFERENCE_COLUMNS,
    Statistics,
    accuracy_by_class,
    accuracy_in_batches,
    accuracy_under,
    in_convention,
    inference_table,
    make_inference,
    measure,
    measured_steps,
    moving_statistics,
    population_statistics,
)
from bnpipe.networks.network import Network, draw_network
from bnpipe.training.train import train_runs
from bnpipe.training.trainer import Training, one_thread
from tests.conftest import make_runs, make_settings

CONVENTIONS: tuple[VarianceConvention, ...] = get_args(VarianceConvention)
SEEDS = [42, 43]
TWO_LAYERS = make_settings(hidden_sizes=(7,), precision="float64")
TABLE = make_runs(SEEDS, hidden_sizes=(20, 20), steps=131, learning_rate=[0.01, 0.02])

Numbers = NDArray[np.float64]


def learned_network(seed: int, settings: TrainingSettings = TWO_LAYERS) -> Network:
    """Return a network with gammas and betas as if it had learned."""
    network, rng = draw_network(settings, SHAPE, np.random.RandomState(seed)), np.random.default_rng(seed)
    for layer in network.parameters:
        for parameter in layer.values():
            parameter += rng.random(len(parameter))
    return network


@pytest.fixture(params=SEEDS)
def network(request: pytest.FixtureRequest) -> Network:
    return learned_network(request.param)


@pytest.fixture(scope="module")
def table(dataset: Dataset) -> pd.DataFrame:
    return inference_table(TABLE, dataset)


def own_statistics(network: Network, images: Images) -> tuple[Numbers, Numbers, Numbers]:
    """Return the logits of one batch, and mean and unbiased variance of z in all layers, by NumPy's own functions."""
    values, means, variances = images.pixels / 255, [], []
    for weight, parameters in zip(network.weights, network.parameters, strict=True):
        z = values @ weight
        means.append(z.mean(axis=0))
        variances.append(z.var(axis=0, ddof=1))
        y = (z - means[-1]) / np.sqrt(z.var(axis=0) + 1e-3) * parameters["gamma"] + parameters["beta"]
        values = np.tanh(y)
    return y, np.concatenate(means), np.concatenate(variances)


def test_population_statistics_are_means_over_batches(network: Network, dataset: Dataset) -> None:
    # 1000 images are 16 batches of 60; 40 are left out.
    found = population_statistics(network, dataset.train, 60)
    batches = [own_statistics(network, dataset.train.take(slice(60 * i, 60 * i + 60))) for i in range(16)]
    _, means, variances = zip(*batches, strict=True)
    np.testing.assert_allclose(found.mean, np.mean(means, axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.variance, np.mean(variances, axis=0), rtol=1e-12, atol=1e-12)


def test_population_statistics_in_single_precision_are_added_up_in_double(dataset: Dataset) -> None:
    single = learned_network(42, replace(TWO_LAYERS, precision="float32"))
    double = learned_network(42)
    found, expected = (population_statistics(each, dataset.train, 4) for each in (single, double))
    assert found.mean.dtype == found.variance.dtype == np.float64
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-5)


def test_population_statistics_of_the_first_layer_are_those_of_all_images(dataset: Dataset) -> None:
    # Means over equal batches have the mean of all images; so the mean of the first layer's z has no batches in it.
    network = learned_network(42)
    z = (dataset.train.pixels[:960] / 255) @ network.weights[0]
    statistics = population_statistics(network, dataset.train, 60)
    np.testing.assert_allclose(statistics.mean[:7], z.mean(axis=0), rtol=0, atol=1e-12)


def test_a_moving_variance_in_either_convention_by_hand() -> None:
    # Start 1, weight 0.01, one batch of 2 images with biased variance 3, unbiased 6: 0.99 + 0.03 and 0.99 + 0.06.
    biased, unbiased = np.array([1.02]), np.array([1.05])
    of_biased, of_unbiased = (make_settings(batch_size=2, moving_variance=name) for name in CONVENTIONS)
    assert in_convention(biased, of_biased, 1, "unbiased").item() == pytest.approx(1.05, rel=1e-15)
    assert in_convention(unbiased, of_unbiased, 1, "biased").item() == pytest.approx(1.02, rel=1e-15)
    assert in_convention(biased, of_biased, 1, "biased") is biased


def test_what_is_left_of_the_start_is_the_same_in_both_conventions() -> None:
    # Batches without variance leave the start alone: 0.99^60, 55% of it after 60 updates.
    left = np.array([0.5471566])
    assert in_convention(left, make_settings(), 60, "unbiased").item() == pytest.approx(0.5471566, rel=1e-7)


@pytest.mark.parametrize("own", CONVENTIONS)
def test_moving_statistics_are_those_of_numpy(dataset: Dataset, own: VarianceConvention) -> None:
    settings = make_settings(hidden_sizes=(), precision="float64", moving_variance=own)
    network = draw_network(settings, SHAPE, np.random.RandomState(42))
    mean, variance = np.zeros(10), np.ones(10)
    for images in dataset.train.first(300).chunks(60):
        network.forward(images.shown(np.float64))
        z = (images.pixels / 255) @ network.weights[0]
        mean, variance = 0.99 * mean + 0.01 * z.mean(axis=0), 0.99 * variance + 0.01 * z.var(axis=0, ddof=1)
    statistics = moving_statistics(network, settings, 5, "unbiased")
    np.testing.assert_allclose(statistics.mean, mean, rtol=0, atol=1e-13)
    np.testing.assert_allclose(statistics.variance, variance, rtol=1e-13, atol=0)
    z = (dataset.validation.pixels / 255) @ network.weights[0]
    hits = ((z - mean) / np.sqrt(variance + 1e-3)).argmax(axis=1) == dataset.validation.labels
    assert accuracy_under(statistics, network, dataset.validation) == hits.mean()


def test_both_conventions_come_of_one_training(dataset: Dataset) -> None:
    trained = {}
    for convention in CONVENTIONS:
        settings = replace(TWO_LAYERS, moving_variance=convention)
        training = Training(settings, 42, dataset.train)
        training.advance(7)
        trained[convention] = training.network, settings
    for convention in CONVENTIONS:
        one, other = (moving_statistics(*trained[own], 7, convention) for own in CONVENTIONS)
        np.testing.assert_allclose(one.mean, other.mean, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(one.variance, other.variance, rtol=1e-13, atol=1e-15)


def test_the_settings_own_moving_averages_give_the_evaluation_of_training(dataset: Dataset) -> None:
    for convention in CONVENTIONS:
        settings = make_settings(moving_variance=convention, hidden_sizes=(20,))
        with one_thread():
            training = Training(settings, 42, dataset.train)
            training.advance(30)
            statistics = moving_statistics(training.network, settings, 30, convention)
            found = accuracy_under(statistics, training.network, dataset.validation)
            expected, _ = training.network.evaluate(dataset.validation.pixels, dataset.validation.labels)
        assert found == expected


def test_an_image_normalized_by_itself_is_beta(network: Network, dataset: Dataset) -> None:
    beta = network.parameters[1]["beta"]
    logits = network.forward(dataset.validation.first(1).shown(np.float64))
    np.testing.assert_allclose(logits[0], beta, rtol=0, atol=1e-13)
    expected = (dataset.validation.labels == beta.argmax()).mean()
    assert accuracy_in_batches(network, dataset.validation, 1) == pytest.approx(expected, rel=1e-15)


def hits(network: Network, images: Images) -> NDArray[np.bool]:
    """Return which images of one batch are recognized."""
    found: NDArray[np.bool] = own_statistics(network, images)[0].argmax(axis=1) == images.labels
    return found


def test_the_last_batch_is_filled_up_and_every_image_counts_once(network: Network, dataset: Dataset) -> None:
    images = dataset.validation  # 700
    batches = [hits(network, images.take(part)) for part in (slice(300), slice(300, 600))]
    right = np.concatenate([*batches, hits(network, images.take(slice(400, 700)))[200:]])
    assert right.shape == (700,)
    assert accuracy_in_batches(network, images, 300) == pytest.approx(right.mean(), rel=1e-15)


def test_fewer_images_than_a_batch_are_one(network: Network, dataset: Dataset) -> None:
    assert accuracy_in_batches(network, dataset.validation, 1024) == hits(network, dataset.validation).mean()


def test_batches_of_a_single_class(network: Network, dataset: Dataset) -> None:
    images = dataset.validation
    right = sum(hits(network, images.take(images.labels == label)).sum() for label in range(10))
    assert accuracy_by_class(network, images, 700) == pytest.approx(right / 700, rel=1e-15)


def test_measuring_leaves_the_network_as_it_is(network: Network, dataset: Dataset) -> None:
    before = {name: array.copy() for name, array in network.state().items()}
    assert len(list(measure(network, TWO_LAYERS, 1, dataset, (1, 60, 700)))) == 7
    for name, array in network.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_the_steps_measured() -> None:
    assert measured_steps(2000) == [0, 9, 29, 60, 120, 240, 600, 1999]
    assert measured_steps(61) == [0, 9, 29, 60]
    assert measured_steps(1) == [0]


def test_the_table_is_complete_and_sorted(table: pd.DataFrame) -> None:
    assert list(table.columns) == INFERENCE_COLUMNS
    kinds = ["batch", "moving_biased", "moving_unbiased", "population", "single_class"]
    sizes = [2**power for power in range(10)]  # 1024 images there are not
    expected = [
        (seed, step, kind, size)
        for seed in SEEDS
        for step in (0, 9, 29, 60, 120, 130)
        for kind in kinds
        for size in {"batch": sorted([*sizes, 60]) if step == 130 else [60], "single_class": [60]}.get(kind, [0])
    ]
    found = table[INFERENCE_COLUMNS[:-1]].fillna({"batch_size": 0})
    assert list(found.itertuples(index=False, name=None)) == expected
    assert table["accuracy"].between(0, 1).all()


def test_measuring_does_not_disturb_training(table: pd.DataFrame, dataset: Dataset) -> None:
    curves = train_runs(TABLE, replace(dataset, test=dataset.validation))
    along = table[table["statistics"] == "moving_biased"].pivot_table(index="seed", columns="step", values="accuracy")
    np.testing.assert_array_equal(along[[0, 60, 120]], curves.accuracy)
    np.testing.assert_array_equal(along[130], curves.test_accuracy)


def test_a_run_measures_the_same_alone(table: pd.DataFrame, dataset: Dataset) -> None:
    alone = inference_table(TABLE[1:], dataset)
    pd.testing.assert_frame_equal(alone, table[table["seed"] == 43].reset_index(drop=True))


def test_where_nothing_is_normalized_statistics_make_no_difference(dataset: Dataset) -> None:
    table = inference_table(make_runs([42], arm="vanilla", hidden_sizes=(20,), steps=40), dataset)
    spread = table.groupby("step")["accuracy"].agg(np.ptp)
    assert spread.tolist() == [0, 0, 0, 0]


def test_logits_without_normalization_are_left_alone(dataset: Dataset) -> None:
    network = learned_network(42, make_settings(hidden_sizes=(20,), normalize_logits=False))
    statistics = population_statistics(network, dataset.train, 60)
    assert statistics.mean.shape == statistics.variance.shape == (30,)
    assert (statistics.variance[:20] != 1).all()
    strange = Statistics(*(np.append(values[:20], np.full(10, 7.0)) for values in statistics))
    found = [accuracy_under(each, network, dataset.validation) for each in (statistics, strange)]
    assert found[0] == found[1]


def test_training_images_that_are_not_trained_on_do_not_count(dataset: Dataset) -> None:
    few = make_runs([42], hidden_sizes=(20,), steps=10, training_images=120)
    fewer = replace(dataset, train=dataset.train.first(120))
    pd.testing.assert_frame_equal(inference_table(few, dataset), inference_table(few, fewer))


def test_the_table_is_written_and_evaluations_reported(dataset: Dataset, tmp_path: Path) -> None:
    splits = dataset.validation, dataset.train
    images, labels = (np.concatenate([getattr(split, name) for split in splits]) for name in ("pixels", "labels"))
    files = images.reshape(-1, 28, 28), labels.astype(np.uint8)
    pack(files, files, 700, tmp_path / "packed.safetensors")
    runs = make_runs(SEEDS, hidden_sizes=(20,), steps=31)
    seen: list[tuple[int, list[float]]] = []
    make_inference(
        settings=asdict(runs.settings),
        seeds=SEEDS,
        packed=tmp_path / "packed.safetensors",
        table=tmp_path / "inference.csv",
        on_evaluation=lambda step, accuracy: seen.append((step, accuracy.tolist())),
    )
    table = read_table(tmp_path / "inference.csv")
    expected = inference_table(runs, dataset)
    np.testing.assert_allclose(table["accuracy"], expected["accuracy"], rtol=1e-8)
    # The steps of both runs on average, rounded up; the second begins when the first has taken its 31.
    assert [step for step, _ in seen] == [0, 4, 14, 15, 15, 20, 30, 30]
    biased = table[table["statistics"] == "moving_biased"]["accuracy"]  # by seed and step
    assert [accuracy for _, (accuracy,) in seen] == pytest.approx(biased.tolist(), rel=1e-8)
