import math

import numpy as np
import pytest

from bnpipe.analysis.measures import layers
from tests.analysis.measures.made_up import sources, values


def test_saturation_is_averaged_over_hidden_layers_and_training() -> None:
    shares = {"vanilla": [0.9, 0.7, 0.8, 0.6], "batchnorm": [0.1, 0.1, 0.2, 0.0]}
    rows = [
        ("wide", arm, 1, step, layer, value)
        for arm, several in shares.items()
        for (step, layer), value in zip([(0, 1), (0, 2), (60, 1), (60, 2)], several, strict=True)
    ]
    rows += [("wide", arm, 1, step, 3, np.nan) for arm in shares for step in (0, 60)]  # the logits
    columns = "condition arm seed step layer saturated"
    assert values(layers.saturated(sources("layers", columns, rows))) == pytest.approx({1: 0.75 - 0.1})
    rows[0] = (*rows[0][:-1], np.nan)  # an output was not finite
    assert values(layers.saturated(sources("layers", columns, rows))) == pytest.approx({1: math.nan}, nan_ok=True)


def test_death_comes_first_unless_numbers_overflow_or_nothing_dies() -> None:
    rows = [
        (precision, "vanilla", seed, state)
        for seed, state in enumerate(["dead", "overflow", "healthy", "unknown"], start=1)
        for precision in ("float32", "float64")
    ]
    rows.append(("float32", "batchnorm", 9, "dead"))
    found = layers.dies_first(sources("precision", "precision arm seed state", rows), "float32")
    assert values(found) == pytest.approx({1: 1, 2: -1, 3: -1, 4: math.nan}, nan_ok=True)


def test_gradients_may_grow_or_shrink_away_from_isometry() -> None:
    rows = [
        ("rectified", "vanilla", 1, -0.5),
        ("rectified", "batchnorm", 1, 0.3),
        ("rectified", "vanilla", 2, 0.1),
        ("rectified", "batchnorm", 2, 0.4),
        ("plain", "batchnorm", 1, 9.0),
    ]
    table = sources("initialization", "condition arm seed gradient_slope", rows)
    assert values(layers.isometric_gradients(table, "relu")) == pytest.approx({1: 0.2, 2: -0.3})


def test_representations_are_compared_from_the_usual_weights() -> None:
    rows = [
        (name, arm, 1, gap)
        for name, vanilla, batchnorm in (("plain", 0.5, 0.2), ("wide", 0.9, 0.1))
        for arm, gap in (("vanilla", vanilla), ("batchnorm", batchnorm))
    ]
    table = sources("initialization", "condition arm seed orthogonality_gap", rows)
    assert values(layers.orthogonal(table, "tanh")) == pytest.approx({1: 0.3})
