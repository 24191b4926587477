"""Shared parts of the experiments that measure a network repeatedly while it is trained.

All of them train an arm at its own best learning rate for 601 steps and measure it every 60 steps. At such a rate the
networks reach 90% on MNIST after about 150 to 500 steps, which is the part of training that claims about speed cover.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bnpipe.core.csv_files import RUN_KEYS
from bnpipe.core.settings import Runs, Shape, TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.experiments.tuned import best_rate
from bnpipe.networks.compiled import Array, Labels
from bnpipe.networks.network import Network
from bnpipe.training.trainer import Training, network_arithmetic

STEPS = 601  # that a network takes
INTERVAL = 60  # steps between measurements


class Moment(NamedTuple):
    """A network in training, just before one of its steps."""

    step: int  # counted from 0: how many updates there were
    network: Network  # not to be changed
    images: Array  # (batch, pixels) of the step's own mini-batch, in double precision
    labels: Labels  # (batch,)


# Returns the rows of one run: what is measured at its moments, without condition, arm and seed.
Measure = Callable[[TrainingSettings, Shape, Iterable[Moment]], Iterable[tuple[Any, ...]]]


def tuned_runs(settings: Mapping[str, Any], seeds: Sequence[int], tuning: Path) -> Runs:
    """Return one run for each seed: STEPS steps at the learning rate that a table of trials chooses.

    settings: the fields of TrainingSettings. tuning: see `bnpipe.experiments.tuned.best_rate`, which may raise
    InputError.
    """
    own = {"learning_rate": best_rate(tuning), "steps": STEPS, "evaluation_interval": INTERVAL}
    return Runs.from_plain({**settings, **own}, seeds)


def table_along(condition: str, runs: Runs, images: Images, columns: Sequence[str], measure: Measure) -> pd.DataFrame:
    """Train one network for each run and return a table of what is measured on the way.

    condition: the value of the column of this name. images: all training images. columns: RUN_KEYS, then those that the
    measure returns. Rows are in the order of the runs and of what the measure returns.
    """
    rows = []
    with network_arithmetic():
        for settings, seed in zip(runs.each, runs.seeds, strict=True):
            rows += [(seed, *row) for row in measure(settings, images.shape, moments(settings, seed, images))]
    table = pd.DataFrame(rows, columns=["seed", *columns[len(RUN_KEYS) :]])
    return table.assign(condition=condition, arm=runs.settings.arm)[[*columns]]


def moments(settings: TrainingSettings, seed: int, images: Images) -> Iterator[Moment]:
    """Train a network and yield it before each of its evaluated steps. images: all training images."""
    training = Training(settings, seed, images)
    for begin, end in pairwise([*settings.evaluated_steps, settings.evaluated_steps[-1] + 1]):
        batch = training.next_batch()
        yield Moment(begin, training.network, batch.shown(np.float64), batch.labels)
        training.advance(end - begin)


def probe_of(settings: TrainingSettings, shape: Shape, **changes: Any) -> Network:
    """Return a network of the same widths in double precision, to be overwritten and measured in place of a network.

    The experiments measure small differences between large numbers, which would be lost in single precision. shape: of
    the data set. changes: of its settings.
    """
    zeros = [np.zeros(size) for size in pairwise(settings.layer_sizes(shape))]
    return Network(zeros, replace(settings, precision="float64", **changes))
