"""What is measured in the layers of one network on one mini-batch, and what theory says of it.

Layers are counted from 1.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from bnpipe.core.settings import TrainingSettings
from bnpipe.experiments import mean_field

GROWTH_COLUMNS = ["forward_growth", "forward_theory", "backward_growth", "backward_theory"]

# What is measured of each quantity that an observer sees, a tensor (batch, features) of one network.
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


class Observer:
    """Takes the statistics of every layer of a network, a stack of one, and keeps the outputs (batch, features)."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []
        self._statistics: dict[int, dict[str, float]] = defaultdict(dict)

    def __call__(self, name: str, layer: int, values: Tensor) -> None:
        """See a quantity of a layer, counted from 0: values (batch, 1, features)."""
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


def with_theory(
    layers: pd.DataFrame, settings: TrainingSettings, gains: Sequence[float], mean_square: float, variance: float
) -> pd.DataFrame:
    """Add to the layers of a network what theory says of their growth; nan if it says nothing.

    The other arguments are those of `bnpipe.experiments.mean_field.growth`.
    """
    forward = backward = np.full(len(gains), np.nan)
    if settings.arm in mean_field.ARMS_WITH_THEORY and settings.position == "before":
        forward, backward = mean_field.growth(
            settings.arm, settings.activation, gains, mean_square, variance, settings.epsilon
        )
    return layers.assign(forward_theory=[np.nan, *forward], backward_theory=[*backward, np.nan])


def with_keys(table: pd.DataFrame, names: Sequence[str], keys: Sequence[Any]) -> pd.DataFrame:
    """Add to every row the keys of the network that it belongs to."""
    return table.assign(**dict(zip(names, keys, strict=True)))
