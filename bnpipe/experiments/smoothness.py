"""Smoothness of the loss along the gradient on which a network descends (Santurkar et al. 2018).

Their section 3.1 and figure 4 (arXiv 1805.11604) look at the loss of a mini-batch along its own gradient. Let x be
everything that is learned: weights, gamma and beta (or biases). Let g(x) be the gradient of the loss of the step's own
mini-batch in training mode, so that moving averages play no part. For step sizes c from 1/4 to 4 learning rates let
s = -c g(x). Then these are measured:

    gradient change  ||g(x + s) - g(x)||, at its largest: how well the gradient predicts the one a step further;
    loss range       the largest minus the smallest loss at the points x + s;
    scale-free form  ||g_W(x + s_W) - g_W(x)|| / ||s_W|| * ||W||^2, at its largest, where only the weights W move.

The third is needed because batch normalization makes the scale of the weights arbitrary: with weights a times as large
and the learning rate a^2 times as large, a normalized network learns the same, but its gradients at the weights are a
times smaller. A change of gradient per distance is a^2 times smaller, which ||W||^2 makes up for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.csv_files import RUN_KEYS, write_table
from bnpipe.core.settings import Runs, Shape, TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.experiments.along_training import Moment, probe_of, table_along, tuned_runs
from bnpipe.networks.compiled import Array, Labels
from bnpipe.networks.network import Network

SMOOTHNESS_COLUMNS = [*RUN_KEYS, "step", "rate_multiple", "gradient_change", "loss_range", "scale_free"]
RATE_MULTIPLES = np.sqrt(2) ** np.arange(-4, 5)  # step sizes in learning rates: 1/4 to 4, and 1 in the middle
LEARNED = ("weights", "gamma", "beta")  # the numbers of a network that gradient descent changes

Vector = NDArray[np.float64]  # of everything that is learned, (parameters,)


class Smoothness(NamedTuple):
    """What is measured along one gradient; nan if that gradient is not finite."""

    rate_multiple: float  # the step size with the largest gradient change, in learning rates
    gradient_change: float  # at that step size; infinite if a gradient on the way is not finite
    loss_range: float  # infinite if a loss on the way is not finite
    scale_free: float  # also nan if the gradient at the weights is zero


def make_smoothness(
    condition: str, settings: Mapping[str, Any], seeds: Sequence[int], tuning: Path, packed: Path, table: Path
) -> None:
    """Train one network for each seed at the best learning rate, measure it on the way, and write the table.

    settings: the fields of TrainingSettings. tuning: the table that chooses the rate. packed: the packed data set.
    Raises InputError if one of the two files cannot be used.
    """
    runs = tuned_runs(settings, seeds, tuning)
    write_table(smoothness_table(condition, runs, open_dataset(packed).train), table)


def smoothness_table(condition: str, runs: Runs, images: Images) -> pd.DataFrame:
    """Train one network for each run and look along the gradient of every evaluated step, on its own mini-batch.

    images: all training images. Columns SMOOTHNESS_COLUMNS, sorted by the first four.
    """
    table = table_along(condition, runs, images, SMOOTHNESS_COLUMNS, _smoothness_along)
    return table.sort_values(SMOOTHNESS_COLUMNS[:4], ignore_index=True)


def _smoothness_along(settings: TrainingSettings, shape: Shape, moments: Iterable[Moment]) -> Iterator[tuple[Any, ...]]:
    probe = probe_of(settings, shape, parameter_rate=1.0, trained="all")  # its steps are along the gradient itself
    for step, network, images, labels in moments:
        yield step, *smoothness(network, probe, images, labels, settings.learning_rate)


def smoothness(network: Network, probe: Network, images: Array, labels: Labels, learning_rate: float) -> Smoothness:
    """Look along the gradient of a mini-batch.

    images: (batch, pixels), in the probe's precision; labels: (batch,). The network is not changed; the probe, a
    network of the same shape that learns everything at one rate, is overwritten and computes in its own precision.
    """
    here = learned_by(network)
    weights = slice(network.state()["weights"].size)
    _, gradient = gradient_at(probe, here, images, labels)
    if not np.isfinite(gradient).all():
        return Smoothness(*[np.nan] * len(Smoothness._fields))
    of_weights = np.zeros_like(gradient)
    of_weights[weights] = gradient[weights]

    size, moved = np.linalg.norm(here[weights]), np.linalg.norm(of_weights)
    losses, changes, scale_free = [], [], []
    for multiple in RATE_MULTIPLES:
        step = multiple * learning_rate
        loss, there = gradient_at(probe, here - step * gradient, images, labels)
        losses.append(loss)
        changes.append(np.linalg.norm(there - gradient))
        _, there = gradient_at(probe, here - step * of_weights, images, labels)
        scale_free.append(np.linalg.norm((there - gradient)[weights]) / (step * moved) * size**2)
    change = _infinite_if_unknown(changes)
    return Smoothness(
        rate_multiple=float(RATE_MULTIPLES[change.argmax()]),
        gradient_change=float(change.max()),
        loss_range=float(np.ptp(losses)) if np.isfinite(losses).all() else np.inf,
        scale_free=float(_infinite_if_unknown(scale_free).max()) if moved else np.nan,
    )


def _infinite_if_unknown(values: list[np.floating]) -> Vector:
    return np.where(np.isnan(values), np.inf, values)


def gradient_at(probe: Network, point: Vector, images: Array, labels: Labels) -> tuple[float, Vector]:
    """Return the loss and its gradient at a point, in training mode; the probe is overwritten."""
    first = 0
    for name in LEARNED:
        array = probe.state()[name]
        array[:] = point[first : first + array.size]
        first += array.size
    loss = probe.step(images, labels, rate=1).loss
    return loss, point - learned_by(probe)  # a step at learning rate 1 subtracts the gradient


def learned_by(network: Network) -> Vector:
    """Return everything that a network learns, (parameters,): the weights first."""
    return np.concatenate([network.state()[name] for name in LEARNED]).astype(np.float64)
