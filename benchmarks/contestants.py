"""Ways to train the same networks: bnpipe's, what people would write instead, and the products alone.

PyTorch and JAX are imported only by the contestants that use them, because memory is measured too.
"""

from itertools import pairwise
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.made_up import SHAPE
from bnpipe.core.settings import Device, TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.networks.compiled import compiled
from bnpipe.networks.network import ALIGNMENT
from bnpipe.networks.seeds import initial_weights
from bnpipe.training.trainer import Training

Matrices = tuple[NDArray[np.float32], ...]


class Contestant(Protocol):
    """One way to train."""

    def advance(self, steps: int) -> object:
        """Train every network on this many mini-batches. Return when they are done, on a GPU too."""


def make(what: str, settings: TrainingSettings, stack: int, images: Images, device: Device) -> Contestant:
    """Build a contestant and all of its networks. images: all training images, the same for every contestant."""
    match what:
        case "bnpipe" | "bnpipe, two jobs":
            return Training(settings, 0, images)
        case "products" if device == "cpu":
            return ProductsAlone(settings)
        case "jax":
            from benchmarks.jax_scan import JaxScan

            return JaxScan(settings, stack, images)
        case _:
            from benchmarks.torch_contestants import make_of_torch

            return make_of_torch(what, settings, stack, images, device)


class ProductsAlone:
    """Only the matrix products of a step of one network, by the library that bnpipe's compiled step uses.

    They are those of the forward pass, of the backward pass and of the gradients of the weights. Their memory stays in
    the processor's cache.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        sizes, m = settings.layer_sizes(SHAPE), settings.batch_size
        stream = np.random.RandomState(0)
        drawn = initial_weights(stream, sizes, "xavier")  # so the sizes of numbers stay about the same
        shapes = [weight.shape for weight in drawn]
        self._outputs = tuple(_aligned(m, units) for units in sizes)  # inputs first, as the forward pass leaves them
        self._weights = tuple(_aligned(*shape) for shape in shapes)
        for own, values in zip(self._weights, drawn, strict=True):
            own[:] = values
        self._outputs[0][:] = stream.normal(size=(m, sizes[0]))
        # Gradients are kept for one layer at a time, as in a step. Those of outputs alternate between two places, and
        # those of weights share one.
        places = _aligned(2, m * max(sizes))
        self._deltas = tuple(places[n % 2, : m * units].reshape(m, units) for n, units in enumerate(sizes))
        self._deltas[-1][:] = stream.normal(size=(m, sizes[-1]))
        gradient = _aligned(max(map(prod, pairwise(sizes))))
        self._gradients = tuple(gradient[: prod(shape)].reshape(shape) for shape in shapes)

    def advance(self, steps: int) -> None:
        _multiply(steps, self._outputs, self._weights, self._deltas, self._gradients)


@compiled
def _multiply(steps: int, outputs: Matrices, weights: Matrices, deltas: Matrices, gradients: Matrices) -> None:
    layers = len(weights)
    for _ in range(steps):
        for layer in range(layers):
            np.dot(outputs[layer], weights[layer], outputs[layer + 1])
        for layer in range(layers - 1, -1, -1):
            if layer:
                np.dot(deltas[layer + 1], weights[layer].T, deltas[layer])
            np.dot(outputs[layer].T, deltas[layer + 1], gradients[layer])


def _aligned(*shape: int) -> NDArray[Any]:
    """Return zeros that are aligned in memory like those of bnpipe's networks."""
    memory = np.zeros(4 * prod(shape) + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + 4 * prod(shape)].view(np.float32).reshape(shape)
