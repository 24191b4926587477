"""Where a run's numbers first stopped being finite: which step, which layer, which quantity."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnpipe.core.records import Curves
from bnpipe.core.settings import OVERFLOW_PLACES, Runs
from bnpipe.data.packed import Images
from bnpipe.networks.kernels import network_arithmetic
from bnpipe.training.trainer import Training

NOWHERE = (-1, -1, -1)


def locate_failures(runs: Runs, curves: Curves, images: Images) -> NDArray[np.int64]:
    """Return for each run the first step, layer and quantity that is not finite, (runs, 3); -1 if all are finite.

    curves: of these runs. images: all training images. Quantities are indices of
    `bnpipe.core.settings.OVERFLOW_PLACES`. Since a run depends on nothing but its settings and seed, failed runs are
    trained again up to the step before the failure. That step is watched too: its update may be the cause.
    """
    steps = curves.first_nonfinite_step
    found = np.full((len(steps), 3), -1, dtype=np.int64)
    with network_arithmetic():
        for step in sorted(set(steps[steps >= 0].tolist())):
            failed = np.flatnonzero(steps == step).tolist()
            found[failed] = _watch(Training(runs.take(failed), images), step, len(failed))
    return found


def _watch(training: Training, step: int, runs: int) -> NDArray[np.int64]:
    found = [NOWHERE] * runs
    now = max(step - 1, 0)
    training.advance(now)

    def observe(name: str, layer: int, values: Tensor) -> None:
        finite = torch.isfinite(values).all(dim=2).all(dim=0)
        for run in range(runs):
            if found[run] == NOWHERE and not finite[run]:
                found[run] = (now, layer, OVERFLOW_PLACES.index(name))

    while NOWHERE in found and now <= step:
        training.observed_step(observe)
        for layer, (weight, _) in enumerate(training.network.layers):
            observe("weights", layer, weight.transpose(0, 1))
        now += 1
    return np.array(found, dtype=np.int64)
