import numpy as np
import pandas as pd
import pytest

from bnpipe.core.settings import Arm, Position
from bnpipe.experiments import mean_field
from bnpipe.experiments.layer_statistics import layers_of, with_keys, with_theory
from bnpipe.networks.network import Seen
from tests.conftest import make_settings


def seen(scale: float = 1.0) -> Seen:
    """Return a step of two layers of two units, on two images; scale: of all numbers, which are float32."""
    kinds = [
        [[[1, 3], [-1, 1]], [[3, 0], [3, 0]]],  # squares 1, 9, 1, 1 and 9, 0, 9, 0; variances 1, 1 and 0, 0
        [[[0, 2], [0, 2]], [[4, 4], [4, 4]]],
        [[[2, 0], [0, 2]], [[1, 1], [0, 0]]],  # squared lengths 4, 4 and 2, 0
    ]
    z, output, delta = ([np.array(layer, np.float32) * np.float32(scale) for layer in kind] for kind in kinds)
    return Seen(z, output, delta, loss=9.0, weights=[np.ones((2, 2), np.float32)] * 2)


def test_statistics_of_layers_by_hand() -> None:
    expected = pd.DataFrame(
        {
            "layer": [1, 2],
            "mean_square_z": [3.0, 4.5],
            "variance_z": [1.0, 0.0],
            "mean": [1.0, 4.0],
            "standard_deviation": [1.0, 0.0],
            "squared_gradient": [4.0, 1.0],
            "forward_growth": [np.nan, 1.5],
            "backward_growth": [4.0, np.nan],
        }
    )
    pd.testing.assert_frame_equal(layers_of(seen()), expected)


def test_statistics_are_taken_in_double_precision() -> None:
    layers = layers_of(seen(2.0**100))  # whose squares overflow in single precision
    assert layers["mean_square_z"].tolist() == [3 * 2.0**200, 4.5 * 2.0**200]
    assert layers["forward_growth"][1] == 1.5
    assert layers["squared_gradient"].tolist() == [4 * 2.0**200, 2.0**200]


def test_theory_is_that_of_mean_field_and_has_no_first_or_last_layer() -> None:
    settings = make_settings(arm="batchnorm", activation="relu")
    layers = with_theory(layers_of(seen()), settings, [2.0], 3.0, 1.0)
    growth = mean_field.growth("batchnorm", "relu", [2.0], 3.0, 1.0, settings.epsilon)
    assert np.isnan(layers["forward_theory"][0])
    assert np.isnan(layers["backward_theory"][1])
    assert layers["forward_theory"][1] == growth.forward[0]
    assert layers["backward_theory"][0] == growth.backward[0]


@pytest.mark.parametrize(("arm", "position"), [("layernorm", "before"), ("batchnorm", "after")])
def test_where_theory_says_nothing_there_is_nan(arm: Arm, position: Position) -> None:
    layers = with_theory(layers_of(seen()), make_settings(arm=arm, position=position), [2.0], 3.0, 1.0)
    assert layers[["forward_theory", "backward_theory"]].isna().all(axis=None)


def test_every_row_has_its_keys() -> None:
    table = with_keys(pd.DataFrame({"layer": [1, 2]}), ["arm", "seed"], ["vanilla", 42])
    assert table.to_dict("list") == {"layer": [1, 2], "arm": ["vanilla"] * 2, "seed": [42] * 2}
