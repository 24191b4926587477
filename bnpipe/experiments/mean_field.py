"""Mean field theory of networks at initialization: by how much signals and gradients grow from layer to layer.

In wide layers with random weights z, the product of a layer, is normal, and the gradient that reaches a unit does not
depend on its z. An average over a layer is then a Gaussian integral, and follows from the averages of the layer below
(Poole et al. 2016, arXiv 1606.05340; Schoenholz et al. 2017, arXiv 1611.01232). Under batch normalization the same
holds for a feature over the images of a large batch (Yang et al. 2019, arXiv 1902.08129).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bnpipe.core.settings import Activation, Arm

Floats = NDArray[np.float64]


class Function(NamedTuple):
    """An elementwise function and its derivative."""

    value: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]


FUNCTIONS: dict[Activation, Function] = {
    "tanh": Function(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "relu": Function(lambda x: np.maximum(x, 0), lambda x: np.heaviside(x, 0.5)),
    "sigmoid": Function(expit, lambda x: expit(x) * expit(-x)),
}
ARMS_WITH_THEORY: tuple[Arm, ...] = ("vanilla", "batchnorm")  # for which the theory is written out

# The nodes are midpoints of short steps. Even for large arguments a nonlinearity is smooth over a step, and no midpoint
# is 0, where relu has its kink. Gauss-Hermite quadrature converges slowly in both cases.
STEP = 0.005
NODES = np.arange(-9 + STEP / 2, 9, STEP)
DENSITY = np.exp(-(NODES**2) / 2) / np.sqrt(2 * np.pi) * STEP


class Growth(NamedTuple):
    """Growth factors between n + 1 neighbouring layers, first layer first."""

    forward: Floats  # (n,): of E[z^2], from each layer but the last to the layer above
    backward: Floats  # (n,): of E||delta||^2, delta the gradient at z, to each layer but the last from the layer above


def gaussian_mean(function: Callable[[Floats], Floats], variance: float) -> float:
    """Return E[f(x)] for x ~ N(0, variance), by the midpoint rule."""
    return float(DENSITY @ function(np.sqrt(variance) * NODES))


def growth(
    arm: Arm, activation: Activation, gains: Sequence[float], mean_square: float, variance: float, epsilon: float
) -> Growth:
    """Follow a network upwards from its first layer.

    gains: fan_in * std^2 of the weights of each layer but the first, where std is their standard deviation.
    mean_square, variance: E[z^2] in the first layer, and the variance of z over the batch (used for batchnorm only).

    Let y ~ N(0, s) be the input of the nonlinearity f. Then in the layer above E[z^2] = gain * E[f(y)^2], the variance
    of z over the batch is gain * Var[f(y)], and E||delta||^2 = gain * E[f'(y)^2] / d * E||delta above||^2. Vanilla:
    s = E[z^2], d = 1. Batchnorm: d = variance + epsilon, s = variance / d. For epsilon 0 the backward factor of
    batchnorm is E[f'^2] / Var[f] of a standard normal, whatever the weights: pi / (pi - 1) for relu.
    """
    value, slope = FUNCTIONS[activation]
    forward, backward = [], []
    for gain in gains:
        d = variance + epsilon if arm == "batchnorm" else 1.0
        s = variance / d if arm == "batchnorm" else mean_square
        mean = gaussian_mean(value, s)
        square = gaussian_mean(lambda y: value(y) ** 2, s)
        forward.append(gain * square / mean_square)
        backward.append(gain * gaussian_mean(lambda y: slope(y) ** 2, s) / d)
        mean_square, variance = gain * square, gain * (square - mean**2)
    return Growth(np.array(forward), np.array(backward))
