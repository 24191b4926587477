"""A change of units: with batch normalization, weights 10 times as large learn the same at 100 times the rate.

BN((aW)u) = BN(Wu), so the gradient at aW is 1/a times that at W (Ioffe & Szegedy 2015, section 3.3). With a learning
rate a^2 times as large the step is a times as large, and so aW stays a times W:

    aW - a^2 * rate * (gradient / a) = a * (W - rate * gradient)

This is an identity only if gamma and beta, which do not depend on the scale, keep their own learning rate, and if
epsilon scales with the variance (here it is 0). It is checked, but it is not a claim, because there is nothing to
decide. The tutorial's condition with learning rate 1 and std 1 is not the same training as 0.01 and 0.1, because there
gamma and beta also learn at rate 1. Without batch normalization none of this holds. The moving averages depend on the
scale, but training does not depend on them. The weights, gamma and beta, and the losses of mini-batches are compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Runs, TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.networks.compiled import Array
from bnpipe.networks.network import Network
from bnpipe.training.trainer import Training, one_thread

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
    batches. Columns EQUIVALENCE_COLUMNS, a row for each seed. The differences are by `relative_difference`: of the
    weights, after those of the other network are divided by 10; of gamma and beta (vanilla: b); of training losses.
    """
    runs = runs.change(precision="float64", epsilon=0.0)
    with one_thread():  # NumPy may warn: a network that overflows has nothing to compare
        rows = [
            (seed, STEPS, *differences(settings, seed, images))
            for settings, seed in zip(runs.each, runs.seeds, strict=True)
        ]
    return pd.DataFrame(rows, columns=EQUIVALENCE_COLUMNS)


def differences(settings: TrainingSettings, seed: int, images: Images) -> tuple[float, float, float]:
    """Train a network in both units; return how far their weights, what else they learned and their losses differ."""
    training, other = (Training(units, seed, images) for units in (settings, in_other_units(settings)))
    # Weights are drawn and then rounded to single precision: 10 times a rounded weight is not 10 w rounded.
    np.multiply(training.network.numbers.weights, SCALE, out=other.network.numbers.weights)
    losses, other_losses = (each.advance(STEPS) for each in (training, other))
    parameters, other_parameters = (parameters_of(each.network) for each in (training, other))
    return (
        relative_difference(other.network.numbers.weights / SCALE, training.network.numbers.weights),
        relative_difference(other_parameters, parameters),
        relative_difference(other_losses, losses),
    )


def in_other_units(settings: TrainingSettings) -> TrainingSettings:
    """Return the settings with which a network should learn the same from weights 10 times as large.

    The initialization is not changed: the weights themselves are scaled.
    """
    rate, parameter_rate = settings.learning_rate * SCALE**2, settings.parameter_rate / SCALE**2
    return replace(settings, learning_rate=rate, parameter_rate=parameter_rate)


def parameters_of(network: Network) -> Array:
    """Return what the transforms of all layers have learned, (parameters,): gammas and betas, or biases."""
    return np.concatenate([learned for layer in network.parameters for learned in layer.values()])


def relative_difference(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Return max |found - expected| / max |expected|."""
    return float(abs(found - expected).max() / abs(expected).max())
