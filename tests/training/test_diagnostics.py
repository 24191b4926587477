import numpy as np
import pytest
import torch
from torch import nn

from bnpipe.core.settings import Arm, TrainingSettings
from bnpipe.data.packed import Dataset
from bnpipe.networks.network import Network
from bnpipe.training.diagnostics import ACCURACY_IMAGES, PROBE_IMAGES, Diagnosis, Measures
from bnpipe.training.train import train_runs
from bnpipe.training.trainer import Training
from tests.conftest import make_runs, make_settings

SMALL: dict[str, object] = {"hidden_sizes": (12, 8), "precision": "float64", "batch_size": 60}


def trained(dataset: Dataset, settings: TrainingSettings, steps: int = 20) -> Network:
    training = Training(settings, 42, dataset.train)
    training.advance(steps)
    return training.network


def look(network: Network, settings: TrainingSettings, dataset: Dataset) -> Measures:
    return Diagnosis(settings, dataset.train, dataset.validation).of(network)


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_every_quantity_against_a_plain_network(dataset: Dataset, arm: Arm, activation: str) -> None:
    settings = make_settings(arm=arm, activation=activation, **SMALL)
    network = trained(dataset, settings)
    seen = look(network, settings, dataset)
    weights = [torch.from_numpy(weight.copy()).requires_grad_() for weight in network.weights]
    learned = [{name: torch.from_numpy(own.copy()) for name, own in layer.items()} for layer in network.parameters]
    probe = dataset.train.first(PROBE_IMAGES)
    h = torch.from_numpy(probe.shown(np.float64)).requires_grad_()
    products = []
    for layer, (weight, parameters) in enumerate(zip(weights, learned, strict=True)):
        z = h @ weight
        z.retain_grad()
        products.append(z)
        if arm == "vanilla":
            y = z + parameters["beta"]
        else:
            y = nn.functional.batch_norm(
                z, None, None, parameters["gamma"], parameters["beta"], training=True, eps=settings.epsilon
            )
        h = y if layer == 2 else {"tanh": torch.tanh, "relu": torch.relu}[activation](y)
        if layer < 2:
            name, share = {
                "tanh": ("saturated", (h.abs() > 0.99).double().mean()),
                "relu": ("dead", (h == 0).all(dim=0).double().mean()),
            }[activation]
            assert seen[name][layer] == pytest.approx(share.item(), abs=1e-6)
    assert np.isnan(seen["saturated"][2])
    assert np.isnan(seen["dead"][2])
    nn.functional.cross_entropy(h, torch.from_numpy(probe.labels), reduction="sum").backward()  # type: ignore[no-untyped-call]
    for layer, (weight, z) in enumerate(zip(weights, products, strict=True)):
        assert z.grad is not None
        assert weight.grad is not None
        norm = weight.detach().norm().item()
        expected = {
            "z_rms": z.detach().pow(2).mean().sqrt().item(),
            "delta_rms": z.grad.pow(2).mean().sqrt().item(),
            "weight_norm": norm,
            "update_ratio": 0.01 * weight.grad.norm().item() / PROBE_IMAGES / norm,
            "effective_rate": 0.01 / norm**2,
            "beta_mean": learned[layer]["beta"].mean().item(),
        }
        found = {name: float(seen[name][layer]) for name in expected}
        assert found == pytest.approx(expected, rel=1e-6)
        assert np.isnan(seen["gamma_mean"][layer]) == (arm == "vanilla")


def test_accuracies_under_moving_averages_and_under_the_statistics_of_the_probe(dataset: Dataset) -> None:
    settings = make_settings(**SMALL)
    network = trained(dataset, settings)
    seen = look(network, settings, dataset)
    few = dataset.validation.first(ACCURACY_IMAGES)
    probe, images = dataset.train.first(PROBE_IMAGES).shown(np.float64), few.shown(np.float64)
    for layer, (weight, learned) in enumerate(zip(network.weights, network.learned, strict=True)):
        probe, images = probe @ weight, images @ weight
        mean, scale = probe.mean(axis=0), learned.gamma / np.sqrt(probe.var(axis=0) + settings.epsilon)
        probe, images = ((values - mean) * scale + learned.beta for values in (probe, images))
        if layer < 2:
            probe, images = np.tanh(probe), np.tanh(images)
    expected = (images.argmax(axis=1) == few.labels).mean()
    assert seen["population_accuracy"] == pytest.approx(expected, abs=1e-6)
    hits = network.infer(few.shown(np.float64)).argmax(axis=1) == few.labels
    assert seen["moving_accuracy"] == pytest.approx(hits.mean(), abs=1e-6)


def test_a_vanilla_network_has_no_population_statistics(dataset: Dataset) -> None:
    settings = make_settings(arm="vanilla", **SMALL)
    assert np.isnan(look(trained(dataset, settings), settings, dataset)["population_accuracy"])


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm", "weightnorm"])
def test_looking_changes_no_bit_of_a_run(dataset: Dataset, arm: Arm) -> None:
    plain, watched = (
        train_runs(make_runs([42, 43], arm=arm, steps=125, diagnostics=diagnostics), dataset)
        for diagnostics in (False, True)
    )
    for name in ("accuracy", "loss", "training_loss", "test_loss"):
        np.testing.assert_array_equal(getattr(watched, name), getattr(plain, name))
    assert plain.diagnostics == {}
    assert watched.diagnostics["z_rms"].shape == (2, 3, 10)  # runs, evaluations, layers
    assert watched.diagnostics["moving_accuracy"].shape == (2, 3)


def test_what_is_seen_of_a_run_does_not_depend_on_the_others(dataset: Dataset) -> None:
    stack = train_runs(make_runs([42, 43, 44], steps=61, diagnostics=True), dataset)
    alone = train_runs(make_runs([43], steps=61, diagnostics=True), dataset)
    for name, values in alone.diagnostics.items():
        np.testing.assert_array_equal(stack.diagnostics[name][1], values[0], err_msg=name)


def test_a_network_that_broke_down_has_no_share_of_dead_units(dataset: Dataset) -> None:
    runs = make_runs([42], arm="vanilla", activation="relu", init_std=1.0, steps=61, diagnostics=True)
    dead = train_runs(runs, dataset).diagnostics["dead"]
    assert np.isfinite(dead[0, 0, :5]).all()  # after the first update
    assert np.isnan(dead[0, 1]).all()
