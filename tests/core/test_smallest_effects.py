from typing import get_args

from bnpipe.core.smallest_effects import SMALLEST_EFFECTS, Unit


def test_ratios_exceed_one_and_everything_else_is_above_zero_and_at_most_one() -> None:
    for effect in SMALLEST_EFFECTS.values():
        assert effect.size > 1 if effect.unit == "ratio" else 0 < effect.size < 1


def test_every_unit_is_used_but_that_of_outcomes() -> None:
    assert {effect.unit for effect in SMALLEST_EFFECTS.values()} == {*get_args(Unit)} - {"outcome"}
