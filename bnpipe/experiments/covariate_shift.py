"""Internal covariate shift: what an update of the layers below does to a layer's gradient.

Ioffe & Szegedy (2015) gave this name to the change of a layer's inputs in training; Santurkar et al. (2018, arXiv
1805.11604, definition 2.1) made it a number. For the weights of layer k let

    G   be the gradient of a mini-batch's loss,
    G'  the same after the layers below k took their step of gradient descent on this mini-batch.

The shift is ||G' - G|| / ||G||, and the cosine of the angle between the two.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.csv_files import RUN_KEYS, write_table
from bnpipe.core.settings import Runs, TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.networks.compiled import Array, Labels
from bnpipe.networks.network import Network, draw_network
from bnpipe.networks.seeds import BatchOrder, streams_of
from bnpipe.training.trainer import Training, network_arithmetic, training_subset

SHIFT_COLUMNS = [*RUN_KEYS, "step", "layer", "relative_change", "cosine"]

Layers = list[list[Array]]  # of each layer the weights, (fan_in, fan_out), and then what its transform has learned


def make_covariate_shift(
    condition: str, settings: Mapping[str, Any], seeds: Sequence[int], packed: Path, table: Path
) -> None:
    """Train one network for each seed, measure it along training, and write the table.

    settings: the fields of TrainingSettings. packed: the packed data set. Raises InputError if the packed file
    cannot be used.
    """
    images = open_dataset(packed).train
    write_table(covariate_shift_table(condition, Runs.from_plain(settings, seeds), images), table)


def covariate_shift_table(condition: str, runs: Runs, images: Images) -> pd.DataFrame:
    """Train one network for each run and measure every evaluated step: its own update on its own mini-batch.

    images: all training images. Columns SHIFT_COLUMNS, sorted by the first five. Layers are counted from 1; the first
    one measured is the second, since the first has none below. If a gradient is zero or not finite, the shift is nan.
    """
    rows = []
    with network_arithmetic():
        for settings, seed in zip(runs.each, runs.seeds, strict=True):
            for step, (change, cosine) in _shifts_along(settings, seed, images):
                rows += [(seed, step, *shift) for shift in zip(range(2, len(change) + 2), change, cosine, strict=True)]
    table = pd.DataFrame(rows, columns=SHIFT_COLUMNS[2:]).assign(condition=condition, arm=runs.settings.arm)
    return table[SHIFT_COLUMNS].sort_values(SHIFT_COLUMNS[:5], ignore_index=True)


def _shifts_along(
    settings: TrainingSettings, seed: int, images: Images
) -> Iterator[tuple[int, tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    """Train a network; yield each of its evaluated steps, and the shift by it."""
    seen = training_subset(settings, images)
    training = Training(settings, seed, images)
    # Gradients are differences of much larger weights: in single precision their digits would be lost.
    streams = streams_of([seed])
    probe = draw_network(replace(settings, precision="float64"), streams[0])
    batches = BatchOrder(streams, len(seen), settings.batch_size)  # the training's, a second time
    for begin, end in pairwise([*settings.evaluated_steps, settings.evaluated_steps[-1] + 1]):
        batch = seen.take(batches.next_batches(end - begin)[0, :, 0])
        shown = batch.shown(probe.number)
        yield begin, gradient_shift(training.network, probe, shown, batch.labels, settings.learning_rate)
        training.advance(end - begin)


def gradient_shift(
    network: Network, probe: Network, images: Array, labels: Labels, learning_rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure how every layer's gradient changes when the layers below it are updated, in training mode.

    images: (batch, pixels), in the probe's precision; labels: (batch,). The network is not changed; the probe, a
    network of the same shape, is overwritten and computes in its own precision. Returns the relative change and the
    cosine, both (layers - 1,), from the second layer on.
    """
    before, inside = _layers_of(network), _layers_of(probe)
    _put(inside, before)
    probe.step(images, labels, learning_rate)
    after = [[array.copy() for array in layer] for layer in inside]
    shifts = []
    for layer in range(1, len(inside)):
        _put(inside, [*after[:layer], *before[layer:]])
        probe.step(images, labels, learning_rate)
        weight = before[layer][0]
        # Both are the learning rate times a gradient; the factor cancels.
        shifts.append(compare(weight - after[layer][0], weight - inside[layer][0]))
    change, cosine = np.array(shifts).T
    return change, cosine


def compare(gradient: Array, shifted: Array) -> tuple[float, float]:
    """Return ||shifted - gradient|| / ||gradient|| and the cosine of the two; both are (fan_in, fan_out)."""
    norm, shifted_norm, distance = (np.linalg.norm(values) for values in (gradient, shifted, shifted - gradient))
    return float(distance / norm), float((gradient * shifted).sum() / (norm * shifted_norm))


def _layers_of(network: Network) -> Layers:
    return [[weight, *learned] for weight, learned in zip(network.weights, network.learned, strict=True)]


def _put(layers: Layers, values: Layers) -> None:
    for layer, sources in zip(layers, values, strict=True):
        for array, source in zip(layer, sources, strict=True):
            array[:] = source
