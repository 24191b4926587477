import numpy as np
import pandas as pd
import pytest
import torch

from bnpipe.core.settings import Arm, Position
from bnpipe.experiments import mean_field
from bnpipe.experiments.layer_statistics import Observer, with_keys, with_theory
from tests.conftest import make_settings


def observed() -> Observer:
    """Return an observer of two layers of two units, of which it has seen two images."""
    observer = Observer()
    observer("z", 0, torch.tensor([[[1.0, 3.0]], [[-1.0, 1.0]]]))  # squares 1, 9, 1, 1; variances 1 and 1
    observer("output", 0, torch.tensor([[[0.0, 2.0]], [[0.0, 2.0]]]))
    observer("z", 1, torch.tensor([[[3.0, 0.0]], [[3.0, 0.0]]]))
    observer("output", 1, torch.tensor([[[4.0, 4.0]], [[4.0, 4.0]]]))
    observer("loss", 1, torch.tensor([[[9.0]]]))
    observer("delta", 1, torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]]]))  # squared lengths 2 and 0
    observer("delta", 0, torch.tensor([[[2.0, 0.0]], [[0.0, 2.0]]]))  # 4 and 4
    return observer


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
    pd.testing.assert_frame_equal(observed().layers(), expected)


def test_outputs_are_kept_and_are_copies() -> None:
    observer, values = Observer(), torch.ones(3, 1, 2)
    observer("output", 0, values)
    values.zero_()
    (kept,) = observer.outputs
    assert kept.dtype == torch.float64
    assert kept.tolist() == [[1, 1]] * 3


def test_theory_is_that_of_mean_field_and_has_no_first_or_last_layer() -> None:
    settings = make_settings(arm="batchnorm", activation="relu")
    layers = with_theory(observed().layers(), settings, [2.0], 3.0, 1.0)
    growth = mean_field.growth("batchnorm", "relu", [2.0], 3.0, 1.0, settings.epsilon)
    assert np.isnan(layers["forward_theory"][0])
    assert np.isnan(layers["backward_theory"][1])
    assert layers["forward_theory"][1] == growth.forward[0]
    assert layers["backward_theory"][0] == growth.backward[0]


@pytest.mark.parametrize(("arm", "position"), [("layernorm", "before"), ("batchnorm", "after")])
def test_where_theory_says_nothing_there_is_nan(arm: Arm, position: Position) -> None:
    layers = with_theory(observed().layers(), make_settings(arm=arm, position=position), [2.0], 3.0, 1.0)
    assert layers[["forward_theory", "backward_theory"]].isna().all(axis=None)


def test_every_row_has_its_keys() -> None:
    table = with_keys(pd.DataFrame({"layer": [1, 2]}), ["arm", "seed"], ["vanilla", 42])
    assert table.to_dict("list") == {"layer": [1, 2], "arm": ["vanilla"] * 2, "seed": [42] * 2}
