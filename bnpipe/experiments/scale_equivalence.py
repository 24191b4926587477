"""A change of units: batch normalization makes learning rate 1 at std 1 the same as learning rate 0.01 at std 0.1.

BN((aW)u) = BN(Wu), so the gradient at aW is 1/a times that at W (Ioffe & Szegedy 2015, section 3.3). With a learning
rate a^2 times as large the step is a times as large, and so aW stays a times W:

    aW - a^2 * rate * (gradient / a) = a * (W - rate * gradient)

gamma and beta do not see the scale and keep their learning rate. Without batch normalization nothing of this holds.
The moving averages see the scale, but training does not see them: compared are weights, gamma and beta, and the
losses of mini-batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.networks.kernels import one_thread
from bnpipe.networks.network import StackedNetwork
from bnpipe.training.train import Training

SCALE = 10.0  # of the weights: from std 0.1 to std 1
STEPS = 200
EQUIVALENCE_COLUMNS = ["seed", "steps", "relative_difference", "parameter_difference", "loss_difference"]


def make_scale_equivalence(settings: Mapping[str, Any], seeds: Sequence[int], packed: Path, table: Path) -> None:
    """Train networks in both units, compare them, and write the table.

    settings: the fields of TrainingSettings, with the small weights. packed: the packed data set. Raises InputError
    where the packed file cannot be used.
    """
    images = open_dataset(packed).train
    write_table(scale_equivalence_table(TrainingSettings.from_plain(settings), seeds, images), table)


def scale_equivalence_table(settings: TrainingSettings, seeds: Sequence[int], images: Images) -> pd.DataFrame:
    """Train one network for each seed as the settings say and one in the other units, and compare the two.

    Both take 200 steps in double precision with epsilon 0, from the same weights but for a factor of 10, on the same
    batches. Columns EQUIVALENCE_COLUMNS, a row a seed, each difference as in `relative_difference`: that of the
    weights, after those of the other network are divided by 10; of gamma and beta (vanilla: b); of training losses.
    """
    settings = replace(settings, precision="float64", epsilon=0.0)
    with torch.inference_mode(), one_thread():
        training, other = (Training(units, seeds, images) for units in (settings, in_other_units(settings)))
        # The contract rounds what it draws to single precision: 10 times a rounded weight is not 10 w rounded.
        for (weight, _), (scaled, _) in zip(training.network.layers, other.network.layers, strict=True):
            torch.mul(weight, SCALE, out=scaled)
        losses, other_losses = (each.advance(STEPS) for each in (training, other))
    weights, weights_differ = (values_of(each.network, ("weight",)) for each in (training, other))
    parameters, other_parameters = (values_of(each.network, ("gamma", "beta", "bias")) for each in (training, other))
    compared = (
        relative_difference(weights_differ / SCALE, weights),
        relative_difference(other_parameters, parameters),
        relative_difference(other_losses.T, losses.T),
    )
    return pd.DataFrame(
        zip(seeds, [STEPS] * len(seeds), *(values.tolist() for values in compared), strict=True),
        columns=EQUIVALENCE_COLUMNS,
    )


def in_other_units(settings: TrainingSettings) -> TrainingSettings:
    """Return the settings of a network that is to learn the same from weights 10 times as large.

    What they say of the initialization is left as it is: the weights themselves are scaled.
    """
    return replace(
        settings,
        learning_rate=settings.learning_rate * SCALE**2,
        parameter_rate=settings.parameter_rate / SCALE**2,
    )


def values_of(network: StackedNetwork, kinds: tuple[str, ...]) -> Tensor:
    """Return all numbers of these kinds, of all layers, a run a row: (runs, numbers)."""
    runs = len(network.layers[0][0])
    return torch.cat([tensor.view(runs, -1) for name, tensor in network.state().items() if name.endswith(kinds)], dim=1)


def relative_difference(found: Tensor, expected: Tensor) -> Tensor:
    """Return max |found - expected| / max |expected| of each row: both are (runs, numbers), the result is (runs,)."""
    return (found - expected).abs().amax(dim=1) / expected.abs().amax(dim=1)
