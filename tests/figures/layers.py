"""Made-up layers of networks before their first step, and what tests read off the figures of them."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

ARMS = ["vanilla", "batchnorm"]
ACTIVATIONS = ["tanh", "relu"]
SEEDS = [42, 43]
LAYERS = [1, 2, 3]
NOTE = "500 inputs of 200 features from N(0, 1), no bias; 10,000 seeds; " * 2


def layer_rows(seeds: list[int], arms: Sequence[str] = ARMS, layers: Sequence[int] = LAYERS) -> pd.DataFrame:
    """Return made-up layers: vanilla collapses by 100 a layer, batchnorm stays; a seed adds a tenth."""
    rows = []
    for activation, arm, seed, layer in product(ACTIVATIONS, arms, seeds, layers):
        size = (0.01 ** (layer - 1) if arm == "vanilla" else 0.6) * (1 + 0.1 * (seed - 42))
        mean = size / 2 if activation == "relu" else -size / 1000
        growth = (0.0001 if arm == "vanilla" else 1.2) * (1 + 0.1 * (seed - 42))
        theory = 0.0001 if arm == "vanilla" else 1.25
        forward = (growth, theory) if layer > 1 else (np.nan, np.nan)
        rows.append(("small", activation, arm, seed, layer, mean, size, *forward, growth, theory))
    keys = ["initialization", "activation", "arm", "seed", "layer", "mean", "standard_deviation"]
    return pd.DataFrame(rows, columns=[*keys, "forward_growth", "forward_theory", "backward_growth", "backward_theory"])


def line_of(axes: Axes, label: str) -> Line2D:
    """Return the line with a label."""
    (line,) = [line for line in axes.get_lines() if line.get_label() == label]
    return line


def heights(line: Line2D) -> list[float]:
    """Return the y of a line's points."""
    return [float(y) for y in np.asarray(line.get_ydata())]
