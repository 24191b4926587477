from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from bnpipe.core.settings import Activation
from bnpipe.experiments.mean_field import FUNCTIONS, gaussian_mean, growth


def integral(function: str, variance: float) -> float:
    """Return E[f(x)], x ~ N(0, variance), for tanh^2 and its slope's square, sech^4, by adaptive quadrature."""
    squares: dict[str, Callable[[float], float]] = {
        "tanh^2": lambda x: np.tanh(x) ** 2,
        "sech^4": lambda x: (1 - np.tanh(x) ** 2) ** 2,
    }
    even = squares[function]
    half, _ = quad(lambda x: even(np.sqrt(variance) * x) * norm.pdf(x), 0, 10, epsabs=1e-13, limit=200)
    return float(2 * half)


def test_gaussian_means_by_hand() -> None:
    assert gaussian_mean(lambda x: x**2, 3.0) == pytest.approx(3, rel=1e-9)
    assert gaussian_mean(lambda x: np.maximum(x, 0), 4.0) == pytest.approx(2 / np.sqrt(2 * np.pi), rel=1e-5)
    assert gaussian_mean(lambda x: np.maximum(x, 0) ** 2, 4.0) == pytest.approx(2, rel=1e-9)
    assert gaussian_mean(lambda x: np.heaviside(x, 0.5) ** 2, 4.0) == pytest.approx(1 / 2, rel=1e-9)


@pytest.mark.parametrize("variance", [0.02, 1.0, 90.0, 1000.0])
def test_a_nonlinearity_is_integrated_exactly_however_steep(variance: float) -> None:
    assert gaussian_mean(lambda x: np.tanh(x) ** 2, variance) == pytest.approx(integral("tanh^2", variance), rel=1e-9)
    slope = FUNCTIONS["tanh"].slope
    assert gaussian_mean(lambda x: slope(x) ** 2, variance) == pytest.approx(integral("sech^4", variance), rel=1e-9)


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_slopes_are_derivatives(activation: Activation) -> None:
    value, slope = FUNCTIONS[activation]
    x, step = np.array([-3.0, -0.7, 0.2, 1.0, 4.0]), 1e-6
    np.testing.assert_allclose(slope(x), (value(x + step) - value(x - step)) / (2 * step), rtol=1e-7)


@pytest.mark.parametrize(("std", "expected"), [(1.0, 50.0), (0.1, 0.5)])
def test_relu_of_width_100_grows_alike_both_ways(std: float, expected: float) -> None:
    forward, backward = growth("vanilla", "relu", [100 * std**2] * 3, mean_square=88, variance=53, epsilon=1e-3)
    np.testing.assert_allclose(forward, [expected] * 3, rtol=1e-9)
    np.testing.assert_allclose(backward, [expected] * 3, rtol=1e-9)


def test_tanh_at_std_1_comes_to_the_fixed_point_of_its_map() -> None:
    fixed = brentq(lambda q: 100 * integral("tanh^2", q) - q, 1, 100, xtol=1e-12)
    forward, backward = growth("vanilla", "tanh", [100.0] * 9, mean_square=88, variance=53, epsilon=1e-3)
    assert forward[-1] == pytest.approx(1, rel=1e-9)
    assert backward[-1] == pytest.approx(100 * integral("sech^4", fixed), rel=1e-9)
    assert backward[-1] == pytest.approx(5.4, rel=0.05)  # as claims.md has it


@pytest.mark.parametrize("gain", [0.01, 1.0, 100.0])
def test_batchnorm_grows_gradients_whatever_the_weights(gain: float) -> None:
    forward, backward = growth("batchnorm", "relu", [gain] * 4, mean_square=gain, variance=gain, epsilon=0)
    np.testing.assert_allclose(backward, [1 / 2, *[np.pi / (np.pi - 1)] * 3], rtol=1e-5)
    np.testing.assert_allclose(forward, [1 / 2, 1, 1, 1], rtol=1e-5)
    _, backward = growth("batchnorm", "tanh", [gain] * 4, mean_square=gain, variance=gain, epsilon=0)
    np.testing.assert_allclose(backward[1:], integral("sech^4", 1) / integral("tanh^2", 1), rtol=1e-9)
    assert backward[-1] == pytest.approx(1.178, abs=5e-4)


def test_epsilon_by_hand() -> None:
    # Variance 0.03 and epsilon 0.01: y has the variance 3/4, E[relu(y)^2] = 3/8 and Var[relu(y)] = 3/8 * (1 - 1/pi).
    (forward, second_forward), (backward, second_backward) = growth(
        "batchnorm", "relu", [0.2, 0.2], mean_square=0.05, variance=0.03, epsilon=0.01
    )
    assert forward == pytest.approx(0.2 * 3 / 8 / 0.05)
    assert backward == pytest.approx(0.2 / 2 / 0.04)
    variance = 0.2 * 3 / 8 * (1 - 1 / np.pi)
    assert second_forward == pytest.approx(variance / (variance + 0.01) / 2 / (3 / 8), rel=1e-5)
    assert second_backward == pytest.approx(0.2 / 2 / (variance + 0.01), rel=1e-5)
