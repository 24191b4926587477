"""Internal covariate shift: what an update of the layers below does to a layer's gradient.

Ioffe & Szegedy (2015) gave this name to the change of a layer's inputs in training; Santurkar et al. (2018, arXiv
1805.11604, definition 2.1) made it a number. For the weights of layer k let

    G   be the gradient of a mini-batch's loss,
    G'  the same after the layers below k took their step of gradient descent on this mini-batch.

The shift is ||G' - G|| / ||G||, and the cosine of the angle between the two.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bnpipe.core.csv_files import RUN_KEYS, write_table
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Images, open_dataset
from bnpipe.networks.kernels import network_arithmetic
from bnpipe.networks.network import StackedNetwork, cross_entropy
from bnpipe.networks.seeds import BatchOrder, streams_of
from bnpipe.training.trainer import Training, build_network, training_subset

SHIFT_COLUMNS = [*RUN_KEYS, "step", "layer", "relative_change", "cosine"]

Layers = list[list[Tensor]]  # of each layer the weights, (runs, fan_in, fan_out), and then the transform's state


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
    seen = training_subset(runs.settings, images)
    streams = streams_of(runs.seeds)
    steps = runs.settings.evaluated_steps
    tables = []
    with network_arithmetic():
        training = Training(runs, images)
        # Gradients are differences of much larger weights: in single precision their digits would be lost.
        probe = build_network(runs.change(precision="float64"), streams)
        rates = torch.tensor(runs.learning_rates, dtype=probe.precision).unsqueeze(1)
        batches = BatchOrder(streams, len(seen), runs.settings.batch_size)  # the training's, a second time
        for begin, end in pairwise([*steps, steps[-1] + 1]):
            batch = seen.batch(torch.from_numpy(batches.next_batches(end - begin)[0]), probe.precision)
            measured = gradient_shift(training.network, probe, *batch, rates)
            tables.append(_tabulated(*measured, runs.seeds).assign(step=begin))
            training.advance(end - begin)
    table = pd.concat(tables).assign(condition=condition, arm=runs.settings.arm)
    return table[SHIFT_COLUMNS].sort_values(SHIFT_COLUMNS[:5], ignore_index=True)


def gradient_shift(
    network: StackedNetwork, probe: StackedNetwork, images: Tensor, labels: Tensor, learning_rates: Tensor
) -> tuple[Tensor, Tensor]:
    """Measure how every layer's gradient changes when the layers below it are updated, in training mode.

    images: (batch, runs, pixels); labels: (batch, runs); learning_rates: (runs, 1). The network is not changed; the
    probe, a network of the same shape, is overwritten and computes in its own precision. Returns the relative change
    and the cosine, both (layers - 1, runs), from the second layer on.
    """
    before, inside = _layers_of(network), _layers_of(probe)
    _put(inside, before)
    _descend(probe, images, labels, learning_rates)
    after = [[tensor.clone() for tensor in layer] for layer in inside]
    shifts = []
    for layer in range(1, len(inside)):
        _put(inside, [*after[:layer], *before[layer:]])
        _descend(probe, images, labels, learning_rates)
        weight = before[layer][0]
        # Both are the learning rate times a gradient; the factor cancels.
        shifts.append(compare(weight - after[layer][0], weight - inside[layer][0]))
    change, cosine = (torch.stack(values) for values in zip(*shifts, strict=True))
    return change, cosine


def compare(gradient: Tensor, shifted: Tensor) -> tuple[Tensor, Tensor]:
    """Return ||shifted - gradient|| / ||gradient|| and the cosine of the two, for each run.

    gradient, shifted: (runs, fan_in, fan_out). Both results are (runs,).
    """
    norm, shifted_norm, distance = (
        torch.linalg.vector_norm(values, dim=(1, 2)) for values in (gradient, shifted, shifted - gradient)
    )
    return distance / norm, (gradient * shifted).sum(dim=(1, 2)) / (norm * shifted_norm)


def _layers_of(network: StackedNetwork) -> Layers:
    return [list(layer.values()) for layer in network.state_of_layers()]


def _put(layers: Layers, values: Layers) -> None:
    for layer, sources in zip(layers, values, strict=True):
        for tensor, source in zip(layer, sources, strict=True):
            tensor.copy_(source)


def _descend(network: StackedNetwork, images: Tensor, labels: Tensor, learning_rates: Tensor) -> None:
    _, gradient = cross_entropy(network.forward(images), labels)
    network.descend(gradient.mul_(learning_rates))


def _tabulated(change: Tensor, cosine: Tensor, seeds: Sequence[int]) -> pd.DataFrame:
    layers, runs = change.shape
    return pd.DataFrame(
        {
            "seed": np.tile(seeds, layers),
            "layer": np.repeat(np.arange(2, layers + 2), runs),
            "relative_change": change.flatten().numpy(),
            "cosine": cosine.flatten().numpy(),
        }
    )
