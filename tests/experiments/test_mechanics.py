from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bnpipe.core.settings import Arm
from bnpipe.data.packed import Dataset, pack
from bnpipe.experiments.mechanics import (
    MECHANICS_COLUMNS,
    STAGES,
    SUMMARY_COLUMNS,
    choose_units,
    first_product,
    follow,
    make_mechanics,
    mechanics_table,
    stage_summary_table,
)
from bnpipe.networks.seeds import initial_weights
from bnpipe.training.trainer import Training, one_thread
from tests.conftest import make_settings

SETTINGS = make_settings(hidden_sizes=(12, 5), epsilon=1.0)
NUMBERS = ["gamma", "beta", "mean", "variance", "standard_deviation"]


@pytest.fixture
def by_hand() -> NDArray[np.float64]:
    """Return a mini-batch of one unit: mean 2, variance 8, so that with epsilon 1 the divisor is 3."""
    return np.array([[-2.0], [0.0], [2.0], [4.0], [6.0]])


def test_every_stage_by_hand(by_hand: NDArray[np.float64]) -> None:
    stages = {stage.name: stage for stage in follow(by_hand, SETTINGS)}
    assert list(stages) == STAGES
    values = {name: stage.batch.ravel().tolist() for name, stage in stages.items()}
    assert values["before"] == [-2, 0, 2, 4, 6]
    assert values["centred"] == [-4, -2, 0, 2, 4]
    assert values["scaled"] == pytest.approx([-4 / 3, -2 / 3, 0, 2 / 3, 4 / 3], rel=1e-15)
    assert values["gamma_beta"] == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3], rel=1e-15)  # x_hat / 2 + 1
    assert values["identity"] == pytest.approx(values["before"], rel=1e-15, abs=1e-15)


def test_the_summary_by_hand(by_hand: NDArray[np.float64]) -> None:
    table = stage_summary_table(follow(by_hand, SETTINGS), {7: "largest mean"})
    assert list(table.columns) == SUMMARY_COLUMNS
    assert table["unit"].tolist() == [7] * 5
    assert table["chosen_for"].tolist() == ["largest mean"] * 5
    rows = {row["stage"]: row for row in table.to_dict("records")}
    assert {stage: row["formula"] for stage, row in rows.items()} == {
        "before": "z = hW",
        "centred": "z - mean",
        "scaled": "x_hat = (z - mean) / sqrt(variance + 1)",
        "gamma_beta": "y = 0.5 * x_hat + 1",
        "identity": "y = sqrt(variance + 1) * x_hat + mean",
    }
    expected = {  # NUMBERS
        "before": (np.nan, np.nan, 2, 8, np.sqrt(8)),
        "centred": (np.nan, np.nan, 0, 8, np.sqrt(8)),
        "scaled": (1, 0, 0, 8 / 9, np.sqrt(8) / 3),  # short of 1 by 1 / (8 + 1)
        "gamma_beta": (0.5, 1, 1, 2 / 9, np.sqrt(2) / 3),
        "identity": (3, 2, 2, 8, np.sqrt(8)),
    }
    for stage, numbers in expected.items():
        assert [rows[stage][column] for column in NUMBERS] == pytest.approx(numbers, rel=1e-14, abs=1e-14, nan_ok=True)


def test_the_table_keeps_the_units_apart_and_the_images_in_order() -> None:
    z = np.array([[1.0, 10.0], [3.0, 20.0]])
    table = mechanics_table(follow(z, SETTINGS), [4, 0], np.array([70, 30], np.int32))
    assert list(table.columns) == MECHANICS_COLUMNS
    assert table[["unit", "image", "before", "centred"]].to_numpy().tolist() == [
        [4, 70, 1, -1],
        [4, 30, 3, 1],
        [0, 70, 10, -5],
        [0, 30, 20, 5],
    ]


def test_units_are_chosen_by_the_extremes_of_mean_and_spread() -> None:
    means = np.array([0.0, 5.0, -3.0, 1.0, 2.0, 0.5])
    spreads = np.array([1.0, 9.0, 0.1, 4.0, 0.5, 1.0])
    z = means + np.array([[-1.0], [1.0]]) * spreads
    assert choose_units(z) == {
        2: "smallest mean",
        1: "largest mean",
        4: "smallest standard deviation",  # that of unit 2 is smaller, but unit 2 is there already
        3: "largest standard deviation",
    }


def test_a_layer_of_fewer_units_gives_those_it_has_and_equal_ones_in_order() -> None:
    assert list(choose_units(np.zeros((5, 3)))) == [0, 1, 2]


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_z_is_what_the_network_computes_first(dataset: Dataset, arm: Arm) -> None:
    settings = replace(SETTINGS, arm=arm)
    with one_thread():
        seen = Training(settings, 43, dataset.train).observed_step()
    z, images = first_product(settings, 43, dataset.train)
    assert z.dtype == np.float64
    np.testing.assert_array_equal(z, seen.z[0])
    assert len(set(images.tolist())) == 60
    assert not np.array_equal(z, first_product(settings, 44, dataset.train)[0])


def test_z_is_the_product_of_grey_pixels_of_all_images_in_single_precision(dataset: Dataset) -> None:
    strange = replace(SETTINGS, binarize=True, training_images=70, precision="float64", learning_rate=1e30)
    z, images = first_product(strange, 43, dataset.train)
    weight, *_ = initial_weights(np.random.RandomState(43), (784, 12), 0.1)
    np.testing.assert_allclose(z, dataset.train.pixels[images] / 255 @ weight.astype(np.float64), atol=1e-5)
    np.testing.assert_array_equal(z, z.astype(np.float32))
    assert images.max() >= 70


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (80, 28, 28), np.uint8), rng.integers(0, 10, 80).astype(np.uint8)
    pack((images, labels), (images, labels), 10, tmp_path / "packed.safetensors")
    return tmp_path / "packed.safetensors"


def written(packed: Path, name: str) -> tuple[Path, Path]:
    paths = (packed.with_name(f"{name}.csv"), packed.with_name(f"{name}_summary.csv"))
    make_mechanics(asdict(SETTINGS), seed=42, packed=packed, mechanics=paths[0], summary=paths[1])
    return paths


def test_a_reader_of_the_tables_can_do_every_step_again(packed: Path) -> None:
    mechanics, summary = (pd.read_csv(path) for path in written(packed, "mechanics"))
    assert (len(mechanics), len(summary)) == (4 * 60, 4 * 5)
    about = {(row["unit"], row["stage"]): row for row in summary.to_dict("records")}
    for unit, values in mechanics.groupby("unit"):
        before = values["before"].to_numpy()
        mean, variance = (about[unit, "before"][column] for column in ("mean", "variance"))
        assert (mean, variance) == pytest.approx((before.mean(), before.var()), rel=1e-7)
        np.testing.assert_allclose(values["centred"], before - mean, rtol=0, atol=1e-7)
        np.testing.assert_allclose(values["scaled"], (before - mean) / np.sqrt(variance + 1), rtol=0, atol=1e-7)
        np.testing.assert_allclose(values["gamma_beta"], 0.5 * values["scaled"] + 1, rtol=0, atol=1e-7)
        gamma, beta = (about[unit, "identity"][column] for column in ("gamma", "beta"))
        np.testing.assert_allclose(gamma * values["scaled"] + beta, before, rtol=0, atol=1e-7)
        np.testing.assert_array_equal(values["identity"], before)  # to the last of the nine digits


def test_equal_input_gives_equal_bytes(packed: Path) -> None:
    first, second = written(packed, "first"), written(packed, "second")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
