from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.made_up import SHAPE
from bnpipe.core.csv_files import read_table
from bnpipe.core.settings import Runs, TrainingSettings
from bnpipe.data.packed import Dataset, pack
from bnpipe.experiments import scale_equivalence
from bnpipe.experiments.scale_equivalence import (
    EQUIVALENCE_COLUMNS,
    in_other_units,
    make_scale_equivalence,
    parameters_of,
    relative_difference,
    scale_equivalence_table,
)
from bnpipe.networks.network import draw_network
from bnpipe.networks.seeds import initial_weights
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
    def with_one_learning_rate(settings: TrainingSettings) -> TrainingSettings:
        # As the condition tanh_bad_init_high_lr has it.
        return replace(in_other_units(settings), parameter_rate=1.0)

    monkeypatch.setattr(scale_equivalence, "in_other_units", with_one_learning_rate)
    table = scale_equivalence_table(make_runs([42]), dataset.train)
    assert (table[DIFFERENCES] > 1e-3).all(axis=None)


def test_the_other_units_by_hand() -> None:
    other = in_other_units(make_settings(learning_rate=0.02))
    assert (other.learning_rate, other.parameter_rate) == (2, 0.01)  # gamma and beta: 2 times 0.01


def test_the_contract_draws_weights_of_std_1_that_are_10_times_those_of_std_01() -> None:
    sizes = make_settings().layer_sizes(SHAPE)
    small, large = (initial_weights(np.random.RandomState(42), sizes, std) for std in (0.1, 1.0))
    for one, ten in zip(small, large, strict=True):
        np.testing.assert_allclose(ten, 10 * one.astype(np.float64), rtol=2**-23)  # both rounded to single precision
    assert not np.array_equal(large[0], 10 * small[0].astype(np.float64))


def test_a_relative_difference_by_hand() -> None:
    assert relative_difference(np.array([1.0, -3.5]), np.array([1.0, -4.0])) == 0.125
    assert relative_difference(np.array([2.0, 8.0]), np.array([3.0, 8.0])) == 0.125


def test_what_all_layers_have_learned_is_taken_without_the_moving_averages() -> None:
    network = draw_network(make_settings(hidden_sizes=(3, 2)), SHAPE, np.random.RandomState(42))
    network.learned[0].gamma[:] = [3, 4, 5]
    network.learned[2].beta[:] = range(10, 20)
    network.numbers.mean[:] = network.numbers.variance[:] = 7
    assert parameters_of(network).tolist() == [3, 4, 5, 0, 0, 0, 1, 1, 0, 0, *[1] * 10, *range(10, 20)]


def test_each_run_is_compared_at_its_own_learning_rate(dataset: Dataset) -> None:
    runs = make_runs([42, 43], learning_rate=[0.01, 0.02], arm="vanilla", hidden_sizes=(5,))
    both, second = (scale_equivalence_table(each, dataset.train) for each in (runs, runs[1:]))
    pd.testing.assert_frame_equal(second, both[1:].reset_index(drop=True))


def test_the_table_is_written(dataset: Dataset, tmp_path: Path) -> None:
    images = dataset.train.pixels.reshape(-1, 28, 28), dataset.train.labels.astype(np.uint8)
    pack(images, images, 100, tmp_path / "packed.safetensors")
    settings = asdict(make_settings(hidden_sizes=(5,), training_images=600))
    make_scale_equivalence(settings, [7], tmp_path / "packed.safetensors", tmp_path / "table.csv")
    expected = scale_equivalence_table(
        Runs.from_plain(settings, [7]),
        dataset.train.take(slice(100, 700)),
    )
    np.testing.assert_allclose(read_table(tmp_path / "table.csv"), expected, rtol=1e-8)
