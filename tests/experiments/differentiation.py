"""A small network, and its loss and gradients written down a second time, without the package's arithmetic."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.settings import Activation, Arm, TrainingSettings
from bnpipe.networks.network import Network
from tests.conftest import make_settings

Numbers = NDArray[np.float64]
Parameters = list[list[NDArray[Any]]]  # of a layer: weights and bias, or weights, gamma and beta


def loss(layers: Parameters, activation: Activation, images: Numbers, labels: NDArray[np.int64]) -> Any:
    """Return the loss of one network, written down a second time: a function of complex numbers, too."""
    values: NDArray[Any] = images
    for weight, *rest in layers:
        z = values @ weight
        if len(rest) == 1:
            z = z + rest[0]
        else:
            centred = z - z.mean(axis=0)
            z = centred / np.sqrt((centred**2).mean(axis=0) + 1e-3) * rest[0] + rest[1]
        values = np.tanh(z) if activation == "tanh" else np.where(z.real > 0, z, 0)
    return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]).mean()


def gradients(layers: Parameters, *rest: Any) -> Parameters:
    """Differentiate the loss by a step along the imaginary axis: no difference is taken, and so no digits are lost."""
    inside = [[array.astype(np.complex128) for array in layer] for layer in layers]
    found = [[np.empty_like(array) for array in layer] for layer in layers]
    for layer, slopes in zip(inside, found, strict=True):
        for array, slope in zip(layer, slopes, strict=True):
            for place in np.ndindex(array.shape):
                array[place] += 1e-30j
                slope[place] = loss(inside, *rest).imag / 1e-30
                array[place] -= 1e-30j
    return found


def parameters(network: Network) -> Parameters:
    """Return what a network learns, layer by layer."""
    return [[w, *learned.values()] for w, learned in zip(network.weights, network.parameters, strict=True)]


def small(
    arm: Arm, activation: Activation, **changes: Any
) -> tuple[TrainingSettings, Network, Numbers, NDArray[np.int64]]:
    """Return a network of four layers on 8 pixels whose parameters are all away from their start, and a batch."""
    settings = make_settings(arm=arm, activation=activation, precision="float64", **changes)
    rng = np.random.default_rng(5)
    network = Network([rng.normal(size=size) / 2 for size in ((8, 6), (6, 5), (5, 4), (4, 10))], settings)
    for values in network.learned:
        for array in values:
            array += 0.1 * rng.random(len(array))
    return settings, network, rng.random((12, 8)), rng.integers(0, 10, 12)


def probe_for(network: Network, settings: TrainingSettings) -> Network:
    """Return a network of the same shape that holds something else."""
    return Network([weight + 1 for weight in network.weights], settings)
