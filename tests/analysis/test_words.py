import numpy as np
import pytest

from bnpipe.analysis.words import (
    MINUS,
    TIMES,
    as_text,
    count_text,
    four_digits,
    in_words,
    percent,
    points,
    setting_text,
    short,
    tick_text,
    two_digits,
    whole,
)


def test_numbers_are_written_for_people() -> None:
    assert percent(0.98765) == "98.77%"
    assert points(-0.0123) == f"{MINUS}1.23 points"
    assert points(0.5) == "+50.00 points"
    assert whole(12345.0) == "12,345"
    assert four_digits(-1234.56) == f"{MINUS}1235"
    assert short("0123456789abcdef") == "0123456789ab"


def test_names_are_written_in_words() -> None:
    assert in_words("learning_rate") == "learning rate"


def test_runs_are_counted_in_words() -> None:
    assert [count_text(10, 0), count_text(10, 3)] == ["n = 10", "3 of 10 diverged"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0.97, "-0.97"), (84, "84"), (524, "520"), (5.3e9, "5*10⁹"), (-7.1e-10, "-7*10⁻¹⁰"), (5e-5, "5*10⁻⁵")],
)
def test_numbers_are_short_and_without_many_zeros(value: float, text: str) -> None:
    assert two_digits(value).replace(MINUS, "-").replace(TIMES, "*") == text


def test_values_are_written_without_needless_digits() -> None:
    values = (0.0316, 10.0, 2000, True, False, np.True_, "he")
    assert [as_text(value) for value in values] == ["0.0316", "10", "2000", "yes", "no", "yes", "he"]
    assert [tick_text(value) for value in values] == ["0.0316", "10", "2,000", "yes", "no", "yes", "he"]


@pytest.mark.parametrize(
    ("value", "text"),
    [((100,) * 9, "9 x 100"), ((30, 30, 10), "2 x 30 + 1 x 10"), (None, "all"), (0.1, 0.1), ("he", "he")],
)
def test_settings_as_written_in_tables(value: object, text: object) -> None:
    assert setting_text(value) == text
