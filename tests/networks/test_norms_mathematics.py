"""Batch normalization against its mathematics: formula, gradient, invariance to the scale of the weights, averages."""

from math import fsum, sqrt
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnpipe.networks.norms import BatchNorm
from tests.conftest import make_settings

BATCH, RUNS, FEATURES, FAN_IN = 6, 2, 3, 4


def batchnorm(gamma: Tensor, beta: Tensor, **changes: Any) -> BatchNorm:
    """Return a layer with gamma and beta (runs, features)."""
    norm = BatchNorm(gamma.new_empty(gamma.shape[0], FAN_IN, gamma.shape[1]), make_settings(**changes))
    norm.gamma.copy_(gamma.flatten())
    norm.beta.copy_(beta.flatten())
    return norm


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def ones(runs: int = 1, features: int = 1) -> tuple[Tensor, Tensor]:
    """Return gamma and beta as training begins with them."""
    return torch.ones(runs, features, dtype=torch.float64), torch.zeros(runs, features, dtype=torch.float64)


def normalized(x: NDArray[np.float64], gamma: float, beta: float, epsilon: float) -> list[float]:
    """Transform one feature of a mini-batch as algorithm 1 of Ioffe & Szegedy (2015) is printed, a line a line."""
    m = len(x)
    mean = fsum(x) / m
    variance = fsum((value - mean) ** 2 for value in x) / m
    x_hat = [(value - mean) / sqrt(variance + epsilon) for value in x]
    return [gamma * value + beta for value in x_hat]


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1e-3, 1.0])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-3, 5.0), (1e3, -2e3)])
def test_training_mode_is_the_formula_feature_by_feature(epsilon: float, scale: float, shift: float) -> None:
    z, gamma, beta = scale * draw(BATCH, RUNS, FEATURES) + shift, draw(RUNS, FEATURES, seed=2), draw(RUNS, FEATURES)
    y = batchnorm(gamma, beta, epsilon=epsilon).forward(z.clone()).numpy()
    for place in np.ndindex(RUNS, FEATURES):
        expected = normalized(z[:, *place].numpy(), gamma[place].item(), beta[place].item(), epsilon)
        np.testing.assert_allclose(y[:, *place], expected, rtol=0, atol=1e-11)


def test_the_smallest_batch_that_has_a_variance() -> None:
    # Two values lie one standard deviation from their mean, whatever they are; 7 and 3 are 5 + 2 and 5 - 2.
    norm = batchnorm(*ones(), epsilon=0, batch_size=2)
    assert norm.forward(torch.tensor([[[7.0]], [[3.0]]], dtype=torch.float64)).flatten().tolist() == [1, -1]


def test_equal_values_become_beta_and_pass_no_gradient() -> None:
    norm = batchnorm(torch.tensor([[3.0]]).double(), torch.tensor([[-2.0]]).double(), batch_size=4)
    y = norm.forward(torch.full((4, 1, 1), 0.7, dtype=torch.float64))
    torch.testing.assert_close(y, torch.full_like(y, -2), rtol=0, atol=1e-12)
    # Epsilon keeps it finite: gamma / sqrt(0.001) * (delta - mean of delta), which sums to zero.
    slope = norm.backward(torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64).view(4, 1, 1)).flatten()
    expected = 3 / sqrt(1e-3) * torch.tensor([0.75, -0.25, -0.25, -0.25], dtype=torch.float64)
    torch.testing.assert_close(slope, expected, rtol=1e-12, atol=0)


class Differentiable(torch.autograd.Function):
    """The layer as autograd sees a function: of z (batch, runs, features), gamma and beta (runs, features)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, gamma: Tensor, beta: Tensor, fused: bool) -> Tensor:
        ctx.save_for_backward(z, gamma, beta)
        ctx.fused = fused
        return batchnorm(gamma, beta).forward(z.clone())

    @staticmethod
    def backward(ctx: Any, *deltas: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        z, gamma, beta = (saved.detach() for saved in ctx.saved_tensors)
        norm = batchnorm(gamma, beta)
        if ctx.fused:
            norm._gradients = norm._fused_gradients  # type: ignore[method-assign]
        norm.forward(z.clone())  # again: a layer's backward may be called once only, gradcheck calls it often
        slope_z = norm.backward(deltas[0].clone())
        # Parameters learn on the way: what was subtracted from them is their gradient.
        return slope_z, gamma - norm.gamma.view_as(gamma), beta - norm.beta.view_as(beta), None


@pytest.mark.parametrize("fused", [False, True])
def test_the_gradient_is_that_of_finite_differences(fused: bool) -> None:
    variables = [2 * draw(BATCH, RUNS, FEATURES) + 1, draw(RUNS, FEATURES, seed=2), draw(RUNS, FEATURES, seed=3)]
    variables = [variable.requires_grad_() for variable in variables]
    assert torch.autograd.gradcheck(lambda *inputs: Differentiable.apply(*inputs, fused), variables)


class Slopes(NamedTuple):
    output: Tensor  # (batch, 1, features)
    inputs: Tensor  # dL/du, (batch, fan_in)
    weights: Tensor  # dL/dW, (fan_in, features)


def slopes_of(inputs: Tensor, weights: Tensor, delta: Tensor, epsilon: float) -> Slopes:
    """Return BN(uW), and the gradients where that at the output is delta (batch, 1, features)."""
    norm = batchnorm(draw(1, FEATURES, seed=7), draw(1, FEATURES, seed=8), epsilon=epsilon)
    output = norm.forward((inputs @ weights).unsqueeze(1))
    slope_z = norm.backward(delta.clone())[:, 0]
    return Slopes(output, slope_z @ weights.T, inputs.T @ slope_z)


@pytest.mark.parametrize("a", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("epsilon", [0.0, 1e-3])
def test_the_scale_of_the_weights_is_taken_out_and_divides_their_gradient(a: float, epsilon: float) -> None:
    # Ioffe & Szegedy 2015, section 3.3: BN((aW)u) = BN(Wu), the same gradient at u, and 1/a of it at the weights.
    # With an epsilon this holds exactly where it is scaled as the variance is, by the square of a.
    inputs, weights, delta = draw(BATCH, FAN_IN), draw(FAN_IN, FEATURES, seed=2), draw(BATCH, 1, FEATURES, seed=3)
    plain = slopes_of(inputs, weights, delta, epsilon)
    scaled = slopes_of(inputs, a * weights, delta, a**2 * epsilon)
    torch.testing.assert_close(scaled.output, plain.output, rtol=0, atol=1e-12)
    torch.testing.assert_close(scaled.inputs, plain.inputs, rtol=0, atol=1e-12)
    torch.testing.assert_close(a * scaled.weights, plain.weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("a", [0.1, 10.0, 1000.0])
def test_an_epsilon_that_is_not_scaled_along_is_all_that_breaks_the_invariance(a: float) -> None:
    inputs, weights = draw(BATCH, FAN_IN), draw(FAN_IN, FEATURES, seed=2)
    variance = torch.var(inputs @ weights, dim=0, correction=0)
    gamma, beta = ones(features=FEATURES)
    plain, scaled = (batchnorm(gamma, beta).forward((factor * inputs @ weights).unsqueeze(1)) for factor in (1, a))
    ratio = torch.sqrt((variance + 1e-3) / (variance + 1e-3 / a**2))
    torch.testing.assert_close(scaled, ratio * plain, rtol=1e-12, atol=1e-12)
    assert (scaled - plain).abs().max() > 1e-5  # the layer did not ignore it


def test_the_gradient_of_a_unit_is_perpendicular_to_its_weights() -> None:
    # Euler: what does not change along a ray has no slope along it.
    weights = draw(FAN_IN, FEATURES, seed=2)
    slopes = slopes_of(draw(BATCH, FAN_IN), weights, draw(BATCH, 1, FEATURES, seed=3), epsilon=0)
    assert slopes.weights.norm() > 0.1
    torch.testing.assert_close(
        (weights * slopes.weights).sum(dim=0), torch.zeros(FEATURES).double(), rtol=0, atol=1e-12
    )


BATCHES = [[0.0, 1.0, 2.0, 3.0, 4.0], [-4.0, -2.0, 0.0, 2.0, 4.0], [6.0] * 5]
# mean 2, 0, 6; biased variance 2, 8, 0; unbiased 2.5, 10, 0. moving = 0.99 * moving + 0.01 * batch, from 0 and 1:
MOVING_MEANS = [0.02, 0.0198, 0.079602]
MOVING_VARIANCES = {"biased": [1.01, 1.0799, 1.069101], "unbiased": [1.015, 1.10485, 1.0938015]}


@pytest.mark.parametrize("convention", ["biased", "unbiased"])
def test_moving_averages_of_three_batches_by_hand(convention: str) -> None:
    norm = batchnorm(*ones(), batch_size=5, moving_variance=convention)
    averages = []
    for batch in BATCHES:
        norm.forward(torch.tensor(batch, dtype=torch.float64).view(5, 1, 1))
        averages.append((norm.moving_mean.item(), norm.moving_variance.item()))
    means, variances = zip(*averages, strict=True)
    assert means == pytest.approx(MOVING_MEANS, rel=1e-14)
    assert variances == pytest.approx(MOVING_VARIANCES[convention], rel=1e-14)


@pytest.mark.parametrize("convention", ["biased", "unbiased"])
def test_inference_by_hand_reads_those_averages_and_leaves_them_alone(convention: str) -> None:
    norm = batchnorm(
        torch.tensor([[0.5]]).double(), torch.tensor([[1.0]]).double(), batch_size=5, moving_variance=convention
    )
    for batch in BATCHES:
        norm.forward(torch.tensor(batch, dtype=torch.float64).view(5, 1, 1))
    y = norm.infer(torch.tensor([[[3.0]]], dtype=torch.float64)).item()
    assert y == pytest.approx(0.5 * (3 - 0.079602) / sqrt(MOVING_VARIANCES[convention][-1] + 1e-3) + 1, rel=1e-14)
    assert norm.moving_mean.item() == pytest.approx(0.079602, rel=1e-14)
    assert norm.moving_variance.item() == pytest.approx(MOVING_VARIANCES[convention][-1], rel=1e-14)


def test_after_60_updates_55_percent_of_the_start_is_left() -> None:
    # Batches of zeros: of the mean's start 0 nothing shows, of the variance's start 1 there is 0.99^60 = 0.5472.
    norm = batchnorm(*ones(), batch_size=5)
    for _ in range(60):
        norm.forward(torch.zeros(5, 1, 1, dtype=torch.float64))
    assert norm.moving_variance.item() == pytest.approx(0.5471566423907614, rel=1e-13)
