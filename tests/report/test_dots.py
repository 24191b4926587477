import math

import pandas as pd
import pytest

from bnpipe.report.dots import APART, MARGIN, MIDDLE, WIDTH, Dots, dots_of, place


def dots(values: list[float], censored: str = "", sesoi: float = 0.5) -> Dots:
    evidence = pd.DataFrame({"claim": "one", "seed": range(len(values)), "value": values, "censored": censored or None})
    other = evidence.assign(claim="other")
    return dots_of({"claim": "one", "sesoi": sesoi}, pd.concat([evidence, other]))


def test_the_scale_is_even_up_to_the_smallest_effect_and_logarithmic_beyond() -> None:
    half = (WIDTH - 2 * MARGIN) / 2 / (1 + math.log10(30))  # what one decade takes, as 0 to 1 does
    middle = WIDTH / 2
    assert place(0) == middle
    assert place(0.5) == pytest.approx(middle + half / 2, abs=0.1)
    assert place(10) == pytest.approx(middle + 2 * half, abs=0.1)
    assert place(-10) == pytest.approx(middle - 2 * half, abs=0.1)
    assert place(1e9) == place(math.inf) == WIDTH - MARGIN


def test_a_seed_is_at_its_multiple_of_the_smallest_effect() -> None:
    seeds = dots([1.0, -0.25]).seeds
    assert [(dot.x, dot.y) for dot in seeds] == [(place(-0.5), MIDDLE), (place(2), MIDDLE)]


def test_equal_seeds_can_be_told_apart_and_stay_on_their_side() -> None:
    seeds = dots([0.51] * 12).seeds
    assert all(dot.x > place(1) for dot in seeds)
    assert min(math.hypot(a.x - b.x, a.y - b.y) for a in seeds for b in seeds if a is not b) >= APART


def test_bounds_have_shapes_of_their_own_and_unknown_values_are_counted() -> None:
    assert [dot.shape for dot in dots([1.0], "above").seeds] == ["above"]
    assert dots([1.0, math.nan]).unknown == 1
    assert dots([1.0], "both").seeds == []  # neither arm got there: nothing is known
    assert dots([1.0], "both").unknown == 1
