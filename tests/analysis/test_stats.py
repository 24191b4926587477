import math

import numpy as np
import pytest

from bnpipe.analysis.stats import estimate_mean


def test_students_interval_by_hand() -> None:
    # 1, 2, 3, 4: mean 2.5, s = sqrt(5/3), t(0.975, 3) = 3.182446 (any table), half = t * s / 2
    estimate = estimate_mean([1, 2, 3, 4])
    half = 3.182446305284263 * math.sqrt(5 / 3) / 2
    assert estimate == pytest.approx((2.5, math.sqrt(5 / 3), 2.5 - half, 2.5 + half), rel=1e-12)


def test_one_value_has_a_mean_and_no_interval() -> None:
    estimate = estimate_mean([0.25])
    assert estimate.mean == 0.25
    assert np.isnan(estimate[1:]).all()


def test_no_value_has_nothing() -> None:
    assert np.isnan(estimate_mean([])).all()


def test_equal_values_have_a_point_for_an_interval() -> None:
    assert estimate_mean([0.5] * 4) == (0.5, 0.0, 0.5, 0.5)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    samples = np.random.default_rng(1).normal(3, 2, (2000, 5))
    covered = [estimate.low < 3 < estimate.high for estimate in map(estimate_mean, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)  # three standard errors of a share of 2,000
