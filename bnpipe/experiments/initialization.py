"""Networks before their first step: how activations and gradients grow from layer to layer, against theory.

Two kinds of networks are looked into: the tutorial's, ten hidden layers on inputs of noise, under three
initializations; and those that are trained, on their first mini-batch. Layers are counted from 1.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnpipe.core.csv_files import RUN_KEYS, write_table
from bnpipe.core.settings import Activation, Arm, Runs, TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.experiments import mean_field
from bnpipe.networks.kernels import one_thread
from bnpipe.networks.network import StackedNetwork
from bnpipe.networks.nonlinearities import NONLINEARITIES
from bnpipe.networks.norms import TRANSFORMS
from bnpipe.networks.seeds import standard_deviation
from bnpipe.training.trainer import Training

# The tutorial's network.
INPUTS = 500
UNITS = 200  # features of an input, and units of each layer
LAYERS = 10
ACTIVATIONS: tuple[Activation, ...] = ("tanh", "relu")
INITIALIZATIONS = {"small": 0.01, "xavier": UNITS**-0.5, "unit": 1.0}  # standard deviation of its weights
BINS = 30  # of the histograms, from -1 to 1

ACTIVATION_KEYS = ["initialization", "activation", "arm", "seed"]
GROWTH_COLUMNS = ["forward_growth", "forward_theory", "backward_growth", "backward_theory"]
ACTIVATION_COLUMNS = [*ACTIVATION_KEYS, "layer", "mean", "standard_deviation", *GROWTH_COLUMNS]
HISTOGRAM_COLUMNS = [*ACTIVATION_KEYS, "layer", "low", "high", "count"]
INITIAL_LAYER_COLUMNS = [
    *(*RUN_KEYS, "layer", "mean_square_z", "variance_z", "mean", "standard_deviation", "squared_gradient"),
    *GROWTH_COLUMNS,
]
NETWORK_COLUMNS = [*RUN_KEYS, "gradient_slope", "gradient_slope_theory", "orthogonality_gap"]

# What is measured of what an observer sees, a tensor (batch, features) of one network.
STATISTICS: dict[str, dict[str, Callable[[Tensor], Tensor]]] = {
    "z": {
        "mean_square_z": lambda z: z.square().mean(),
        "variance_z": lambda z: z.var(dim=0, correction=0).mean(),  # over the batch, mean of the features
    },
    "output": {
        "mean": lambda output: output.mean(),
        "standard_deviation": lambda output: output.std(correction=0),
    },
    "delta": {"squared_gradient": lambda delta: delta.square().sum(dim=1).mean()},  # E||delta||^2
}


class Draws(NamedTuple):
    """What the tutorial's network is made of and fed with: standard normal numbers, float64."""

    inputs: Tensor  # (500, 1, 200)
    weights: list[Tensor]  # of the ten hidden layers and the linear one above them, each (1, 200, 200)
    gradient: Tensor  # (500, 1, 200), at the output of the linear layer


class Observer:
    """Takes the statistics of every layer of a network, a stack of one, and keeps the outputs (batch, features)."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []
        self._statistics: dict[int, dict[str, float]] = defaultdict(dict)

    def __call__(self, name: str, layer: int, values: Tensor) -> None:
        """See what stands in a layer, (batch, 1, features)."""
        seen = values.squeeze(1).double()
        for statistic, take in STATISTICS.get(name, {}).items():
            self._statistics[layer + 1][statistic] = float(take(seen))
        if name == "output":
            self.outputs.append(seen.clone())

    def layers(self) -> pd.DataFrame:
        """Return the statistics of each layer and its growth factors.

        `forward_growth` is that of E[z^2], to a layer from the layer below; `backward_growth` that of E||delta||^2, to
        a layer from the layer above.
        """
        table = pd.DataFrame.from_dict(self._statistics, orient="index").rename_axis("layer").reset_index()
        table["forward_growth"] = table["mean_square_z"] / table["mean_square_z"].shift(1)
        table["backward_growth"] = table["squared_gradient"] / table["squared_gradient"].shift(-1)
        return table


def draw(seed: int) -> Draws:
    """Draw from ``numpy.random.RandomState(seed)`` the inputs, the weights, first layer first, and the gradient."""
    stream = np.random.RandomState(seed)

    def standard_normal(*shape: int) -> Tensor:
        return torch.from_numpy(stream.normal(size=shape))

    return Draws(
        inputs=standard_normal(INPUTS, 1, UNITS),
        weights=[standard_normal(1, UNITS, UNITS) for _ in range(LAYERS + 1)],
        gradient=standard_normal(INPUTS, 1, UNITS),
    )


def measure_tutorial(
    draws: Draws, activation: Activation, arm: Arm, init_std: float, epsilon: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the statistics and the histograms of the ten hidden layers of a tutorial's network.

    The gradient comes down to the highest of them through the linear layer above, which is like them but for its
    nonlinearity. Columns are those of ACTIVATION_COLUMNS and HISTOGRAM_COLUMNS without the keys.
    """
    settings = _tutorial_settings(activation, arm, init_std, epsilon)
    weights = [weight * init_std for weight in draws.weights]
    transforms = [TRANSFORMS[arm](weight, settings) for weight in weights]
    network = StackedNetwork(weights, transforms, NONLINEARITIES[activation], weights_learn=False)
    observer = Observer()
    network.forward(draws.inputs, observer)
    network.descend(draws.gradient.clone(), observer)
    gain = UNITS * init_std**2  # of E[z^2] in the first layer, since that of the inputs is 1
    layers = with_theory(observer.layers(), settings, [gain] * LAYERS, gain, gain)
    histograms = [histogram(outputs.numpy()).assign(layer=n) for n, outputs in enumerate(observer.outputs, start=1)]
    return layers[layers["layer"] <= LAYERS], pd.concat(histograms[:LAYERS])


def with_theory(
    layers: pd.DataFrame, settings: TrainingSettings, gains: Sequence[float], mean_square: float, variance: float
) -> pd.DataFrame:
    """Add to the layers of a network what theory says of their growth: nan where it says nothing.

    The other arguments are those of `bnpipe.experiments.mean_field.growth`.
    """
    forward = backward = np.full(len(gains), np.nan)
    if settings.arm in mean_field.ARMS_WITH_THEORY and settings.position == "before":
        forward, backward = mean_field.growth(
            settings.arm, settings.activation, gains, mean_square, variance, settings.epsilon
        )
    return layers.assign(forward_theory=[np.nan, *forward], backward_theory=[*backward, np.nan])


def histogram(values: NDArray[np.float64]) -> pd.DataFrame:
    """Count values in 30 bins from -1 to 1, and in one below and one above; columns `low`, `high` and `count`."""
    counts, edges = np.histogram(values, bins=BINS, range=(-1, 1))
    edges = np.array([-np.inf, *edges, np.inf])
    counts = np.array([(values < -1).sum(), *counts, (values > 1).sum()])
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "count": counts})


def measure_network(settings: TrainingSettings, seed: int, images: Images) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure a network on its first mini-batch, before it has learned anything.

    Returns its layers and one row of its own, with the columns INITIAL_LAYER_COLUMNS and NETWORK_COLUMNS
    without the keys.
    The slopes are taken over the hidden layers: the logits have no nonlinearity, and their gradient is the loss's.
    Theory starts from what z is in the first layer.
    """
    observer = Observer()
    Training(Runs.of_seeds(replace(settings, learning_rate=1.0), [seed]), images).observed_step(observer)
    layers = observer.layers()
    first = layers.iloc[0]
    gains = [fan_in * standard_deviation(settings.init_std, fan_in) ** 2 for fan_in in settings.hidden_sizes]
    layers = with_theory(layers, settings, gains, first["mean_square_z"], first["variance_z"])
    between_hidden = layers[["backward_growth", "backward_theory"]].to_numpy()[: len(settings.hidden_sizes) - 1]
    row = {
        "gradient_slope": gradient_slope(between_hidden[:, 0]),
        "gradient_slope_theory": gradient_slope(between_hidden[:, 1]),
        "orthogonality_gap": orthogonality_gap(observer.outputs[-2]),
    }
    return layers, pd.DataFrame([row])


def gradient_slope(growth: NDArray[np.float64]) -> float:
    """Return the least-squares slope of ln E||delta||^2 over layers, towards the input: above 0, gradients explode.

    growth: (layers - 1,), factors of E||delta||^2 to each layer but the last from the layer above. nan where one of
    them is not finite or 0, and of a single layer.
    """
    if not len(growth):
        return np.nan
    usable = np.where(np.isfinite(growth) & (growth > 0), growth, np.nan)
    logarithms = np.cumsum([0, *np.log(usable[::-1])])  # of E||delta||^2 relative to the last layer, which comes first
    depth = np.arange(len(logarithms)) - len(growth) / 2
    return float(depth @ logarithms / (depth @ depth))


def orthogonality_gap(outputs: Tensor) -> float:
    """Return ||H'H / ||H||_F^2 - I / n||_F: 0 where the n images' representations are orthogonal and equally long.

    outputs: (n, features), the transpose of H, whose columns are the images (Daneshmand et al. 2021, arXiv
    2106.03970). Where all images look the same it is sqrt(1 - 1 / n).
    """
    n = len(outputs)
    gram = outputs @ outputs.T / outputs.square().sum()
    return float(torch.linalg.matrix_norm(gram - torch.eye(n, dtype=outputs.dtype) / n))


def make_activation_tables(
    arms: Sequence[Arm], seeds: Sequence[int], shown_seed: int, epsilon: float, activations: Path, histograms: Path
) -> None:
    """Measure the tutorial's networks and write two tables: the layers of all seeds, and the histograms of one.

    epsilon: of batch normalization. activations, histograms: the files.
    """
    layers, counts = [], []
    with torch.inference_mode(), one_thread():
        for seed in seeds:
            draws = draw(seed)
            for (initialization, init_std), activation, arm in product(INITIALIZATIONS.items(), ACTIVATIONS, arms):
                keys = (initialization, activation, arm, seed)
                of_network, histograms_of_network = measure_tutorial(draws, activation, arm, init_std, epsilon)
                layers.append(_keyed(of_network, ACTIVATION_KEYS, keys))
                if seed == shown_seed:
                    counts.append(_keyed(histograms_of_network, ACTIVATION_KEYS, keys))
    write_table(pd.concat(layers)[ACTIVATION_COLUMNS].sort_values([*ACTIVATION_KEYS, "layer"]), activations)
    write_table(pd.concat(counts)[HISTOGRAM_COLUMNS].sort_values([*ACTIVATION_KEYS, "layer", "low"]), histograms)


def make_network_tables(
    settings: Mapping[str, Mapping[str, Mapping[str, Any]]],
    seeds: Sequence[int],
    packed: Path,
    layers: Path,
    networks: Path,
) -> None:
    """Measure the networks that are to be trained and write two tables: their layers, and a row for each network.

    settings: of each condition and arm, as plain values. packed: the packed data set. layers, networks: the files.
    """
    images = open_dataset(packed).train
    of_layers, of_networks = [], []
    with torch.inference_mode(), one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for condition, arms in settings.items():
            for (arm, values), seed in product(arms.items(), seeds):
                keys = (condition, arm, seed)
                of_network, row = measure_network(TrainingSettings.from_plain(values), seed, images)
                of_layers.append(_keyed(of_network, RUN_KEYS, keys))
                of_networks.append(_keyed(row, RUN_KEYS, keys))
    write_table(pd.concat(of_layers)[INITIAL_LAYER_COLUMNS].sort_values([*RUN_KEYS, "layer"]), layers)
    write_table(pd.concat(of_networks)[NETWORK_COLUMNS].sort_values(RUN_KEYS), networks)


def _tutorial_settings(activation: Activation, arm: Arm, init_std: float, epsilon: float) -> TrainingSettings:
    """Return settings for one step of the tutorial's network; what it does not depend on is 1."""
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
    )


def _keyed(table: pd.DataFrame, names: Sequence[str], keys: Sequence[Any]) -> pd.DataFrame:
    """Add to every row what it belongs to."""
    return table.assign(**dict(zip(names, keys, strict=True)))
