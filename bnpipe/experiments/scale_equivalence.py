"""A change of units: batch normalization makes learning rate 1 at std 1 the same as learning rate 0.01 at std 0.1.

BN((aW)u) = BN(Wu), so the gradient at aW is 1/a times that at W (Ioffe & Szegedy 2015, section 3.3). With a learning
rate a^2 times as large the step is a times as large, and so aW stays a times W:

    aW - a^2 * rate * (gradient / a) = a * (W - rate * gradient)

gamma and beta do not depend on the scale and keep their learning rate. Without batch normalization none of this holds.
The moving averages depend on the scale, but training does not depend on them. What is compared is the weights, gamma
and beta, and the losses of mini-batches.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Images, open_dataset
from bnpipe.networks.kernels import one_thread
from bnpipe.networks.network import StackedNetwork
from bnpipe.training.trainer import Training

SCALE = 10.0  # of the weights: from std 0.1 to std 1
STEPS = 200
EQUIVALENCE_COLUMNS = ["seed", "steps", "relative_difference", "parameter_difference", "loss_difference"]


def make_scale_equivalence(settings: Mapping[str, Any], seeds: Sequence[int], packed: Path, table: Path) -> None:
    """Train networks in both units, compare them, and write the table.

    settings: the fields of TrainingSettings, with the small weights. packed: the packed data set. Raises InputError if
    the packed file cannot be used.
    """
    images = open_dataset(packed).train
    write_table(scale_equivalence_table(Runs.from_plain(settings, seeds), images), table)


def scale_equivalence_table(runs: Runs, images: Images) -> pd.DataFrame:
    """Train one network for each run as its settings say and one in the other units, and compare the two.

    Both take 200 steps in double precision with epsilon 0, from the same weights except for a factor of 10, on the same
    batches. Columns EQUIVALENCE_COLUMNS, a row for each seed. Each difference is that of `relative_difference`: for the
    weights, after those of the other network are divided by 10; for gamma and beta (vanilla: b); for training losses.
    """
    runs = runs.change(precision="float64", epsilon=0.0)
    with torch.inference_mode(), one_thread():  # NumPy may warn: a network that overflows has nothing to compare
        training, other = (Training(units, images) for units in (runs, in_other_units(runs)))
        # Weights are drawn and then rounded to single precision: 10 times a rounded weight is not 10 w rounded.
        for (weight, _), (scaled, _) in zip(training.network.layers, other.network.layers, strict=True):
            torch.mul(weight, SCALE, out=scaled)
        losses, other_losses = (each.advance(STEPS) for each in (training, other))
    weights, other_weights = (weights_of(each.network) for each in (training, other))
    parameters, other_parameters = (parameters_of(each.network) for each in (training, other))
    compared = (
        relative_difference(other_weights / SCALE, weights),
        relative_difference(other_parameters, parameters),
        relative_difference(other_losses.T, losses.T),
    )
    return pd.DataFrame(
        zip(runs.seeds, [STEPS] * len(runs), *(values.tolist() for values in compared), strict=True),
        columns=EQUIVALENCE_COLUMNS,
    )


def in_other_units(runs: Runs) -> Runs:
    """Return runs whose networks should learn the same from weights 10 times as large.

    The initialization is not changed: the weights themselves are scaled.
    """
    return runs.change(
        learning_rate=tuple(rate * SCALE**2 for rate in runs.learning_rates),
        parameter_rate=runs.settings.parameter_rate / SCALE**2,
    )


def weights_of(network: StackedNetwork) -> Tensor:
    """Return the weights of all layers, one run in a row: (runs, weights)."""
    return torch.cat([weight.flatten(1) for weight, _ in network.layers], dim=1)


def parameters_of(network: StackedNetwork) -> Tensor:
    """Return what the transforms of all layers have learned, one run in a row: (runs, parameters)."""
    runs = len(network.layers[0][0])
    learned = [tensor for _, transform in network.layers for tensor in transform.parameters().values()]
    return torch.cat([tensor.view(runs, -1) for tensor in learned], dim=1)


def relative_difference(found: Tensor, expected: Tensor) -> Tensor:
    """Return max |found - expected| / max |expected| of each row: both are (runs, numbers), the result is (runs,)."""
    return (found - expected).abs().amax(dim=1) / expected.abs().amax(dim=1)
