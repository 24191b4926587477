from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm

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
from bnpipe.networks.kernels import one_thread
from bnpipe.networks.nonlinearities import NONLINEARITIES
from bnpipe.training.train import train_stack
from bnpipe.training.trainer import Training
from tests.conftest import make_settings

SIGMOID = NONLINEARITIES["sigmoid"]
PAPER = make_settings(
    activation="sigmoid", hidden_sizes=(9, 8, 7), binarize=True, normalize_logits=False, learning_rate=0.3, steps=131
)
SEEDS = [42, 43]
RUNS = Runs.of_seeds(PAPER, SEEDS)


def trained(arm: Arm, dataset: Dataset, steps: int = 60) -> Training:
    training = Training(RUNS.change(arm=arm, precision="float64"), dataset.train.binarized())
    with torch.inference_mode(), one_thread():
        training.advance(steps)
    return training


def probe_of(dataset: Dataset, images: int = 200) -> Tensor:
    return (dataset.train.pixels[:images] >= 128).double()


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_what_enters_the_sigmoids_is_that_of_torch(arm: Arm, dataset: Dataset) -> None:
    network, probe = trained(arm, dataset).network, probe_of(dataset)
    state = network.state()
    with torch.inference_mode():
        found = inputs_of_last_hidden(network, probe, SIGMOID)
    assert found.shape == (200, 2, 7)
    for run in range(2):
        values = probe
        for layer, (weight, _) in enumerate(network.layers[:3]):
            z = values @ weight[run]
            if arm == "vanilla":
                entering = z + state[f"{layer}.bias"][run]
            else:
                gamma, beta = (state[f"{layer}.{name}"].view(2, -1)[run] for name in ("gamma", "beta"))
                entering = batch_norm(z, None, None, gamma, beta, training=True, eps=1e-3)
            values = torch.sigmoid(entering)
        torch.testing.assert_close(found[:, run], entering, rtol=1e-10, atol=1e-10)


def test_the_sigmoid_of_what_enters_is_what_the_network_passes_on(dataset: Dataset) -> None:
    network, probe = trained("batchnorm", dataset).network, probe_of(dataset)
    outputs: list[Tensor] = []

    def observe(name: str, layer: int, values: Tensor) -> None:
        if (name, layer) == ("output", 2):
            outputs.append(values.clone())

    with torch.inference_mode():
        entering = inputs_of_last_hidden(network, probe, SIGMOID)
        network.forward(probe.unsqueeze(1).expand(-1, 2, -1), observe)
    torch.testing.assert_close(torch.sigmoid(entering), outputs[0], rtol=0, atol=1e-14)


def test_looking_leaves_the_network_as_it_is(dataset: Dataset) -> None:
    network = trained("batchnorm", dataset, steps=5).network
    before = {name: tensor.clone() for name, tensor in network.state().items()}
    with torch.inference_mode():
        inputs_of_last_hidden(network, probe_of(dataset), SIGMOID)
    for name, tensor in network.state().items():
        assert torch.equal(tensor, before[name])


def test_batch_normalization_keeps_what_enters_at_beta_and_gamma(dataset: Dataset) -> None:
    network = trained("batchnorm", dataset).network
    with torch.inference_mode():
        entering = inputs_of_last_hidden(network, probe_of(dataset), SIGMOID)
    gamma, beta = (network.state()[f"2.{name}"].view(2, 7) for name in ("gamma", "beta"))
    torch.testing.assert_close(entering.mean(dim=0), beta, rtol=0, atol=1e-12)
    assert (entering.std(dim=0, correction=0) < gamma).all()  # by epsilon


def test_percentiles_are_those_of_unit_0_over_the_probe(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of 21 images in order of their values the 4th, 11th and 18th: 15%, 50% and 85% of the way from first to last.
    monkeypatch.setattr(paper, "PROBE_IMAGES", 21)
    _, table = paper_tables(RUNS.change(arm="vanilla", steps=60, precision="float64"), dataset)
    assert list(table.columns) == PERCENTILE_COLUMNS
    with torch.inference_mode():
        entering = inputs_of_last_hidden(trained("vanilla", dataset).network, probe_of(dataset, 21), SIGMOID)
    in_order, _ = entering[:, :, 0].sort(dim=0)
    expected = in_order[[3, 10, 17]]
    last = table[table["step"] == 59]
    assert last["percentile"].tolist() == [15, 50, 85] * 2
    assert last["value"].tolist() == pytest.approx(expected.T.flatten().tolist(), rel=1e-12)


def test_accuracy_is_that_of_training_undisturbed_at_every_evaluation_and_the_last_step(dataset: Dataset) -> None:
    seen: list[tuple[int, list[float]]] = []
    accuracy, percentiles = paper_tables(RUNS, dataset, lambda step, values: seen.append((step, values.tolist())))
    curves = train_stack(RUNS, replace(dataset, test=dataset.validation))
    assert list(accuracy.columns) == ACCURACY_COLUMNS
    assert accuracy[["arm", "seed", "step"]].to_numpy().tolist() == [
        ["batchnorm", seed, step] for seed in SEEDS for step in (0, 60, 120, 130)
    ]
    expected = np.column_stack([curves.accuracy, curves.test_accuracy])
    np.testing.assert_array_equal(accuracy["accuracy"], expected.ravel())
    assert [step for step, _ in seen] == [0, 60, 120, 130]
    np.testing.assert_array_equal([values for _, values in seen], expected.T)
    assert len(percentiles) == 2 * 4 * 3


def test_a_seed_is_the_same_alone(dataset: Dataset) -> None:
    for one, all_seeds in zip(
        paper_tables(RUNS[1:], dataset),
        paper_tables(RUNS, dataset),
        strict=True,
    ):
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
    images = dataset.train.pixels.view(-1, 28, 28).numpy(), dataset.train.labels.to(torch.uint8).numpy()
    pack(images, images, 100, tmp_path / "packed.safetensors")
    accuracy, percentiles = tmp_path / "accuracy.csv", tmp_path / "percentiles.csv"
    make_paper(asdict(replace(PAPER, steps=5)), SEEDS, tmp_path / "packed.safetensors", accuracy, percentiles)
    assert list(read_table(accuracy).columns) == ACCURACY_COLUMNS
    assert read_table(percentiles)["step"].tolist() == [0, 0, 0, 4, 4, 4] * 2
