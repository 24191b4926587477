"""Batch normalization against its mathematics: formula, gradient, invariance to the scale of the weights, averages."""

from collections.abc import Callable
from math import fsum, sqrt
from typing import NamedTuple

import numpy as np
import pytest

from bnpipe.networks.compiled import Array
from tests.networks.transform import Transform

BATCH, UNITS, FAN_IN = 6, 3, 4


def draw(*shape: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def normalized(x: Array, gamma: float, beta: float, epsilon: float) -> list[float]:
    """Transform one unit of a mini-batch as algorithm 1 of Ioffe & Szegedy (2015) is printed, a line a line."""
    m = len(x)
    mean = fsum(x) / m
    variance = fsum((value - mean) ** 2 for value in x) / m
    x_hat = [(value - mean) / sqrt(variance + epsilon) for value in x]
    return [gamma * value + beta for value in x_hat]


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1e-3, 1.0])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-3, 5.0), (1e3, -2e3)])
def test_training_mode_is_the_formula_unit_by_unit(epsilon: float, scale: float, shift: float) -> None:
    z, gamma, beta = scale * draw(BATCH, UNITS) + shift, draw(UNITS, seed=2), draw(UNITS)
    y = Transform(UNITS, gamma, beta, epsilon=epsilon).forward(z)
    for unit in range(UNITS):
        expected = normalized(z[:, unit], gamma[unit], beta[unit], epsilon)
        np.testing.assert_allclose(y[:, unit], expected, rtol=0, atol=1e-11)


def test_the_smallest_batch_that_has_a_variance() -> None:
    # Two values lie one standard deviation from their mean, whatever they are; 7 and 3 are 5 + 2 and 5 - 2.
    assert Transform(1, epsilon=0).forward(np.array([[7.0], [3.0]])).tolist() == [[1], [-1]]


def test_equal_values_become_beta_and_pass_no_gradient() -> None:
    norm = Transform(1, np.array([3.0]), np.array([-2.0]))
    np.testing.assert_allclose(norm.forward(np.full((4, 1), 0.7)), np.full((4, 1), -2), rtol=0, atol=1e-12)
    # Epsilon keeps it finite: gamma / sqrt(0.001) * (delta - mean of delta), which sums to zero.
    slope = norm.backward(np.array([[1.0], [0.0], [0.0], [0.0]]))
    expected = 3 / sqrt(1e-3) * np.array([0.75, -0.25, -0.25, -0.25])
    np.testing.assert_allclose(slope.ravel(), expected, rtol=1e-12, atol=0)


def differences(function: Callable[[], Array], variable: Array, step: float = 1e-5) -> Array:
    """Return the derivatives of a function's values, (values, variables), by central differences."""
    columns = []
    for place in np.ndindex(variable.shape):
        value, ends = variable[place], []
        for moved in (value + step, value - step):
            variable[place] = moved
            ends.append(function().ravel())
        variable[place] = value
        columns.append((ends[0] - ends[1]) / (2 * step))
    return np.array(columns).T


def test_the_gradient_is_that_of_finite_differences() -> None:
    z, gamma, beta = 2 * draw(BATCH, UNITS) + 1, draw(UNITS, seed=2), draw(UNITS, seed=3)
    expected = [differences(lambda: Transform(UNITS, gamma, beta).forward(z), each) for each in (z, gamma, beta)]
    for value, delta in enumerate(np.eye(z.size).reshape(z.size, BATCH, UNITS)):
        norm = Transform(UNITS, gamma, beta)
        norm.forward(z)
        slope_z = norm.backward(delta)
        # Parameters learn on the way: what was subtracted from them is their gradient.
        slopes = slope_z, gamma - norm.learned.gamma, beta - norm.learned.beta
        for slope, of_all in zip(slopes, expected, strict=True):
            np.testing.assert_allclose(slope.ravel(), of_all[value], rtol=1e-8, atol=1e-9)


class Slopes(NamedTuple):
    output: Array  # (batch, units)
    inputs: Array  # dL/du, (batch, fan_in)
    weights: Array  # dL/dW, (fan_in, units)


def slopes_of(inputs: Array, weights: Array, delta: Array, epsilon: float) -> Slopes:
    """Return BN(uW), and the gradients where that at the output is delta (batch, units)."""
    norm = Transform(UNITS, draw(UNITS, seed=7), draw(UNITS, seed=8), epsilon=epsilon)
    output = norm.forward(inputs @ weights)
    slope_z = norm.backward(delta)
    return Slopes(output, slope_z @ weights.T, inputs.T @ slope_z)


@pytest.mark.parametrize("a", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("epsilon", [0.0, 1e-3])
def test_the_scale_of_the_weights_is_taken_out_and_divides_their_gradient(a: float, epsilon: float) -> None:
    # Ioffe & Szegedy 2015, section 3.3: BN((aW)u) = BN(Wu), the same gradient at u, and 1/a of it at the weights.
    # With an epsilon this holds exactly where it is scaled as the variance is, by the square of a.
    inputs, weights, delta = draw(BATCH, FAN_IN), draw(FAN_IN, UNITS, seed=2), draw(BATCH, UNITS, seed=3)
    plain = slopes_of(inputs, weights, delta, epsilon)
    scaled = slopes_of(inputs, a * weights, delta, a**2 * epsilon)
    np.testing.assert_allclose(scaled.output, plain.output, rtol=0, atol=1e-12)
    np.testing.assert_allclose(scaled.inputs, plain.inputs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(a * scaled.weights, plain.weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("a", [0.1, 10.0, 1000.0])
def test_an_epsilon_that_is_not_scaled_along_is_all_that_breaks_the_invariance(a: float) -> None:
    inputs, weights = draw(BATCH, FAN_IN), draw(FAN_IN, UNITS, seed=2)
    variance = np.var(inputs @ weights, axis=0)
    plain, scaled = (Transform(UNITS).forward(factor * inputs @ weights) for factor in (1, a))
    ratio = np.sqrt((variance + 1e-3) / (variance + 1e-3 / a**2))
    np.testing.assert_allclose(scaled, ratio * plain, rtol=1e-12, atol=1e-12)
    assert np.abs(scaled - plain).max() > 1e-5  # the layer did not ignore it


def test_the_gradient_of_a_unit_is_perpendicular_to_its_weights() -> None:
    # Euler: what does not change along a ray has no slope along it.
    weights = draw(FAN_IN, UNITS, seed=2)
    slopes = slopes_of(draw(BATCH, FAN_IN), weights, draw(BATCH, UNITS, seed=3), epsilon=0)
    assert np.linalg.norm(slopes.weights) > 0.1
    np.testing.assert_allclose((weights * slopes.weights).sum(axis=0), np.zeros(UNITS), rtol=0, atol=1e-12)


BATCHES = [[0.0, 1.0, 2.0, 3.0, 4.0], [-4.0, -2.0, 0.0, 2.0, 4.0], [6.0] * 5]
# mean 2, 0, 6; biased variance 2, 8, 0; unbiased 2.5, 10, 0. moving = 0.99 * moving + 0.01 * batch, from 0 and 1:
MOVING_MEANS = [0.02, 0.0198, 0.079602]
MOVING_VARIANCES = {"biased": [1.01, 1.0799, 1.069101], "unbiased": [1.015, 1.10485, 1.0938015]}


@pytest.mark.parametrize("convention", ["biased", "unbiased"])
def test_moving_averages_of_three_batches_by_hand(convention: str) -> None:
    norm = Transform(1, moving_variance=convention)
    averages = []
    for batch in BATCHES:
        norm.forward(np.array(batch)[:, np.newaxis])
        averages.append((norm.learned.mean.item(), norm.learned.variance.item()))
    means, variances = zip(*averages, strict=True)
    assert means == pytest.approx(MOVING_MEANS, rel=1e-14)
    assert variances == pytest.approx(MOVING_VARIANCES[convention], rel=1e-14)


@pytest.mark.parametrize("convention", ["biased", "unbiased"])
def test_inference_by_hand_reads_those_averages_and_leaves_them_alone(convention: str) -> None:
    norm = Transform(1, np.array([0.5]), np.array([1.0]), moving_variance=convention)
    for batch in BATCHES:
        norm.forward(np.array(batch)[:, np.newaxis])
    y = norm.infer(np.array([[3.0]])).item()
    assert y == pytest.approx(0.5 * (3 - 0.079602) / sqrt(MOVING_VARIANCES[convention][-1] + 1e-3) + 1, rel=1e-14)
    assert norm.learned.mean.item() == pytest.approx(0.079602, rel=1e-14)
    assert norm.learned.variance.item() == pytest.approx(MOVING_VARIANCES[convention][-1], rel=1e-14)


def test_after_60_updates_55_percent_of_the_start_is_left() -> None:
    # Batches of zeros: of the mean's start 0 nothing shows, of the variance's start 1 there is 0.99^60 = 0.5472.
    norm = Transform(1)
    for _ in range(60):
        norm.forward(np.zeros((5, 1)))
    assert norm.learned.variance.item() == pytest.approx(0.5471566423907614, rel=1e-13)
