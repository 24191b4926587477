"""The networks of the conditions before their first step: how activations and gradients grow, compared with theory.

They are measured on their first mini-batch, layer by layer and as a whole. Layers are counted from 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.csv_files import RUN_KEYS, write_table
from bnpipe.core.settings import Runs, TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.experiments.layer_statistics import GROWTH_COLUMNS, layers_of, with_keys, with_theory
from bnpipe.networks.seeds import standard_deviation
from bnpipe.training.engines import engine_on_cpu
from bnpipe.training.trainer import network_arithmetic

INITIAL_LAYER_COLUMNS = [
    *RUN_KEYS,
    "layer",
    "mean_square_z",
    "variance_z",
    "mean",
    "standard_deviation",
    "squared_gradient",
    *GROWTH_COLUMNS,
]
NETWORK_COLUMNS = [
    *RUN_KEYS,
    "gradient_slope",
    "gradient_slope_theory",
    "orthogonality_gap",
    "centred_orthogonality_gap",
]


def make_network_tables(
    settings: Mapping[str, Mapping[str, Mapping[str, Any]]],
    seeds: Sequence[int],
    packed: Path,
    layers: Path,
    networks: Path,
) -> None:
    """Measure the networks that will be trained and write two tables: their layers, and one row for each network.

    settings: of each condition and arm, as plain values. packed: the packed data set. layers, networks: the files.
    Raises InputError if the packed file cannot be used.
    """
    images = open_dataset(packed).train
    of_layers, of_networks = [], []
    with network_arithmetic():
        for condition, arms in settings.items():
            for (arm, values), seed in product(arms.items(), seeds):
                keys = (condition, arm, seed)
                of_network, row = measure_network(TrainingSettings.from_plain(values), seed, images)
                of_layers.append(with_keys(of_network, RUN_KEYS, keys))
                of_networks.append(with_keys(row, RUN_KEYS, keys))
    write_table(pd.concat(of_layers)[INITIAL_LAYER_COLUMNS].sort_values([*RUN_KEYS, "layer"]), layers)
    write_table(pd.concat(of_networks)[NETWORK_COLUMNS].sort_values(RUN_KEYS), networks)


def measure_network(settings: TrainingSettings, seed: int, images: Images) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure a network on its first mini-batch, before it has learned anything.

    images: all training images. Returns the layers, and one row for the network, with the columns
    INITIAL_LAYER_COLUMNS and NETWORK_COLUMNS without the keys. The slopes are taken over the hidden layers: the logits
    have no nonlinearity, and their gradient is that of the loss. Theory starts from the measured z of the first layer.
    The orthogonality gaps are those of the last hidden layer's outputs, as they are and minus their mean over the
    images: relu's outputs share a positive mean, which alone keeps them from being orthogonal.
    """
    runs = Runs.of_seeds(replace(settings, learning_rate=1.0), [seed])
    (seen,) = engine_on_cpu(settings).start(runs, images).observed_step()
    layers = layers_of(seen)
    first = layers.iloc[0]
    gains = [fan_in * standard_deviation(settings.init_std, fan_in) ** 2 for fan_in in settings.hidden_sizes]
    layers = with_theory(layers, settings, gains, first["mean_square_z"], first["variance_z"])
    last_hidden = seen.output[-2].astype(np.float64)
    between_hidden = layers[["backward_growth", "backward_theory"]].to_numpy()[: len(settings.hidden_sizes) - 1]
    row = {
        "gradient_slope": gradient_slope(between_hidden[:, 0]),
        "gradient_slope_theory": gradient_slope(between_hidden[:, 1]),
        "orthogonality_gap": orthogonality_gap(last_hidden),
        "centred_orthogonality_gap": orthogonality_gap(last_hidden - last_hidden.mean(axis=0)),
    }
    return layers, pd.DataFrame([row])


def gradient_slope(growth: NDArray[np.float64]) -> float:
    """Return the least-squares slope of ln E||delta||^2 over layers, towards the input.

    Gradients explode if it is above 0. growth: (layers - 1,), for each layer but the last the factor by which
    E||delta||^2 grows from the layer above. The slope is nan if a factor is 0 or not finite, or if there is only one
    layer.
    """
    if not len(growth):
        return np.nan
    usable = np.where(np.isfinite(growth) & (growth > 0), growth, np.nan)
    logarithms = np.cumsum([0, *np.log(usable[::-1])])  # of E||delta||^2 relative to the last layer, which comes first
    depth = np.arange(len(logarithms)) - len(growth) / 2
    return float(depth @ logarithms / (depth @ depth))


def orthogonality_gap(outputs: NDArray[np.float64]) -> float:
    """Return ||H'H / ||H||_F^2 - I / n||_F: 0 if the representations of the n images are orthogonal and equally long.

    outputs: (n, units), the transpose of H, whose columns are the images (Daneshmand et al. 2021, arXiv
    2106.03970). If all images look the same, it is sqrt(1 - 1 / n). If the outputs have mean 0 over the images, it is
    at least 1 / sqrt(n (n - 1)), since they cannot all be orthogonal then. If all outputs are zero, it is nan.
    """
    n = len(outputs)
    gram = outputs @ outputs.T / np.square(outputs).sum()
    return float(np.linalg.norm(gram - np.eye(n) / n))
