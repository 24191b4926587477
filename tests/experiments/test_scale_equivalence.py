from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Dataset, Images, pack
from bnpipe.experiments import scale_equivalence
from bnpipe.experiments.scale_equivalence import (
    EQUIVALENCE_COLUMNS,
    in_other_units,
    make_scale_equivalence,
    parameters_of,
    relative_difference,
    scale_equivalence_table,
    weights_of,
)
from bnpipe.networks.seeds import initial_weights, streams_of
from bnpipe.training.trainer import build_network
from tests.conftest import make_runs, make_settings

DIFFERENCES = EQUIVALENCE_COLUMNS[2:]


def test_learning_rate_1_at_std_1_is_learning_rate_001_at_std_01(dataset: Dataset) -> None:
    table = scale_equivalence_table(make_runs([42, 43]), dataset.train)
    assert table[["seed", "steps"]].to_numpy().tolist() == [[42, 200], [43, 200]]
    assert (table[DIFFERENCES] < 1e-12).all(axis=None)
    assert (table["relative_difference"] > 0).all()  # two networks, and 10 is no power of two


def test_without_batch_normalization_the_other_units_are_another_network(dataset: Dataset) -> None:
    table = scale_equivalence_table(make_runs([42], arm="vanilla"), dataset.train)
    assert (table[DIFFERENCES] > 1).all(axis=None)


def test_a_layer_that_is_not_normalized_breaks_the_equivalence(dataset: Dataset) -> None:
    table = scale_equivalence_table(make_runs([42], normalize_logits=False), dataset.train)
    assert (table[DIFFERENCES] > 1e-3).all(axis=None)


def test_gamma_and_beta_at_the_learning_rate_of_the_weights_break_it(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_one_learning_rate(runs: Runs) -> Runs:
        return in_other_units(runs).change(parameter_rate=1.0)  # as the condition tanh_bad_init_high_lr has it

    monkeypatch.setattr(scale_equivalence, "in_other_units", with_one_learning_rate)
    table = scale_equivalence_table(make_runs([42]), dataset.train)
    assert (table[DIFFERENCES] > 1e-3).all(axis=None)


def test_the_other_units_by_hand() -> None:
    other = in_other_units(make_runs([42, 43], learning_rate=[0.01, 0.02]))
    assert list(other.learning_rates) == [1, 2]
    assert (other.settings.learning_rate, other.settings.parameter_rate) == (1, 0.01)  # gamma and beta: 1 times 0.01


def test_the_contract_draws_weights_of_std_1_that_are_10_times_those_of_std_01() -> None:
    sizes = make_settings().layer_sizes
    small, large = (initial_weights(np.random.RandomState(42), sizes, std) for std in (0.1, 1.0))
    for one, ten in zip(small, large, strict=True):
        np.testing.assert_allclose(ten, 10 * one.astype(np.float64), rtol=2**-23)  # both rounded to single precision
    assert not np.array_equal(large[0], 10 * small[0].astype(np.float64))


def test_a_relative_difference_by_hand() -> None:
    found, expected = torch.tensor([[1.0, -3.5], [2.0, 8.0]]), torch.tensor([[1.0, -4.0], [3.0, 8.0]])
    assert relative_difference(found, expected).tolist() == [0.125, 0.125]


def test_the_numbers_of_all_layers_are_taken_run_by_run() -> None:
    runs = make_runs([42, 43], hidden_sizes=(3, 2))
    network = build_network(runs, streams_of(runs.seeds))
    network.state()["0.gamma"].copy_(torch.arange(6))
    network.state()["2.beta"].copy_(torch.arange(20))
    parameters = parameters_of(network)
    assert parameters.shape == (2, 2 * (3 + 2 + 10))  # and no moving averages
    assert parameters[1].tolist() == [3, 4, 5, 0, 0, 0, 1, 1, 0, 0, *[1] * 10, *range(10, 20)]
    weights = weights_of(network)
    assert weights.shape == (2, 784 * 3 + 3 * 2 + 2 * 10)
    for run in range(2):
        assert torch.equal(weights[run], torch.cat([weight[run].flatten() for weight, _ in network.layers]))


def test_the_table_is_written(dataset: Dataset, tmp_path: Path) -> None:
    images = dataset.train.pixels.view(-1, 28, 28).numpy(), dataset.train.labels.to(torch.uint8).numpy()
    pack(images, images, 100, tmp_path / "packed.safetensors")
    settings = asdict(make_settings(hidden_sizes=(5,), training_images=600))
    make_scale_equivalence(settings, [7], tmp_path / "packed.safetensors", tmp_path / "table.csv")
    expected = scale_equivalence_table(
        Runs.from_plain(settings, [7]),
        Images(dataset.train.pixels[100:700], dataset.train.labels[100:700]),
    )
    np.testing.assert_allclose(read_table(tmp_path / "table.csv"), expected, rtol=1e-8)
