"""Weight decay and batch normalization: how the norm of a layer's weights grows, and where it settles.

With batch normalization the loss does not depend on the scale of a layer's weights W, so its gradient g is orthogonal
to W. A step at learning rate r with weight decay d is W' = (1 - r d) W - r g, and so

    ||W'||^2 = (1 - r d)^2 ||W||^2 + r^2 ||g||^2.

Without decay the norm can only grow. With decay it settles where the gradient adds as much as decay takes away:
r^2 ||g||^2 = (1 - (1 - r d)^2) ||W||^2. There W turns at every step by an angle that depends on neither the gradient
nor the norm,

    tan(angle)^2 = (r ||g||)^2 / ((1 - r d) ||W||)^2, which is about 2 r d

(van Laarhoven 2017, arXiv 1706.05350; Wan et al. 2020, arXiv 2006.08419). This holds if epsilon is small compared with
the variance of the products. It holds on average, because the gradient of a mini-batch varies from step to step.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Runs, TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.training.engines import engine_on_cpu
from bnpipe.training.trainer import network_arithmetic

INTERVAL = 20  # steps from one measured step to the next
TURN_COLUMNS = ["arm", "learning_rate", "weight_decay", "seed", "step", "layer", "norm", "angle"]


def make_equilibrium(
    settings: Mapping[str, Any], weight_decays: Sequence[float], seeds: Sequence[int], packed: Path, table: Path
) -> None:
    """Train one network for each weight decay and seed, measure its weights on the way, and write the table.

    settings: the fields of TrainingSettings; the weight decay is replaced. packed: the packed data set. Raises
    InputError if the packed file cannot be used.
    """
    images = open_dataset(packed).train
    stacks = [Runs.from_plain({**settings, "weight_decay": decay}, seeds) for decay in weight_decays]
    write_table(pd.concat([turn_table(runs, images) for runs in stacks]), table)


def turn_table(runs: Runs, images: Images) -> pd.DataFrame:
    """Train one network for each run and measure every layer at one step in 20.

    images: all training images. Columns TURN_COLUMNS, in the order of the runs; layers are counted from 1. `norm` is
    the Frobenius norm of a layer's weights before the step, `angle` the angle by which the step turned them, in
    radians.
    """
    rows = []
    with network_arithmetic():
        for settings, seed in zip(runs.each, runs.seeds, strict=True):
            named = settings.arm, settings.learning_rate, settings.weight_decay, seed
            rows += [(*named, *row) for row in _turns(settings, seed, images)]
    return pd.DataFrame(rows, columns=TURN_COLUMNS)


def _turns(settings: TrainingSettings, seed: int, images: Images) -> Iterator[tuple[int, int, float, float]]:
    """Train a network; yield step, layer, norm and angle at the second of every INTERVAL steps."""
    stack = engine_on_cpu(settings).start(Runs.of_seeds(settings, [seed]), images)
    for first in range(0, settings.steps - 1, INTERVAL):
        if first:
            stack.advance(INTERVAL - 2)
        (before,), (after,) = stack.observed_step(), stack.observed_step()
        for layer, (weights, turned) in enumerate(zip(before.weights, after.weights, strict=True), start=1):
            yield first + 1, layer, float(np.linalg.norm(weights.astype(np.float64))), angle_between(weights, turned)


def angle_between(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the angle between two arrays of the same shape, as vectors, in radians; nan if one is 0 or not finite.

    A small angle could not be computed from its cosine, which differs from 1 by only half of the angle's square.
    """
    first, second = (array.astype(np.float64) / np.linalg.norm(array.astype(np.float64)) for array in (one, other))
    return float(2 * np.arctan2(np.linalg.norm(first - second), np.linalg.norm(first + second)))
