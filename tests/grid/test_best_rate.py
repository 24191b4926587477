import math
from itertools import pairwise
from typing import Any

import pytest

from bnpipe.core.settings import TUNING_SEEDS
from bnpipe.grid.best_rate import BestRate
from bnpipe.grid.config import parse_configuration
from tests.grid.configurations import GOOD, committed


def tuned(**section: Any) -> BestRate:
    found = parse_configuration({**GOOD, "best_rate": section}).best_rate
    assert found is not None
    return found


def test_it_is_left_out_unless_it_is_given_and_its_defaults_are_those_of_the_plan() -> None:
    assert parse_configuration({"conditions": GOOD["conditions"]}).best_rate is None
    assert tuned() == BestRate() == parse_configuration(committed()).best_rate
    assert {*BestRate().tuning.seeds} == TUNING_SEEDS
    assert {*BestRate().preview.seeds} < TUNING_SEEDS


@pytest.mark.parametrize(
    ("grid", "lowest", "highest", "step"), [("tuning", 0.001, 31.6, 1 / 4), ("preview", 0.01, 1, 1 / 2)]
)
def test_default_rates_are_parts_of_decades(grid: str, lowest: float, highest: float, step: float) -> None:
    rates = getattr(BestRate(), grid).learning_rates
    assert (rates[0], rates[-1]) == (lowest, highest)
    assert [math.log10(next_one / rate) for rate, next_one in pairwise(rates)] == pytest.approx(
        [step] * (len(rates) - 1), abs=0.002
    )


def test_learning_rates_rise_however_they_are_written() -> None:
    assert tuned(tuning={"learning_rates": [1, 0.1, 10, 0.01, 100]}).tuning.learning_rates == (0.01, 0.1, 1, 10, 100)
