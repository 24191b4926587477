"""Where a run's numbers first stopped being finite: which step, which layer, which quantity."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnpipe.core.records import Curves
from bnpipe.core.settings import OVERFLOW_PLACES, TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.networks.kernels import one_thread
from bnpipe.training.train import Training

NOWHERE = (-1, -1, -1)


def locate_failures(settings: Sequence[TrainingSettings], curves: Curves, images: Images) -> NDArray[np.int64]:
    """Find for each run the first step, layer and quantity that is not finite; (runs, 3), -1 where all are.

    Quantities are indices of `bnpipe.core.settings.OVERFLOW_PLACES`. A run is a function of its settings and seed:
    those that failed are trained again, up to the step, and watched in it and in the one before, whose update may have
    been at fault.
    """
    steps = curves.first_nonfinite_step
    found = np.full((len(steps), 3), -1, dtype=np.int64)
    with torch.inference_mode(), one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for step in sorted(set(steps[steps >= 0].tolist())):
            failed = np.flatnonzero(steps == step).tolist()
            again = Training([settings[run] for run in failed], curves.seeds[failed].tolist(), images)
            found[failed] = _watch(again, step, len(failed))
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
