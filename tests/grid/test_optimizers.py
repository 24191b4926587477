"""The sections on the studies of optimizers and weight decay."""

import math
from itertools import pairwise
from typing import Any, get_args

import pytest

from bnpipe.core.settings import TUNING_SEEDS, BuiltInOptimizer
from bnpipe.grid.config import parse_configuration
from bnpipe.grid.optimizers import EquilibriumStudy, OptimizerRates, OptimizerStudy
from tests.grid.configurations import GOOD, committed, mistakes


def test_both_are_left_out_unless_they_are_given_and_their_defaults_are_those_of_config_yaml() -> None:
    bare = parse_configuration({"conditions": GOOD["conditions"]})
    assert bare.optimizers is None
    assert bare.equilibrium is None
    made = parse_configuration(committed())
    assert (made.optimizers, made.equilibrium) == (OptimizerStudy(), EquilibriumStudy())


def test_every_optimizer_has_as_many_rates_a_quarter_of_a_decade_apart() -> None:
    assert list(OptimizerRates.model_fields) == list(get_args(BuiltInOptimizer))
    for rates in dict(OptimizerRates()).values():
        assert len(rates) == 9
        assert [math.log10(after / rate) for rate, after in pairwise(rates)] == pytest.approx([0.25] * 8, abs=0.002)
    assert {*OptimizerStudy().tuning_seeds} < TUNING_SEEDS


def test_values_rise_however_they_are_written() -> None:
    sections = {
        "optimizers": {"learning_rates": {"adam": [1, 0.1, 0.01, 10, 5]}},
        "equilibrium": {"weight_decays": [1, 0]},
    }
    made = parse_configuration({**GOOD, **sections})
    found = made.model_dump(include={"optimizers": {"learning_rates": {"adam"}}, "equilibrium": {"weight_decays"}})
    assert found["optimizers"]["learning_rates"]["adam"] == (0.01, 0.1, 1, 5, 10)
    assert found["equilibrium"]["weight_decays"] == (0, 1)


@pytest.mark.parametrize(
    ("sections", "complaint"),
    [
        (
            {"optimizers": {"learning_rates": {"adam": [1, 2, 3, 4]}}},
            "optimizers.learning_rates.adam: expected at least 5",
        ),
        (
            {"optimizers": {"learning_rates": {"adam": [1] * 5}}},
            "optimizers.learning_rates.adam: expected a list without",
        ),
        ({"optimizers": {"learning_rates": {"rmsprop": [1]}}}, "optimizers.learning_rates.rmsprop: unknown key"),
        ({"optimizers": {"tuning_seeds": [1, 1]}}, "optimizers.tuning_seeds: expected a list without duplicates"),
        ({"equilibrium": {"weight_decays": [0, 0]}}, "equilibrium.weight_decays: expected a list without duplicates"),
        ({"equilibrium": {"weight_decays": [-1]}}, "equilibrium.weight_decays.0: expected a number of at least 0"),
        ({"equilibrium": {"steps": 9}}, "equilibrium.steps: expected a whole number from 80 to"),
    ],
)
def test_mistakes_are_one_line(sections: dict[str, Any], complaint: str) -> None:
    (line,) = mistakes({**GOOD, **sections})
    assert line.startswith(f"configuration: {complaint}")
