import math

import pytest

from bnpipe.analysis.registry.claim import tutorial_condition
from bnpipe.analysis.registry.family import CLAIMS

EFFECTS = {
    "steps_ratio": 1.5,
    "final_accuracy": 0.01,
    "usable_decades": 1.0,
    "recovered_gain": 0.25,
    "orthogonality": 0.1,
}


@pytest.mark.parametrize(
    ("key", "sesoi", "text"),
    [
        ("fewer-steps-tanh", math.log(1.5), "1.5"),
        ("copes-with-bad-weights-tanh", 0.01, "1 point"),
        ("wider-range-of-rates-relu", 1.0, "1 decade"),
        ("first-batch-is-enough-tanh", 0.25, "25%"),
        ("orthogonal-representations-tanh", 0.1, "0.1"),
        ("vanilla-relu-dies-float32", 0.5, ""),
    ],
)
def test_the_smallest_effect_is_in_units_of_the_value_and_in_words(key: str, sesoi: float, text: str) -> None:
    assert CLAIMS[key].sesoi(EFFECTS) == pytest.approx(sesoi)
    assert CLAIMS[key].size_text(EFFECTS) == text


def test_points_and_decades_have_a_plural() -> None:
    more = {"final_accuracy": 0.05, "usable_decades": 0.5}
    assert CLAIMS["copes-with-bad-weights-tanh"].size_text(more) == "5 points"
    assert CLAIMS["wider-range-of-rates-relu"].size_text(more) == "0.5 decades"


def test_a_condition_of_the_tutorial_in_words() -> None:
    assert tutorial_condition("tanh", 1, 0.1) == "tanh, learning rate 1, init std 0.1"
