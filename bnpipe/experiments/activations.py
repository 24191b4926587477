"""The tutorial's networks of noise: ten hidden layers on inputs of noise, under three initializations.

They are not trained: their activations and gradients are measured from layer to layer, against theory.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Activation, Arm, TrainingSettings
from bnpipe.experiments.layer_statistics import GROWTH_COLUMNS, layers_of, with_keys, with_theory
from bnpipe.training.engines import observe_from
from bnpipe.training.trainer import one_thread

INPUTS = 500
UNITS = 200  # features of an input, and units of each layer
LAYERS = 10
ACTIVATIONS: tuple[Activation, ...] = ("tanh", "relu")
INITIALIZATIONS = {"small": 0.01, "xavier": UNITS**-0.5, "unit": 1.0}  # standard deviation of the weights
BINS = 30  # of the histograms, from -1 to 1

ACTIVATION_KEYS = ["initialization", "activation", "arm", "seed"]
ACTIVATION_COLUMNS = [*ACTIVATION_KEYS, "layer", "mean", "standard_deviation", *GROWTH_COLUMNS]
HISTOGRAM_COLUMNS = [*ACTIVATION_KEYS, "layer", "low", "high", "count"]


class Draws(NamedTuple):
    """The weights, inputs and gradient of a network: standard normal numbers, float64."""

    inputs: NDArray[np.float64]  # (500, 200)
    weights: list[NDArray[np.float64]]  # of the ten hidden layers and the linear one above them, each (200, 200)
    gradient: NDArray[np.float64]  # (500, 200), at the output of the linear layer


def make_activation_tables(
    arms: Sequence[Arm], seeds: Sequence[int], shown_seed: int, epsilon: float, activations: Path, histograms: Path
) -> None:
    """Measure the networks and write two tables: the layers of all seeds, and the histograms of one.

    shown_seed: the seed of the histograms. epsilon: of batch normalization. activations, histograms: the files.
    """
    layers, counts = [], []
    with one_thread():  # nothing overflows, so NumPy may warn
        for seed in seeds:
            draws = draw(seed)
            for (initialization, init_std), activation, arm in product(INITIALIZATIONS.items(), ACTIVATIONS, arms):
                keys = (initialization, activation, arm, seed)
                of_network, histograms_of_network = measure_tutorial(draws, activation, arm, init_std, epsilon)
                layers.append(with_keys(of_network, ACTIVATION_KEYS, keys))
                if seed == shown_seed:
                    counts.append(with_keys(histograms_of_network, ACTIVATION_KEYS, keys))
    write_table(pd.concat(layers)[ACTIVATION_COLUMNS].sort_values([*ACTIVATION_KEYS, "layer"]), activations)
    write_table(pd.concat(counts)[HISTOGRAM_COLUMNS].sort_values([*ACTIVATION_KEYS, "layer", "low"]), histograms)


def draw(seed: int) -> Draws:
    """Draw from ``numpy.random.RandomState(seed)`` the inputs, the weights, first layer first, and the gradient."""
    stream = np.random.RandomState(seed)
    return Draws(
        inputs=stream.normal(size=(INPUTS, UNITS)),
        weights=[stream.normal(size=(UNITS, UNITS)) for _ in range(LAYERS + 1)],
        gradient=stream.normal(size=(INPUTS, UNITS)),
    )


def measure_tutorial(
    draws: Draws, activation: Activation, arm: Arm, init_std: float, epsilon: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the statistics and the histograms of the ten hidden layers of one network.

    The gradient reaches the highest of them through the linear layer above, which is like them except that it has no
    nonlinearity. Columns are those of ACTIVATION_COLUMNS and HISTOGRAM_COLUMNS without the keys.
    """
    settings = _settings(activation, arm, init_std, epsilon)
    weights = [weight * init_std for weight in draws.weights]
    seen = observe_from(weights, settings, draws.inputs, draws.gradient)
    gain = UNITS * init_std**2  # of E[z^2] in the first layer, since that of the inputs is 1
    layers = with_theory(layers_of(seen), settings, [gain] * LAYERS, gain, gain)
    histograms = [histogram(output).assign(layer=n) for n, output in enumerate(seen.output[:LAYERS], start=1)]
    return layers[layers["layer"] <= LAYERS], pd.concat(histograms)


def histogram(values: NDArray[np.floating]) -> pd.DataFrame:
    """Count values, of any shape, in 30 bins from -1 to 1, one below and one above: `low`, `high` and `count`."""
    counts, edges = np.histogram(values, bins=BINS, range=(-1, 1))
    edges = np.array([-np.inf, *edges, np.inf])
    counts = np.array([(values < -1).sum(), *counts, (values > 1).sum()])
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "count": counts})


def _settings(activation: Activation, arm: Arm, init_std: float, epsilon: float) -> TrainingSettings:
    """Return the settings of one step of a network; those that it does not depend on are 1."""
    return TrainingSettings(
        arm=arm,
        activation=activation,
        learning_rate=1.0,
        init_std=init_std,
        steps=1,
        hidden_sizes=(UNITS,) * LAYERS,
        batch_size=INPUTS,
        evaluation_interval=1,
        epsilon=epsilon,
        moving_average_weight=1.0,
        moving_variance="biased",
        trained="transforms",
        precision="float64",
    )
