"""Internal covariate shift of gradients: what an update of the layers below does to a layer's gradient.

Ioffe & Szegedy (2015) gave this name to the change of a layer's inputs in training; Santurkar et al. (2018, arXiv
1805.11604, definition 2.1) made it a number. For the weights of layer k let

    G   be the gradient of a mini-batch's loss,
    G'  the same after the layers below k took their step of gradient descent on this mini-batch.

The shift is the absolute change ||G' - G||. Gradients of the two arms differ in size, so the claim is about the
relative change ||G' - G|| / ||G||. The cosine of the angle between the two is measured too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bnpipe.core.csv_files import RUN_KEYS, write_table
from bnpipe.core.settings import Runs, Shape, TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.experiments.along_training import Moment, probe_of, table_along, tuned_runs
from bnpipe.networks.compiled import Array, Labels
from bnpipe.networks.network import Network

GRADIENT_COLUMNS = [*RUN_KEYS, "step", "layer", "relative_change", "absolute_change", "cosine"]

Layers = list[list[Array]]  # of each layer the weights, (fan_in, fan_out), and then what its transform has learned


class Shift(NamedTuple):
    """How a layer's gradient changes; nan if it is zero or not finite."""

    relative_change: float  # ||G' - G|| / ||G||
    absolute_change: float  # ||G' - G||
    cosine: float  # of the angle between G and G'


def make_gradient_shift(
    condition: str, settings: Mapping[str, Any], seeds: Sequence[int], tuning: Path, packed: Path, table: Path
) -> None:
    """Train one network for each seed at the best learning rate, measure it on the way, and write the table.

    settings: the fields of TrainingSettings. tuning: the table that chooses the rate. packed: the packed data set.
    Raises InputError if one of the two files cannot be used.
    """
    runs = tuned_runs(settings, seeds, tuning)
    write_table(gradient_shift_table(condition, runs, open_dataset(packed).train), table)


def gradient_shift_table(condition: str, runs: Runs, images: Images) -> pd.DataFrame:
    """Train one network for each run and measure every evaluated step: its own update on its own mini-batch.

    images: all training images. Columns GRADIENT_COLUMNS, sorted by the first five. Layers are counted from 1; the
    first one measured is the second, since the first has none below.
    """
    table = table_along(condition, runs, images, GRADIENT_COLUMNS, _shifts_along)
    return table.sort_values(GRADIENT_COLUMNS[:5], ignore_index=True)


def _shifts_along(settings: TrainingSettings, shape: Shape, moments: Iterable[Moment]) -> Iterator[tuple[Any, ...]]:
    probe = probe_of(settings, shape)
    for step, network, images, labels in moments:
        shifts = gradient_shift(network, probe, images, labels, settings.learning_rate)
        yield from ((step, layer, *shift) for layer, shift in enumerate(shifts, start=2))


def gradient_shift(
    network: Network, probe: Network, images: Array, labels: Labels, learning_rate: float
) -> list[Shift]:
    """Measure how every layer's gradient changes when the layers below it are updated, in training mode.

    images: (batch, pixels), in the probe's precision; labels: (batch,). The network is not changed; the probe, a
    network of the same shape, is overwritten and computes in its own precision. Returns the shift of each layer from
    the second on.
    """
    before, inside = _layers_of(network), _layers_of(probe)
    _put(inside, before)
    probe.step(images, labels, learning_rate)
    after = [[array.copy() for array in layer] for layer in inside]
    shifts = []
    for layer in range(1, len(inside)):
        _put(inside, [*after[:layer], *before[layer:]])
        probe.step(images, labels, learning_rate)
        weight = before[layer][0]  # a step subtracts the learning rate times the gradient
        gradients = [(weight - moved) / learning_rate for moved in (after[layer][0], inside[layer][0])]
        shifts.append(compare(*gradients))
    return shifts


def compare(gradient: Array, shifted: Array) -> Shift:
    """Compare G and G', both (fan_in, fan_out)."""
    norm, shifted_norm, distance = (np.linalg.norm(values) for values in (gradient, shifted, shifted - gradient))
    cosine = (gradient * shifted).sum() / (norm * shifted_norm)
    return Shift(float(distance / norm), float(distance), float(cosine))


def _layers_of(network: Network) -> Layers:
    return [[weight, *learned] for weight, learned in zip(network.weights, network.learned, strict=True)]


def _put(layers: Layers, values: Layers) -> None:
    for layer, sources in zip(layers, values, strict=True):
        for array, source in zip(layer, sources, strict=True):
            array[:] = source
