import itertools
import math

import pytest
import torch
from torch import Tensor

from bnpipe.networks import NONLINEARITIES, StackedNetwork, cross_entropy
from bnpipe.norms import ARMS
from bnpipe.settings import Arm, TrainingSettings
from tests.conftest import make_settings


def make_network(weights: list[Tensor], settings: TrainingSettings, activation: str) -> StackedNetwork:
    return StackedNetwork(weights, [ARMS[settings.arm](weight, settings) for weight in weights], activation)


@pytest.mark.parametrize("name", sorted(NONLINEARITIES))
def test_nonlinearities_and_their_derivatives(name: str) -> None:
    function = {"tanh": torch.tanh, "relu": torch.relu}[name]
    x = torch.linspace(-12, 12, 1001, dtype=torch.float64, requires_grad=True)
    out = NONLINEARITIES[name].forward(x.detach().clone())
    torch.testing.assert_close(out, function(x).detach(), rtol=0, atol=1e-15)
    (slope,) = torch.autograd.grad(function(x).sum(), x)
    torch.testing.assert_close(NONLINEARITIES[name].backward(torch.ones_like(out), out), slope)


def test_cross_entropy_by_hand() -> None:
    # Logits 0, ln 3: probabilities 1/4 and 3/4. Labels 0 and 1: loss (ln 4 + ln 4/3) / 2.
    logits = torch.tensor([[[0.0, math.log(3)]], [[0.0, math.log(3)]]], dtype=torch.float64)
    loss, gradient = cross_entropy(logits, torch.tensor([[0], [1]]))
    assert loss.tolist() == pytest.approx([(math.log(4) + math.log(4 / 3)) / 2], rel=1e-14)
    expected = torch.tensor([[[-3 / 8, 3 / 8]], [[1 / 8, -1 / 8]]], dtype=torch.float64)  # (p - one-hot) / 2
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("arm", sorted(ARMS))
@pytest.mark.parametrize("activation", sorted(NONLINEARITIES))
def test_a_step_is_gradient_descent_as_autograd_has_it(arm: Arm, activation: str) -> None:
    generator = torch.Generator().manual_seed(3)
    sizes, runs, batch, rate = [6, 5, 4, 3], 2, 8, 0.3
    settings = make_settings(arm=arm, batch_size=batch)
    weights = [
        torch.randn(runs, fan_in, fan_out, generator=generator, dtype=torch.float64)
        for fan_in, fan_out in itertools.pairwise(sizes)
    ]
    images = torch.rand(runs, batch, sizes[0], generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (runs, batch), generator=generator)

    leaves = [weight.clone().requires_grad_() for weight in weights]
    hidden, function = images, {"tanh": torch.tanh, "relu": torch.relu}[activation]
    for leaf in leaves:
        z = hidden @ leaf
        if arm == "batchnorm":
            variance, mean = torch.var_mean(z, dim=1, keepdim=True, correction=0)
            z = (z - mean) / torch.sqrt(variance + settings.epsilon)
        hidden = z if leaf is leaves[-1] else function(z)
    expected_loss = torch.nn.functional.cross_entropy(hidden.flatten(0, 1), labels.flatten(), reduction="none")
    slopes = torch.autograd.grad(expected_loss.view(runs, batch).mean(dim=1).sum(), leaves)

    network = make_network([weight.clone() for weight in weights], settings, activation)
    loss, gradient = cross_entropy(network.forward(images.transpose(0, 1).contiguous()), labels.T)
    network.descend(gradient * rate)
    torch.testing.assert_close(loss, expected_loss.detach().view(runs, batch).mean(dim=1))
    for (updated, _), weight, slope in zip(network.layers, weights, slopes, strict=True):
        torch.testing.assert_close(updated, weight - rate * slope)


@pytest.mark.parametrize("arm", sorted(ARMS))
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
    before = {name: tensor.clone() for name, tensor in network.state().items()}
    _, gradient = cross_entropy(network.forward(torch.rand(60, 2, 784)), torch.zeros(60, 2, dtype=torch.int64))
    network.descend(gradient)
    assert all(not torch.equal(tensor, before[name]) for name, tensor in network.state().items())
    for tensor in network.state().values():
        assert tensor.view(2, -1).data_ptr() == tensor.data_ptr()  # run by run


@pytest.mark.parametrize("arm", sorted(ARMS))
def test_double_precision_throughout_where_weights_are_double(arm: Arm) -> None:
    weights = [torch.ones(1, 784, 10, dtype=torch.float64), torch.ones(1, 10, 10, dtype=torch.float64)]
    network = make_network(weights, make_settings(arm=arm), "tanh")
    assert network.forward(torch.rand(60, 1, 784, dtype=torch.float64)).dtype == torch.float64
    assert network.infer(torch.rand(60, 784, dtype=torch.float64)).dtype == torch.float64
