import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnpipe.core.settings import Arm, Runs, TrainingSettings
from bnpipe.data.packed import Dataset
from bnpipe.networks.kernels import one_thread
from bnpipe.training.diagnostics import ACCURACY_IMAGES, PROBE_IMAGES, diagnose
from bnpipe.training.train import train_stack
from bnpipe.training.trainer import Training
from tests.conftest import make_runs, make_settings

SMALL: dict[str, object] = {"hidden_sizes": (12, 8), "precision": "float64", "batch_size": 60}


def trained(dataset: Dataset, settings: TrainingSettings, steps: int = 20) -> Training:
    with torch.inference_mode(), one_thread():
        training = Training(Runs.of_seeds(settings, [42, 43]), dataset.train)
        training.advance(steps)
    return training


def look(training: Training, settings: TrainingSettings, dataset: Dataset) -> dict[str, Tensor]:
    with torch.inference_mode(), one_thread():
        seen = diagnose(training.network, training.learning_rate, settings, dataset.train, dataset.validation)
        return {name: values.clone() for name, values in seen.items()}


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_every_quantity_against_a_plain_network(dataset: Dataset, arm: Arm, activation: str) -> None:
    settings = make_settings(arm=arm, activation=activation, **SMALL)
    training = trained(dataset, settings)
    seen = look(training, settings, dataset)
    for run in range(2):
        weights = [weight[run].clone().requires_grad_() for weight, _ in training.network.layers]
        own = [{name: values.view(2, -1)[run].clone() for name, values in transform.state().items()}
               for _, transform in training.network.layers]  # fmt: skip
        h = (dataset.train.pixels[:PROBE_IMAGES].double() / 255).requires_grad_()
        products = []
        for layer, (weight, parameters) in enumerate(zip(weights, own, strict=True)):
            z = h @ weight
            z.retain_grad()
            products.append(z)
            if arm == "vanilla":
                y = z + parameters["bias"]
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
                assert seen[name][run, layer].item() == pytest.approx(share.item(), abs=1e-6)
        assert seen["saturated"][run, 2].isnan()
        assert seen["dead"][run, 2].isnan()
        nn.functional.cross_entropy(h, dataset.train.labels[:PROBE_IMAGES], reduction="sum").backward()  # type: ignore[no-untyped-call]
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
                "beta_mean": own[layer]["bias" if arm == "vanilla" else "beta"].mean().item(),
            }
            found = {name: seen[name][run, layer].item() for name in expected}
            assert found == pytest.approx(expected, rel=1e-6)
            assert seen["gamma_mean"][run, layer].isnan().item() == (arm == "vanilla")


def test_accuracies_under_moving_averages_and_under_the_statistics_of_the_probe(dataset: Dataset) -> None:
    settings = make_settings(**SMALL)
    training = trained(dataset, settings)
    seen = look(training, settings, dataset)
    images = dataset.validation.pixels[:ACCURACY_IMAGES].double() / 255
    labels = dataset.validation.labels[:ACCURACY_IMAGES]
    for run in range(2):
        probe, few = dataset.train.pixels[:PROBE_IMAGES].double() / 255, images
        for layer, (weight, transform) in enumerate(training.network.layers):
            gamma, beta = (transform.state()[name].view(2, -1)[run] for name in ("gamma", "beta"))
            probe, few = probe @ weight[run], few @ weight[run]
            variance, mean = torch.var_mean(probe, dim=0, correction=0)
            # The layer's averages are m / (m - 1) times the biased ones of m = 60; the probe has others.
            variance = variance * PROBE_IMAGES / (PROBE_IMAGES - 1) * 59 / 60
            biased = torch.var(probe, dim=0, correction=0)
            probe = (probe - mean) / torch.sqrt(biased + settings.epsilon) * gamma + beta
            few = (few - mean) / torch.sqrt(variance + settings.epsilon) * gamma + beta
            if layer < 2:
                probe, few = torch.tanh(probe), torch.tanh(few)
        expected = (few.argmax(dim=1) == labels).double().mean().item()
        assert seen["population_accuracy"][run].item() == pytest.approx(expected, abs=1e-6)
    with torch.inference_mode(), one_thread():
        hits = training.network.infer(images).argmax(dim=2) == labels.unsqueeze(1)
    torch.testing.assert_close(seen["moving_accuracy"], hits.float().mean(dim=0))


def test_a_vanilla_network_has_no_population_statistics(dataset: Dataset) -> None:
    settings = make_settings(arm="vanilla", **SMALL)
    assert look(trained(dataset, settings), settings, dataset)["population_accuracy"].isnan().all()


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm", "weightnorm"])
def test_looking_changes_no_bit_of_a_run(dataset: Dataset, arm: Arm) -> None:
    plain, watched = (
        train_stack(make_runs([42, 43], arm=arm, steps=125, diagnostics=diagnostics), dataset)
        for diagnostics in (False, True)
    )
    for name in ("accuracy", "loss", "training_loss", "test_loss"):
        np.testing.assert_array_equal(getattr(watched, name), getattr(plain, name))
    assert plain.diagnostics == {}
    assert watched.diagnostics["z_rms"].shape == (2, 3, 10)  # runs, evaluations, layers
    assert watched.diagnostics["moving_accuracy"].shape == (2, 3)


def test_what_is_seen_of_a_run_does_not_depend_on_its_stack(dataset: Dataset) -> None:
    stack = train_stack(make_runs([42, 43, 44], steps=61, diagnostics=True), dataset)
    alone = train_stack(make_runs([43], steps=61, diagnostics=True), dataset)
    for name, values in alone.diagnostics.items():
        np.testing.assert_allclose(stack.diagnostics[name][1], values[0], rtol=1e-5, err_msg=name)


def test_a_network_that_broke_down_has_no_share_of_dead_units(dataset: Dataset) -> None:
    runs = make_runs([42], arm="vanilla", activation="relu", init_std=1.0, steps=61, diagnostics=True)
    dead = train_stack(runs, dataset).diagnostics["dead"]
    assert np.isfinite(dead[0, 0, :5]).all()  # after the first update
    assert np.isnan(dead[0, 1]).all()
