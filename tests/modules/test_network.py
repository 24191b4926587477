import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bnpipe.core.settings import Arm, TrainingSettings
from bnpipe.networks.network import StackedNetwork, cross_entropy
from bnpipe.networks.nonlinearities import NONLINEARITIES
from bnpipe.networks.norms import TRANSFORMS, transforms_of
from tests.conftest import make_settings
from tests.networks.test_nonlinearities import FUNCTIONS


def make_network(weights: list[Tensor], settings: TrainingSettings, activation: Any) -> StackedNetwork:
    transforms, nonlinearity = transforms_of(weights, replace(settings, activation=activation))
    return StackedNetwork(weights, transforms, nonlinearity, weights_learn=settings.trained == "all")


def normalized(arm: Arm, z: Tensor, weight: Tensor, settings: TrainingSettings) -> Tensor:
    """Return what an arm makes of z (runs, batch, features) before its parameters have learned anything."""
    width = z.shape[2]
    flat = z.flatten(0, 1)
    match arm:
        case "vanilla":
            return z
        case "batchnorm":
            one_by_one = [
                torch.nn.functional.batch_norm(run, None, None, training=True, eps=settings.epsilon) for run in z
            ]
            return torch.stack(one_by_one)
        case "layernorm":
            return torch.nn.functional.layer_norm(z, [width], eps=settings.epsilon)
        case "groupnorm":
            return torch.nn.functional.group_norm(flat, settings.groups, eps=settings.epsilon).view_as(z)
        case "rmsnorm":
            return torch.nn.functional.rms_norm(z, [width], eps=settings.epsilon)
        case "weightnorm":
            return z / weight.pow(2).sum(dim=1, keepdim=True).sqrt()


def test_cross_entropy_by_hand() -> None:
    # Logits 0, ln 3: probabilities 1/4 and 3/4. Labels 0 and 1: loss (ln 4 + ln 4/3) / 2.
    logits = torch.tensor([[[0.0, math.log(3)]], [[0.0, math.log(3)]]], dtype=torch.float64)
    loss, gradient = cross_entropy(logits, torch.tensor([[0], [1]]))
    assert loss.tolist() == pytest.approx([(math.log(4) + math.log(4 / 3)) / 2], rel=1e-14)
    expected = torch.tensor([[[-3 / 8, 3 / 8]], [[1 / 8, -1 / 8]]], dtype=torch.float64)  # (p - one-hot) / 2
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("arm", sorted(TRANSFORMS))
@pytest.mark.parametrize("activation", sorted(NONLINEARITIES))
@pytest.mark.parametrize("changes", [{}, {"normalize_logits": False}, {"position": "after"}, {"trained": "transforms"}])
def test_a_step_is_gradient_descent_as_autograd_has_it(arm: Arm, activation: str, changes: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(3)
    sizes, runs, batch, rate = [6, 8, 4, 6], 2, 8, 0.3
    settings = make_settings(arm=arm, batch_size=batch, groups=2, **changes)
    weights = [
        torch.randn(runs, fan_in, fan_out, generator=generator, dtype=torch.float64)
        for fan_in, fan_out in itertools.pairwise(sizes)
    ]
    images = torch.rand(runs, batch, sizes[0], generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 6, (runs, batch), generator=generator)

    leaves = [weight.clone().requires_grad_() for weight in weights]
    hidden, function = images, FUNCTIONS[activation]
    after = settings.position == "after" and arm not in ("vanilla", "weightnorm")
    for leaf in leaves[:-1]:
        z = hidden @ leaf
        transformed = normalized(arm, function(z) if after else z, leaf, settings)
        hidden = transformed if after else function(transformed)
    hidden = hidden @ leaves[-1]
    if settings.normalize_logits:
        hidden = normalized(arm, hidden, leaves[-1], settings)
    expected_loss = torch.nn.functional.cross_entropy(hidden.flatten(0, 1), labels.flatten(), reduction="none")
    slopes = torch.autograd.grad(expected_loss.view(runs, batch).mean(dim=1).sum(), leaves)

    network = make_network([weight.clone() for weight in weights], settings, activation)
    if settings.trained == "transforms":
        slopes = tuple(torch.zeros_like(slope) for slope in slopes)
    loss, gradient = cross_entropy(network.forward(images.transpose(0, 1).contiguous()), labels.T)
    network.descend(gradient * rate)
    torch.testing.assert_close(loss, expected_loss.detach().view(runs, batch).mean(dim=1))
    for (updated, _), weight, slope in zip(network.layers, weights, slopes, strict=True):
        torch.testing.assert_close(updated, weight - rate * slope)


@pytest.mark.parametrize("arm", sorted(TRANSFORMS))
def test_inference_looks_at_each_image_alone(arm: Arm) -> None:
    settings = make_settings(arm=arm)
    weights = [torch.randn(2, 784, 10, generator=torch.Generator().manual_seed(4)) * 0.1]
    network = make_network(weights, settings, "tanh")
    images = torch.rand(5, 784, generator=torch.Generator().manual_seed(5))
    network.forward(images.unsqueeze(1).repeat(1, 2, 1))
    together = network.infer(images)
    assert together.shape == (5, 2, 10)
    torch.testing.assert_close(network.infer(images[3:4]), together[3:4])


def test_state_is_all_that_a_step_changes() -> None:
    weights = [torch.randn(2, 784, 8), torch.randn(2, 8, 10)]
    network = make_network(weights, make_settings(arm="batchnorm"), "tanh")
    assert list(network.state()) == [
        f"{layer}.{name}"
        for layer in (0, 1)
        for name in ("weight", "gamma", "beta", "moving_mean", "unbiased_moving_variance")
    ]
    by_layer = [tensor for layer in network.state_of_layers() for tensor in layer.values()]
    assert all(one is other for one, other in zip(by_layer, network.state().values(), strict=True))
    before = {name: tensor.clone() for name, tensor in network.state().items()}
    _, gradient = cross_entropy(network.forward(torch.rand(60, 2, 784)), torch.zeros(60, 2, dtype=torch.int64))
    network.descend(gradient)
    assert all(not torch.equal(tensor, before[name]) for name, tensor in network.state().items())
    for tensor in network.state().values():
        assert tensor.view(2, -1).data_ptr() == tensor.data_ptr()  # run by run


@pytest.mark.parametrize("arm", sorted(TRANSFORMS))
def test_double_precision_throughout_where_weights_are_double(arm: Arm) -> None:
    weights = [torch.ones(1, 784, 10, dtype=torch.float64), torch.ones(1, 10, 10, dtype=torch.float64)]
    network = make_network(weights, make_settings(arm=arm), "tanh")
    assert network.forward(torch.rand(60, 1, 784, dtype=torch.float64)).dtype == torch.float64
    assert network.infer(torch.rand(60, 784, dtype=torch.float64)).dtype == torch.float64


def test_an_observer_sees_every_layer_on_the_way_there_and_back() -> None:
    weights = [torch.randn(2, 6, 5), torch.randn(2, 5, 3)]
    network = make_network([weight.clone() for weight in weights], make_settings(arm="vanilla"), "relu")
    images = torch.rand(4, 2, 6)
    seen: dict[tuple[str, int], Tensor] = {}

    def observe(name: str, layer: int, values: Tensor) -> None:
        seen[name, layer] = values.clone()

    logits = network.forward(images, observe)
    delta = torch.randn(4, 2, 3)
    network.descend(delta.clone(), observe)
    assert list(seen) == [("z", 0), ("output", 0), ("z", 1), ("output", 1), ("delta", 1), ("delta", 0)]
    z = torch.einsum("bri,rij->brj", images, weights[0])
    torch.testing.assert_close(seen["z", 0], z)
    torch.testing.assert_close(seen["output", 0], z.relu())
    torch.testing.assert_close(seen["output", 1], logits)
    torch.testing.assert_close(seen["delta", 1], delta)
    torch.testing.assert_close(seen["delta", 0], torch.einsum("brj,rij->bri", delta, weights[1]) * (z > 0))
