"""Internal covariate shift of inputs: how far the inputs of a layer move within 60 steps of training.

Internal covariate shift is the name of Ioffe & Szegedy (2015) for the change in the distribution of each layer's inputs
that comes from the training of the layers below. Here the inputs of layer k are what its product receives: the outputs
of layer k - 1, after normalization and nonlinearity. They are computed in training mode: the images come in
mini-batches as large as those of training, each normalized with its own statistics. So moving averages play no part.

For each unit of layer k - 1, let t be a measured step and t' the next one. The distance is

    W1(values at t, values at t') / sqrt((variance at t + variance at t') / 2),

the Wasserstein-1 distance between its values on the same fixed training images, in standard deviations. The distance of
the layer is the mean over these units. The variance is the mean of both steps, since the variance at t alone would be a
bad scale for a relu unit that fires on few images: in vanilla networks a single unit then moves by hundreds of standard
deviations. A unit that is constant at both steps, such as a dead one, has no standard deviation and is left out.

Batch normalization fixes the mean and the variance of every unit before its nonlinearity, up to beta and gamma. Part of
its effect on this distance therefore follows from its definition. So the products of layer k - 1, which the inputs are
made from, are measured in the same way: they have not been normalized yet.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.csv_files import RUN_KEYS, write_table
from bnpipe.core.settings import Runs, Shape, TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.experiments.along_training import Moment, probe_of, table_along, tuned_runs
from bnpipe.networks.network import Network
from bnpipe.training.trainer import training_subset

INPUT_COLUMNS = [*RUN_KEYS, "step", "layer", "distance", "product_distance"]
MEASURED_IMAGES = 300  # of the training images, from the front; fewer if mini-batches do not divide them
CONSTANT = 1e-12  # a unit is constant if its standard deviation is at most this share of its largest value


class Values(NamedTuple):
    """What one layer computes for the measured images, (images, units) each."""

    outputs: NDArray[np.float64]  # the inputs of the layer above
    products: NDArray[np.float64]  # from which the outputs are made


def make_input_shift(
    condition: str, settings: Mapping[str, Any], seeds: Sequence[int], tuning: Path, packed: Path, table: Path
) -> None:
    """Train one network for each seed at the best learning rate, measure it on the way, and write the table.

    settings: the fields of TrainingSettings. tuning: the table that chooses the rate. packed: the packed data set.
    Raises InputError if one of the two files cannot be used.
    """
    runs = tuned_runs(settings, seeds, tuning)
    write_table(input_shift_table(condition, runs, open_dataset(packed).train), table)


def input_shift_table(condition: str, runs: Runs, images: Images) -> pd.DataFrame:
    """Train one network for each run and measure how far inputs move between its evaluated steps.

    images: all training images. Columns INPUT_COLUMNS, sorted by the first five: `step` is the earlier of the two
    steps, `distance` that of the layer's inputs, `product_distance` that of the products that they are made from.
    Layers are counted from 1; the first one measured is the second, since the inputs of the first are the pixels. A
    distance is nan if all units are constant or a number is not finite.
    """
    shown = measured_batches(runs.settings, training_subset(runs.settings, images))
    table = table_along(condition, runs, images, INPUT_COLUMNS, partial(_shifts_along, shown))
    return table.sort_values(INPUT_COLUMNS[:5], ignore_index=True)


def _shifts_along(
    shown: Sequence[Images], settings: TrainingSettings, shape: Shape, moments: Iterable[Moment]
) -> Iterator[tuple[Any, ...]]:
    probe = probe_of(settings, shape)
    seen = ((moment.step, values_of(moment.network, probe, shown)) for moment in moments)
    for (step, before), (_, after) in pairwise(seen):
        for layer, both in enumerate(zip(before, after, strict=True), start=2):
            yield step, layer, *(distance(*values) for values in zip(*both, strict=True))


def measured_batches(settings: TrainingSettings, images: Images) -> list[Images]:
    """Return mini-batches of training images, from the front: as many as fit into MEASURED_IMAGES, and at least one.

    images: those that the network is trained on.
    """
    size = settings.batch_size
    count = max(1, min(MEASURED_IMAGES, len(images)) // size)
    return list(images.first(count * size).chunks(size))


def values_of(network: Network, probe: Network, batches: Sequence[Images]) -> list[Values]:
    """Return what every layer but the last computes in training mode; the probe is overwritten, the network is not."""
    probe.restore(network.state())
    seen = [probe.step(batch.shown(probe.number), batch.labels, rate=0) for batch in batches]
    outputs, products = ([batch.output for batch in seen], [batch.z for batch in seen])
    return [
        Values(*(np.concatenate(parts) for parts in layer))
        for layer in zip(zip(*outputs, strict=True), zip(*products, strict=True), strict=True)
    ][:-1]


def distance(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Return the mean over units of the Wasserstein-1 distance in standard deviations; both are (images, units).

    The Wasserstein-1 distance of two samples of equal size is the mean absolute difference of their sorted values.
    Units that are constant in both samples are left out; if none is left, or a number is not finite, it is nan.
    """
    moved = np.abs(np.sort(before, axis=0) - np.sort(after, axis=0)).mean(axis=0)
    deviation = np.sqrt((before.var(axis=0) + after.var(axis=0)) / 2)
    largest = np.maximum(np.abs(before), np.abs(after)).max(axis=0)
    varies = ~(deviation <= CONSTANT * largest)  # nan is not constant
    return float((moved[varies] / deviation[varies]).mean()) if varies.any() else np.nan
