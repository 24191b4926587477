"""The random contract: which weights and which mini-batches belong to a seed.

Seed s owns one NumPy legacy stream, ``numpy.random.RandomState(s)``. It gives the weight matrices first, then
every shuffle of the training images. Both arms of a pair replay the same stream, so they start from the same
weights and see the same batches. The order of the draws is fixed: changing it changes every curve.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bnpipe.errors import InputError


def initial_weights(
    stream: np.random.RandomState, layer_sizes: Sequence[int], init_std: float
) -> list[NDArray[np.float32]]:
    """Draw the weight matrices, first layer first; each has shape (fan_in, fan_out)."""
    return [
        stream.normal(size=(fan_in, fan_out), scale=init_std).astype(np.float32)
        for fan_in, fan_out in pairwise(layer_sizes)
    ]


class BatchOrder:
    """Which training images make up each mini-batch, for several streams side by side.

    A shuffle permutes the order that stands, as the tutorial's does. A batch takes the next images of the
    order; where too few are left it takes the rest, shuffles, and fills up from the front of the new order.
    """

    def __init__(self, streams: Sequence[np.random.RandomState], images: int, batch_size: int) -> None:
        if not 1 <= batch_size <= images:
            raise InputError(f"batch_size: found {batch_size}; permitted is 1 to {images}, the training images")
        self._streams = streams
        self._batch_size = batch_size
        self._orders = np.tile(np.arange(images), (len(streams), 1))  # (runs, images)
        self._next = 0
        self._shuffle()

    def next_batch(self) -> NDArray[np.int64]:
        """Return the next mini-batch: indices of training images, shape (runs, batch_size)."""
        rest = self._orders[:, self._next : self._next + self._batch_size].copy()  # the order will be overwritten
        missing = self._batch_size - rest.shape[1]
        self._next += self._batch_size
        if missing == 0:
            return rest
        self._shuffle()
        self._next = missing
        return np.concatenate([rest, self._orders[:, :missing]], axis=1)

    def _shuffle(self) -> None:
        for run, stream in enumerate(self._streams):
            permutation = np.arange(self._orders.shape[1])
            stream.shuffle(permutation)
            self._orders[run] = self._orders[run, permutation]
