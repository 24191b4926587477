from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm

from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import VarianceConvention
from bnpipe.data.packed import Dataset, Images, pack
from bnpipe.experiments.inference import (
    INFERENCE_COLUMNS,
    accuracy_by_class,
    accuracy_in_batches,
    accuracy_under,
    build_probe,
    copy_state,
    in_convention,
    in_training_mode,
    inference_table,
    make_inference,
    measured_steps,
    moving_statistics,
    population_statistics,
)
from bnpipe.networks.kernels import one_thread
from bnpipe.networks.network import StackedNetwork
from bnpipe.networks.seeds import streams_of
from bnpipe.training.train import train_stack
from bnpipe.training.trainer import Training, build_network, evaluate
from tests.conftest import make_runs, make_settings

CONVENTIONS: tuple[VarianceConvention, ...] = get_args(VarianceConvention)
SEEDS = [42, 43]
TWO_LAYERS = make_runs(SEEDS, hidden_sizes=(7,), precision="float64")
TABLE = make_runs(SEEDS, hidden_sizes=(20, 20), steps=131)


@pytest.fixture
def probe() -> StackedNetwork:
    """Return two layers with gammas and betas as if they had learned."""
    probe = build_probe(TWO_LAYERS)
    generator = torch.Generator().manual_seed(1)
    for _, transform in probe.layers:
        for tensor in transform.parameters().values():
            tensor.add_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64))
    return probe


@pytest.fixture(scope="module")
def table(dataset: Dataset) -> pd.DataFrame:
    return inference_table(TABLE, dataset)


def own_statistics(network: StackedNetwork, run: int, pixels: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return logits of one run, and mean and unbiased variance of z in each layer, by PyTorch's own functions."""
    values, seen = pixels.double() / 255, []
    for number, (weight, _) in enumerate(network.layers):
        z = values @ weight[run]
        seen.append((z.mean(dim=0), z.var(dim=0, correction=1)))
        gamma, beta = (network.state()[f"{number}.{name}"].view(len(SEEDS), -1)[run] for name in ("gamma", "beta"))
        y = batch_norm(z, None, None, gamma, beta, training=True, eps=1e-3)
        values = torch.tanh(y)
    return y, seen


def test_population_statistics_are_means_over_batches(probe: StackedNetwork, dataset: Dataset) -> None:
    # 1000 images are 16 batches of 60; 40 are left out.
    found = population_statistics(probe, dataset.train, 60)
    for run in range(2):
        batches = [own_statistics(probe, run, dataset.train.pixels[60 * i : 60 * i + 60])[1] for i in range(16)]
        for layer in range(2):
            for place, statistic in enumerate(found[layer]):  # mean and variance
                expected = torch.stack([batch[layer][place] for batch in batches]).mean(dim=0)
                torch.testing.assert_close(statistic.view(2, -1)[run], expected, rtol=1e-12, atol=1e-12)


def test_population_statistics_of_the_first_layer_are_those_of_all_images(dataset: Dataset) -> None:
    # Means over equal batches have the mean of all images; so the mean of the first layer's z has no batches in it.
    probe = build_probe(TWO_LAYERS[:1])
    z = (dataset.train.pixels[:960].double() / 255) @ probe.layers[0][0][0]
    statistics = population_statistics(probe, dataset.train, 60)
    torch.testing.assert_close(statistics[0].mean, z.mean(dim=0), rtol=0, atol=1e-12)


def test_a_moving_variance_in_either_convention_by_hand() -> None:
    # Start 1, weight 0.01, one batch of 2 images with biased variance 3, unbiased 6: 0.99 + 0.03 and 0.99 + 0.06.
    biased, unbiased = (torch.tensor([value], dtype=torch.float64) for value in (1.02, 1.05))
    of_biased, of_unbiased = (make_settings(batch_size=2, moving_variance=name) for name in CONVENTIONS)
    assert in_convention(biased, of_biased, 1, "unbiased").item() == pytest.approx(1.05, rel=1e-15)
    assert in_convention(unbiased, of_unbiased, 1, "biased").item() == pytest.approx(1.02, rel=1e-15)
    assert in_convention(biased, of_biased, 1, "biased") is biased


def test_what_is_left_of_the_start_is_the_same_in_both_conventions() -> None:
    # Batches without variance leave the start alone: 0.99^60, 55% of it after 60 updates.
    left = torch.tensor([0.5471566], dtype=torch.float64)
    assert in_convention(left, make_settings(), 60, "unbiased").item() == pytest.approx(0.5471566, rel=1e-7)


@pytest.mark.parametrize("own", CONVENTIONS)
def test_moving_statistics_are_those_of_torch(dataset: Dataset, own: VarianceConvention) -> None:
    runs = make_runs([42], hidden_sizes=(), precision="float64", moving_variance=own)
    network = build_network(runs, streams_of([42]))
    oracle = torch.nn.BatchNorm1d(10, eps=1e-3, momentum=0.01).double()
    for pixels, _ in dataset.train.first(300).chunks(60, torch.float64):
        in_training_mode(network, pixels)
        oracle(pixels @ network.layers[0][0][0])
    statistics = moving_statistics(network, runs.settings, 5, "unbiased")
    assert oracle.running_mean is not None
    assert oracle.running_var is not None
    torch.testing.assert_close(statistics[0].mean, oracle.running_mean, rtol=0, atol=1e-13)
    torch.testing.assert_close(statistics[0].variance, oracle.running_var, rtol=1e-13, atol=0)
    probe = build_probe(runs)
    copy_state(network, probe)
    z = (dataset.validation.pixels.double() / 255) @ network.layers[0][0][0]
    hits = oracle.eval()(z).argmax(dim=1) == dataset.validation.labels
    assert accuracy_under(statistics, probe, dataset.validation).item() == hits.double().mean().item()


def test_both_conventions_come_of_one_training(dataset: Dataset) -> None:
    trained = {}
    for convention in CONVENTIONS:
        runs = TWO_LAYERS.change(moving_variance=convention)
        training = Training(runs, dataset.train)
        with torch.inference_mode():
            training.advance(7)
        trained[convention] = training.network, runs.settings
    for convention in CONVENTIONS:
        one, other = (moving_statistics(*trained[own], 7, convention) for own in CONVENTIONS)
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-15)


def test_the_settings_own_moving_averages_give_the_evaluation_of_training(dataset: Dataset) -> None:
    for convention in CONVENTIONS:
        runs = make_runs(SEEDS, moving_variance=convention, hidden_sizes=(20,))
        with torch.inference_mode(), one_thread():
            training, probe = Training(runs, dataset.train), build_probe(runs)
            training.advance(30)
            copy_state(training.network, probe)
            statistics = moving_statistics(training.network, runs.settings, 30, convention)
            found = accuracy_under(statistics, probe, dataset.validation)
            assert torch.equal(found, evaluate(training.network, dataset.validation)[0])


def test_an_image_normalized_by_itself_is_beta(probe: StackedNetwork, dataset: Dataset) -> None:
    beta = probe.state()["1.beta"].view(1, 2, 10)
    logits = in_training_mode(probe, dataset.validation.pixels[:1].double() / 255)
    torch.testing.assert_close(logits, beta, rtol=0, atol=1e-13)
    guesses = beta.argmax(dim=2).flatten()
    expected = [(dataset.validation.labels == guess).double().mean().item() for guess in guesses]
    assert accuracy_in_batches(probe, dataset.validation, 1).tolist() == pytest.approx(expected, rel=1e-15)


def hits(network: StackedNetwork, run: int, images: Images) -> Tensor:
    return own_statistics(network, run, images.pixels)[0].argmax(dim=1) == images.labels


def test_the_last_batch_is_filled_up_and_every_image_counts_once(probe: StackedNetwork, dataset: Dataset) -> None:
    images = dataset.validation  # 700
    found = accuracy_in_batches(probe, images, 300)
    for run in range(2):
        batches = [Images(images.pixels[part], images.labels[part]) for part in (slice(300), slice(300, 600))]
        last = hits(probe, run, Images(images.pixels[400:], images.labels[400:]))[200:]
        right = sum(hits(probe, run, batch).sum().item() for batch in batches) + last.sum().item()
        assert found[run].item() == pytest.approx(right / 700, rel=1e-15)


def test_fewer_images_than_a_batch_are_one(probe: StackedNetwork, dataset: Dataset) -> None:
    found = accuracy_in_batches(probe, dataset.validation, 1024)
    assert found.tolist() == [hits(probe, run, dataset.validation).double().mean().item() for run in range(2)]


def test_batches_of_a_single_class(probe: StackedNetwork, dataset: Dataset) -> None:
    images = dataset.validation
    classes = [Images(images.pixels[images.labels == c], images.labels[images.labels == c]) for c in range(10)]
    for run, found in enumerate(accuracy_by_class(probe, images, 700).tolist()):
        right = sum(hits(probe, run, one_class).sum().item() for one_class in classes)
        assert found == pytest.approx(right / 700, rel=1e-15)


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
    curves = train_stack(TABLE, replace(dataset, test=dataset.validation))
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
    probe = build_probe(make_runs(SEEDS, hidden_sizes=(20,), normalize_logits=False))
    (hidden,) = population_statistics(probe, dataset.train, 60)
    assert hidden.mean.shape == hidden.variance.shape == (2 * 20,)


def test_training_images_that_are_not_trained_on_do_not_count(dataset: Dataset) -> None:
    few = make_runs([42], hidden_sizes=(20,), steps=10, training_images=120)
    fewer = replace(dataset, train=dataset.train.first(120))
    pd.testing.assert_frame_equal(inference_table(few, dataset), inference_table(few, fewer))


def test_the_table_is_written_and_evaluations_reported(dataset: Dataset, tmp_path: Path) -> None:
    splits = dataset.validation, dataset.train
    images, labels = (torch.cat([getattr(split, name) for split in splits]) for name in ("pixels", "labels"))
    files = (images.view(-1, 28, 28).numpy(), labels.to(torch.uint8).numpy())
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
    biased = table[table["statistics"] == "moving_biased"].groupby("step")["accuracy"]
    assert [step for step, _ in seen] == [0, 9, 29, 30]
    for step, accuracy in seen:
        assert biased.get_group(step).tolist() == pytest.approx(accuracy, rel=1e-8)
