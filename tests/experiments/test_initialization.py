from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.made_up import SHAPE
from bnpipe.core.settings import Activation, Arm, TrainingSettings
from bnpipe.data.packed import Dataset, Images, open_dataset, pack
from bnpipe.experiments.initialization import (
    INITIAL_LAYER_COLUMNS,
    NETWORK_COLUMNS,
    gradient_slope,
    make_network_tables,
    measure_network,
    orthogonality_gap,
)
from bnpipe.networks.network import KINDS
from bnpipe.training.trainer import one_thread
from tests.conftest import make_settings
from tests.reference import TutorialBatchNorm, batches, build, look

STARTING_ALIKE: tuple[Arm, ...] = ("firstbatch", "batchnorm")


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def noise() -> Images:
    """Return images of noise, as long as MNIST's, whose squared length is 87.8 on average."""
    pixels = np.random.default_rng(5).integers(0, 148, (60, 784), np.uint8)
    assert np.square(pixels / 255).sum(axis=1).mean() == pytest.approx(87.8, rel=0.02)
    return Images(pixels, np.arange(60) % 10, SHAPE)


def networks(images: Images, seeds: Sequence[int], **settings: Any) -> pd.DataFrame:
    return pd.concat(measure_network(make_settings(**settings), seed, images)[0] for seed in seeds)


@pytest.mark.parametrize(
    ("arm", "activation", "init_std", "expected"),
    [
        ("vanilla", "tanh", 1.0, 5.4),
        ("vanilla", "relu", 0.1, 0.5),
        ("batchnorm", "relu", 0.1, np.pi / (np.pi - 1)),
        ("batchnorm", "tanh", 0.1, 1.18),
    ],
)
def test_gradients_grow_as_the_claims_say(
    noise: Images, arm: Arm, activation: Activation, init_std: float, expected: float
) -> None:
    layers = networks(noise, range(10), arm=arm, activation=activation, init_std=init_std)
    above_first = layers["layer"] > 1  # whose z is of pixels
    assert layers["backward_growth"][above_first].mean() == pytest.approx(expected, rel=0.05)


def test_activations_of_relu_at_std_1_grow_as_the_claims_say_to_logits_near_4e8(noise: Images) -> None:
    layers = networks(noise, range(100), arm="vanilla", activation="relu", init_std=1.0)
    assert np.sqrt(layers["forward_growth"].mean()) == pytest.approx(np.sqrt(100 / 2), rel=0.05)
    logits = layers[layers["layer"] == 10]
    assert np.sqrt(logits["mean_square_z"].mean()) == pytest.approx(4e8, rel=0.1)


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_a_network_is_measured_on_its_first_mini_batch(
    dataset: Dataset, arm: Arm, is_compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_compiled:
        monkeypatch.delitem(KINDS, arm)
    stream = np.random.RandomState(42)
    reference = build(stream, [784, *[100] * 9, 10], 0.1, "tanh", arm)
    batch = dataset.train.take(next(batches(stream, len(dataset.train), 60)))
    products, slopes, last_hidden = look(reference, batch.shown(), batch.labels)
    gradients = np.array([np.square(slope).sum(axis=1).mean() for slope in slopes])
    gram = last_hidden @ last_hidden.T
    gap = np.sqrt(np.square(gram / gram.trace() - np.eye(60) / 60).sum())
    covariance = gram - gram.mean(axis=0) - gram.mean(axis=1, keepdims=True) + gram.mean()  # the Gram matrix, centred
    centred_gap = np.sqrt(np.square(covariance / covariance.trace() - np.eye(60) / 60).sum())

    assert (arm == "batchnorm") == any(isinstance(module, TutorialBatchNorm) for module in reference)
    layers, network = measure_network(make_settings(arm=arm), 42, dataset.train)
    np.testing.assert_allclose(layers["squared_gradient"], gradients, rtol=1e-4)
    np.testing.assert_allclose(layers["mean_square_z"], [np.square(z).mean() for z in products], rtol=1e-5)
    slope = np.polyfit(range(9), np.log(gradients[:9]), 1)[0]
    assert network["gradient_slope"].item() == pytest.approx(-slope, rel=1e-3)
    assert network["orthogonality_gap"].item() == pytest.approx(gap, rel=1e-4)
    assert network["centred_orthogonality_gap"].item() == pytest.approx(centred_gap, rel=1e-4)


def test_hidden_layers_that_are_not_normalized_are_measured_and_predicted_as_vanilla(noise: Images) -> None:
    settings = {"hidden_sizes": (50,) * 4, "activation": "relu"}
    logits_only = networks(noise, [42], arm="batchnorm", normalize_hidden=False, **settings)
    vanilla = networks(noise, [42], arm="vanilla", **settings)
    for name in ("mean_square_z", "forward_growth", "forward_theory", "backward_theory"):
        np.testing.assert_allclose(logits_only[name], vanilla[name], rtol=1e-6, err_msg=name)
    assert vanilla["backward_theory"].notna().sum() == 4


def test_gradient_slope_by_hand() -> None:
    assert gradient_slope(np.array([2.0, 2.0, 2.0])) == pytest.approx(np.log(2))
    # From the top ln E||delta||^2 is 0, 0, ln 8: over -1, 0, 1 the slope is ln 8 / 2.
    assert gradient_slope(np.array([8.0, 1.0])) == pytest.approx(np.log(8) / 2)
    # From the top 0, 0, 0, ln 16 and 0, ln 16, ln 16, ln 16 have one slope, 0, 0, ln 16, ln 16 another: x'x is 5.
    assert gradient_slope(np.array([16.0, 1.0, 1.0])) == pytest.approx(1.5 / 5 * np.log(16))
    assert gradient_slope(np.array([1.0, 16.0, 1.0])) == pytest.approx(2 / 5 * np.log(16))


@pytest.mark.parametrize("growth", [[2.0, 0.0], [np.inf, 2.0], [np.nan, 2.0], []])
def test_gradients_that_vanish_or_overflow_have_no_slope(growth: list[float]) -> None:
    assert np.isnan(gradient_slope(np.array(growth)))


def test_orthogonality_gap_by_hand() -> None:
    # Gram matrix diag(9, 1) / 10, minus diag(1, 1) / 2: entries 0.4 and -0.4.
    assert orthogonality_gap(np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 1.0]])) == pytest.approx(0.4 * np.sqrt(2))
    assert orthogonality_gap(5 * np.eye(4)) == pytest.approx(0, abs=1e-7)
    assert orthogonality_gap(np.ones((4, 3))) == pytest.approx(np.sqrt(3 / 4))
    # The best that centred outputs can do: any two of three images are at 120 degrees.
    centred = np.eye(3) - 1 / 3
    assert orthogonality_gap(centred) == pytest.approx(1 / np.sqrt(6))


@pytest.fixture
def packed(tmp_path: Path, dataset: Dataset) -> Path:
    images = dataset.train.pixels.reshape(-1, 28, 28), dataset.train.labels.astype(np.uint8)
    pack(images, images, 100, tmp_path / "packed.safetensors")
    return tmp_path / "packed.safetensors"


def network_tables(packed: Path, settings: Mapping[str, Sequence[TrainingSettings]]) -> tuple[Path, Path]:
    paths = packed.parent / "layers.csv", packed.parent / "initialization.csv"
    plain: dict[str, dict[str, dict[str, Any]]] = {
        name: {of_arm.arm: asdict(of_arm) for of_arm in arms} for name, arms in settings.items()
    }
    make_network_tables(plain, [42, 43], packed, *paths)
    return paths


def test_network_tables_have_every_run_in_order(packed: Path) -> None:
    arms = [make_settings(arm="vanilla"), make_settings(arm="batchnorm")]
    layers, networks = network_tables(packed, {"tanh": arms, "another": arms})
    table = pd.read_csv(networks)
    assert list(table.columns) == NETWORK_COLUMNS
    runs = [(name, arm, seed) for name in ("another", "tanh") for arm in ("batchnorm", "vanilla") for seed in (42, 43)]
    assert list(table[["condition", "arm", "seed"]].itertuples(index=False, name=None)) == runs
    of_layers = pd.read_csv(layers)
    assert list(of_layers.columns) == INITIAL_LAYER_COLUMNS
    assert of_layers["layer"].tolist() == list(range(1, 11)) * 8
    _, expected = measure_network(arms[1], 43, open_dataset(packed).train)
    np.testing.assert_allclose(table.iloc[[1]][expected.columns].to_numpy(), expected.to_numpy(), rtol=1e-8)
    both = table.groupby("condition")["gradient_slope"].apply(list)
    assert both["tanh"] == both["another"]


def test_what_overflows_or_has_no_theory_is_left_empty(packed: Path) -> None:
    overflowing = make_settings(arm="vanilla", activation="relu", init_std=1e20)
    others = {"arm": "layernorm"}, {"arm": "noisybatchnorm"}, {"activation": "torch.nn.functional:silu"}
    without_theory = [make_settings(hidden_sizes=(20, 15), **changes) for changes in others]
    _, networks = network_tables(packed, {"relu": [overflowing], "tanh": without_theory})
    table = pd.read_csv(networks)
    measured = table[["gradient_slope", "orthogonality_gap", "centred_orthogonality_gap"]].isna()
    assert measured.all(axis=1).tolist() == [True] * 2 + [False] * 6
    assert measured.any(axis=1).tolist() == [True] * 2 + [False] * 6
    assert table["gradient_slope_theory"].isna().tolist() == [False] * 2 + [True] * 6


def test_a_network_that_normalizes_its_first_batch_is_measured_as_it_starts(dataset: Dataset) -> None:
    # On its first mini-batch it passes on what the batch-normalized network passes on.
    firstbatch, batchnorm = (measure_network(make_settings(arm=arm), 42, dataset.train)[1] for arm in STARTING_ALIKE)
    assert firstbatch["orthogonality_gap"].item() == pytest.approx(batchnorm["orthogonality_gap"].item(), rel=1e-4)
