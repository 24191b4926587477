"""The random contract: which weights and which mini-batches belong to a seed.

Seed s owns one NumPy legacy stream, ``numpy.random.RandomState(s)``. It gives the weight matrices first, then
every shuffle of the training images. Both arms of a pair replay the same stream, so they start from the same
weights and see the same batches. The order of the draws is fixed, since changing it changes every curve.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.errors import InputError
from bnpipe.core.settings import InitScheme


def streams_of(seeds: Sequence[int]) -> list[np.random.RandomState]:
    """Open the stream of each seed, at its beginning."""
    return [np.random.RandomState(seed) for seed in seeds]


def initial_weights(
    stream: np.random.RandomState, layer_sizes: Sequence[int], init_std: float | InitScheme
) -> list[NDArray[np.float32]]:
    """Draw the weight matrices of fully connected layers, first layer first; each has shape (fan_in, fan_out)."""
    return weights_of_sizes(stream, pairwise(layer_sizes), init_std)


def weights_of_sizes(
    stream: np.random.RandomState, sizes: Iterable[tuple[int, int]], init_std: float | InitScheme
) -> list[NDArray[np.float32]]:
    """Draw weight matrices of these sizes, (fan_in, fan_out) each, in this order."""
    return [stream.normal(size=size, scale=standard_deviation(init_std, size[0])).astype(np.float32) for size in sizes]


def standard_deviation(init_std: float | InitScheme, fan_in: int) -> float:
    """Return the standard deviation of a layer's first weights: a number, or the one that a scheme gives for fan_in.

    1 / sqrt(fan_in) is what the tutorial calls Xavier's (Glorot & Bengio 2010 average fan_in and fan_out);
    sqrt(2 / fan_in) is He's (He et al. 2015).
    """
    variances = {"xavier": 1 / fan_in, "he": 2 / fan_in}
    return math.sqrt(variances[init_std]) if isinstance(init_std, str) else init_std


class BatchOrder:
    """Which training images make up each mini-batch, for several streams side by side.

    A shuffle permutes the current order, as the tutorial's does. A batch takes the next images of the order; if too
    few are left, it takes them, shuffles, and fills up from the front of the new order. Raises InputError if a batch
    does not fit into the images.
    """

    def __init__(self, streams: Sequence[np.random.RandomState], images: int, batch_size: int) -> None:
        if not 1 <= batch_size <= images:
            raise InputError(f"batch_size: expected 1 to {images} (the number of training images), got {batch_size}")
        self._streams = streams
        self._batch_size = batch_size
        self._orders = np.tile(np.arange(images, dtype=np.int32), (len(streams), 1))  # (runs, images)
        self._next = images  # shuffle before the first batch

    def next_batches(self, count: int) -> NDArray[np.int32]:
        """Return the next mini-batches: indices of training images, shape (count, batch_size, runs)."""
        missing = count * self._batch_size
        parts = []
        while missing:
            if self._next == self._orders.shape[1]:
                self._shuffle()
                self._next = 0
            part = self._orders[:, self._next : self._next + missing]
            parts.append(part.T.copy())  # the order will be overwritten
            self._next += len(parts[-1])
            missing -= len(parts[-1])
        return np.concatenate(parts).reshape(count, self._batch_size, len(self._streams))

    def peek(self) -> NDArray[np.int32]:
        """Return the next mini-batch, (batch_size, runs), without moving on: it stays the next."""
        batch: NDArray[np.int32] = deepcopy(self).next_batches(1)[0]
        return batch

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that decides the next batches, by name: arrays (runs, ...), and "next", (1,)."""
        _, keys, positions, has_gauss, gauss = zip(*(stream.get_state() for stream in self._streams), strict=True)
        generators = {"keys": keys, "positions": positions, "has_gauss": has_gauss, "gauss": gauss}
        arrays = {name: np.array(values) for name, values in generators.items()}
        return {"orders": self._orders, "next": np.array([self._next]), **arrays}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned."""
        self._orders[:] = state["orders"]
        self._next = int(state["next"][0])
        generators = (state[name].tolist() for name in ("positions", "has_gauss", "gauss"))
        for stream, key, *rest in zip(self._streams, state["keys"], *generators, strict=True):
            stream.set_state(("MT19937", key, *rest))

    def _shuffle(self) -> None:
        for order, stream in zip(self._orders, self._streams, strict=True):
            permutation = np.arange(len(order))
            stream.shuffle(permutation)
            order[:] = order[permutation]
