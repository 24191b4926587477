"""What is measured in the layers of one network on one mini-batch, and what theory says about it.

Layers are counted from 1.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.settings import Arm, TrainingSettings
from bnpipe.experiments import mean_field
from bnpipe.networks.network import Seen

GROWTH_COLUMNS = ["forward_growth", "forward_theory", "backward_growth", "backward_theory"]

# What is measured of a layer's quantities in `Seen`, each (images, units).
STATISTICS: dict[str, dict[str, Callable[[NDArray[np.float64]], np.floating]]] = {
    "z": {
        "mean_square_z": lambda z: np.square(z).mean(),
        "variance_z": lambda z: z.var(axis=0).mean(),  # over the images, averaged over the units
    },
    "output": {
        "mean": lambda output: output.mean(),
        "standard_deviation": lambda output: output.std(),
    },
    "delta": {"squared_gradient": lambda delta: np.square(delta).sum(axis=1).mean()},  # E||delta||^2
}


def layers_of(seen: Seen) -> pd.DataFrame:
    """Return the statistics of each layer and its growth factors, from a step at learning rate 1.

    `forward_growth` is the factor by which E[z^2] grows from the layer below, `backward_growth` the factor by which
    E||delta||^2 grows from the layer above.
    """
    table = pd.DataFrame(
        {
            statistic: [float(take(layer.astype(np.float64))) for layer in getattr(seen, quantity)]
            for quantity, statistics in STATISTICS.items()
            for statistic, take in statistics.items()
        }
    )
    table.insert(0, "layer", np.arange(1, len(table) + 1))
    table["forward_growth"] = table["mean_square_z"] / table["mean_square_z"].shift(1)
    table["backward_growth"] = table["squared_gradient"] / table["squared_gradient"].shift(-1)
    return table


def with_theory(
    layers: pd.DataFrame, settings: TrainingSettings, gains: Sequence[float], mean_square: float, variance: float
) -> pd.DataFrame:
    """Add to the layers of a network what theory says about their growth; nan if it says nothing.

    The other arguments are those of `bnpipe.experiments.mean_field.growth`.
    """
    forward = backward = np.full(len(gains), np.nan)
    arm: Arm = settings.arm if settings.normalize_hidden else "vanilla"
    is_written_out = arm in mean_field.ARMS_WITH_THEORY and settings.activation in mean_field.FUNCTIONS
    if is_written_out and settings.position == "before":
        forward, backward = mean_field.growth(arm, settings.activation, gains, mean_square, variance, settings.epsilon)
    return layers.assign(forward_theory=[np.nan, *forward], backward_theory=[*backward, np.nan])


def with_keys(table: pd.DataFrame, names: Sequence[str], keys: Sequence[Any]) -> pd.DataFrame:
    """Add to every row the keys of the network that it belongs to."""
    return table.assign(**dict(zip(names, keys, strict=True)))
