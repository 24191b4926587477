"""Where a run's numbers first stopped being finite: which step, which layer, which quantity."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.records import Curves
from bnpipe.core.settings import OVERFLOW_PLACES, Runs
from bnpipe.data.packed import Images
from bnpipe.networks.network import Seen
from bnpipe.training.engines import Engine, Stack
from bnpipe.training.trainer import network_arithmetic

NOWHERE = (-1, -1, -1)


def locate_failures(runs: Runs, curves: Curves, images: Images, engine: Engine) -> NDArray[np.int64]:
    """Return for each run the first step, layer and quantity that is not finite, (runs, 3); -1 if all are finite.

    curves: of these runs. images: all training images. engine: what trained them. Quantities are indices of
    `bnpipe.core.settings.OVERFLOW_PLACES`. Since a run depends on nothing but its settings and seed, failed runs are
    trained again up to the step before the failure. That step is watched too, because its update may be the cause.
    """
    steps = curves.first_nonfinite_step.tolist()
    with network_arithmetic():
        found = [
            _watch(engine.start(runs.take([run]), images), step) if step >= 0 else NOWHERE
            for run, step in enumerate(steps)
        ]
    return np.array(found, dtype=np.int64)


def _watch(stack: Stack, step: int) -> tuple[int, int, int]:
    first = max(step - 1, 0)
    stack.advance(first)
    for now in range(first, step + 1):
        (seen,) = stack.observed_step()
        for place, layer, values in _in_order(seen):
            if not np.isfinite(values).all():
                return now, layer, OVERFLOW_PLACES.index(place)
    return NOWHERE


def _in_order(seen: Seen) -> Iterator[tuple[str, int, NDArray[np.floating]]]:
    """Yield the quantities of a step in the order in which they are computed: place, layer, values."""
    layers = range(len(seen.z))
    for layer in layers:
        yield "z", layer, seen.z[layer]
        yield "output", layer, seen.output[layer]
    yield "loss", layers[-1], np.array(seen.loss)
    for layer in reversed(layers):
        yield "delta", layer, seen.delta[layer]
    for layer in layers:
        yield "weights", layer, seen.weights[layer]
