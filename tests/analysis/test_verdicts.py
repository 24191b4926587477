import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom

from bnpipe.analysis.verdicts import (
    Decision,
    bounds_of,
    decide,
    e_value,
    log_e_value,
    median_ranks,
    reversed_e_value,
    seeds_needed,
    step_down,
    threshold,
    verdicts,
)

INF, NAN = math.inf, math.nan
FAMILY = 37


def of(e_above: float, e_below: float) -> Decision:
    return Decision(12, 0, 0, 0, 0, 0, 0, e_above, e_below)


@pytest.mark.parametrize(
    ("n", "k", "expected"),
    [(10, 10, 605.0), (10, 9, 9.3), (12, 12, 2363.0), (15, 14, 136.5), (20, 19, 2496.6), (30, 26, 1263.9)],
)
def test_e_values_of_the_analysis_plan(n: int, k: int, expected: float) -> None:
    assert e_value(n, k) == pytest.approx(expected, abs=0.0501)


@pytest.mark.parametrize(
    ("n", "k", "expected"),
    [
        (0, 0, 1),
        (1, 1, 1.75),  # 1/2 * 2, and half the mean of 2p over [1/2, 1], which is 3/2
        (1, 0, 0.25),  # half the mean of 2(1 - p), which is 1/2
        (2, 1, 1 / 3),  # half the mean of 4p(1 - p): 8 * (1/2 - 1/3 - 1/8 + 1/24) = 2/3
        (3, 0, 1 / 8),  # half of 16 * the integral of (1 - p)^3 = 16 / 64
        (10, 10, 512 + 2047 / 22),  # half of 2^10, and half of 2 * (2^11 - 1) / (2 * 11)
    ],
)
def test_e_values_by_hand(n: int, k: int, expected: float) -> None:
    assert e_value(n, k) == pytest.approx(expected, rel=1e-12)
    assert log_e_value(n, k) == pytest.approx(math.log(expected), abs=1e-12)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (10, 0), (10, 5), (10, 9), (12, 12), (20, 19), (30, 26), (60, 46)])
def test_e_values_are_the_integral_of_the_likelihood_ratio(n: int, k: int) -> None:
    integral, _ = quad(lambda p: (2 * p) ** k * (2 - 2 * p) ** (n - k), 0.5, 1, epsabs=0, epsrel=1e-11)
    assert e_value(n, k) == pytest.approx((k == n) * 2**n / 2 + integral, rel=1e-9)


@pytest.mark.parametrize("n", [100, 1000, 10_000])
def test_many_seeds_neither_overflow_nor_vanish(n: int) -> None:
    assert log_e_value(n, n) == pytest.approx(math.log(0.5 * (1 + 2 / (n + 1))) + n * math.log(2), rel=1e-12)
    assert e_value(n, 0) == pytest.approx(1 / (2 * (n + 1)), rel=1e-9)
    # E(n, 1) is half of (1 + (n + 1)) / ((n + 1) * n), the two terms of the sum.
    assert e_value(n, 1) == pytest.approx((n + 2) / (2 * n * (n + 1)), rel=1e-9)
    assert e_value(n, n) == (INF if n == 10_000 else pytest.approx(math.exp(min(700, log_e_value(n, n)))))


@pytest.mark.parametrize("n", [1, 5, 10, 12, 30, 60])
def test_the_expectation_is_one_at_the_boundary_and_less_beyond_it(n: int) -> None:
    counts = np.arange(n + 1)
    e = np.array([e_value(n, int(k)) for k in counts])
    assert binom.pmf(counts, n, 0.5) @ e == pytest.approx(1, rel=1e-12)
    means = [binom.pmf(counts, n, p) @ e for p in (0.5, 0.45, 0.3, 0.1, 0)]
    assert all(more > less for more, less in pairwise(means))


@pytest.mark.parametrize("needed", [20, 740])
def test_looking_after_every_seed_is_within_the_level(needed: float) -> None:
    # The chance that E ever reaches what is needed within 60 seeds of a coin, by its exact distribution.
    going, passed = {0: 1.0}, 0.0
    for n in range(1, 61):
        after: dict[int, float] = {}
        for k, chance in going.items():
            for agreeing in (k, k + 1):
                if e_value(n, agreeing) >= needed:
                    passed += chance / 2
                else:
                    after[agreeing] = after.get(agreeing, 0.0) + chance / 2
        going = after
    assert passed + sum(going.values()) == pytest.approx(1)
    assert 0.1 / needed < passed < 1 / needed


@pytest.mark.parametrize(("n", "k"), [(3, 4), (3, -1), (-1, 0)])
def test_impossible_counts_are_refused(n: int, k: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= k <= n"):
        e_value(n, k)


@pytest.mark.parametrize(
    ("n", "agreeing"), [(11, 11), (12, 12), (15, 15), (20, 19), (25, 23), (30, 26), (40, 33), (60, 46)]
)
def test_agreement_that_the_first_of_37_claims_needs(n: int, agreeing: int) -> None:
    needed = threshold(1, FAMILY)
    assert needed == pytest.approx(740)
    assert e_value(n, agreeing) >= needed > e_value(n, agreeing - 1)


def test_ten_seeds_suffice_for_thirty_claims() -> None:
    assert step_down([e_value(10, 10)], 30) == [True]
    assert step_down([e_value(10, 10)], 31) == [False]


def test_steps_down_over_the_fixed_family() -> None:
    # Of four claims the largest needs 80, then 60, 40, 20.
    assert step_down([60, 80, 20, 40], 4) == [True] * 4
    assert step_down([60, 79.9, 20, 40], 4) == [False] * 4
    assert step_down([40, INF, 59.9, 0], 4) == [False, True, False, False]
    assert step_down([80, 59.9, 40], 4) == [True, False, False]  # a step that fails ends it
    assert step_down([80, 60], 4) == [True, True]
    assert step_down([60, 80], 5) == [False, False]  # claims without data count
    assert step_down([20, 20], 2, level=0.1) == [True, True]
    assert step_down([], 4) == []
    with pytest.raises(ValueError, match="at most 1"):
        step_down([1, 1], 1)


def test_verdicts_and_the_two_ways_of_being_refuted() -> None:
    decisions = [of(2363, 0), of(0, 2363), of(0, 2363), of(605, 0)]
    assert verdicts(decisions, [0, 2363, 605, 0], FAMILY) == [
        "supported",
        "reversed",
        "too small to matter",
        "undecided",
    ]
    assert verdicts(decisions[3:], [0], 30) == ["supported"]
    assert verdicts([], [], FAMILY) == []
    with pytest.raises(ValueError, match="zip"):
        verdicts(decisions, [0], FAMILY)


def test_each_side_steps_down_by_itself() -> None:
    # The first of three claims needs 60, the second 40.
    assert verdicts([of(40, 0), of(0, 59), of(20, 0)], [0, 0, 0], 3) == ["undecided"] * 3
    assert verdicts([of(60, 0), of(0, 59), of(40, 0)], [0, 0, 0], 3) == ["supported", "undecided", "supported"]


def test_seeds_are_counted_on_either_side() -> None:
    values = [0.3, 0.06, 0.05, 0.04, -0.2, NAN, INF, -INF]
    decision = decide(values, 0.05)
    assert (decision.n, decision.above, decision.below) == (8, 3, 3)  # a tie and an unknown value count for neither
    assert decision.median == 0.05  # of the seven known values
    assert decision.worst == -INF
    assert (decision.e_above, decision.e_below) == (e_value(8, 3), e_value(8, 3))


def test_twelve_of_twelve() -> None:
    values = np.arange(1, 13) / 10
    decision = decide(values[::-1], 0.05)
    assert decision[:3] == (12, 12, 0)
    assert decision[3:7] == pytest.approx((0.65, 0.3, 1.0, 0.1))  # 3rd to 10th value
    assert decision.e_above == pytest.approx(2363.04, abs=0.005)
    assert decision.e_below == pytest.approx(1 / 26)


@pytest.mark.parametrize(("difference", "counts"), [(0.9 - 0.85, (0, 0)), (0.0500001, (1, 0)), (0.0499999, (0, 1))])
def test_rounding_breaks_no_tie(difference: float, counts: tuple[int, int]) -> None:
    assert 0.9 - 0.85 > 0.05  # by rounding
    assert 0.943333333 - 0.893333333 != 0.05  # the same for numbers of nine digits
    decision = decide([difference], 0.05)
    assert (decision.above, decision.below) == counts
    assert decide([0.943333333 - 0.893333333], 0.05)[1:3] == (0, 0)


@pytest.mark.parametrize(
    ("value", "censored", "counts"),
    [
        (0.3, "above", (1, 0)),  # at least 0.3
        (0.01, "above", (0, 0)),  # at least 0.01: may be either
        (0.3, "below", (0, 0)),
        (0.01, "below", (0, 1)),
        (0.05, "above", (0, 0)),
        (0.05, "below", (0, 0)),
        (0.3, "both", (0, 0)),
        (0.01, "both", (0, 0)),
        (NAN, "both", (0, 0)),
        (NAN, "above", (0, 0)),
        (INF, "above", (1, 0)),
        (-INF, "below", (0, 1)),
    ],
)
def test_a_censored_value_counts_only_for_what_is_certain(value: float, censored: str, counts: tuple[int, int]) -> None:
    decision = decide([value], 0.05, [censored])
    assert (decision.n, decision.above, decision.below) == (1, *counts)


def test_the_interval_allows_for_what_is_not_known() -> None:
    values = np.arange(10, dtype=float)  # interval from the 2nd to the 9th value
    assert decide(values, 0)[4:6] == (1, 8)
    assert decide([*values[:9], NAN], 0)[4:6] == (0, 8)  # the unknown value is the lowest, or else the highest
    assert decide([*values[:8], NAN, NAN], 0)[4:6] == (-INF, INF)
    first_is_a_lower_bound = ["above"] + [""] * 9
    assert decide(values, 0, first_is_a_lower_bound)[4:6] == (1, 9)
    assert decide(values, 0, first_is_a_lower_bound)[3] == 4.5  # the bound enters the median as it is
    last_is_an_upper_bound = [""] * 9 + ["below"]
    assert decide(values, 0, last_is_an_upper_bound)[3:7] == (4.5, 0, 8, 0)
    nothing = decide(values, 0, "both")
    assert nothing[4:6] == (-INF, INF)
    assert np.isnan([nothing.median, nothing.worst]).all()
    both_censored = decide([0, 3, 4], 0, ["both", "", "above"])
    assert (both_censored.median, both_censored.worst) == (3.5, 3)


def test_few_and_no_seeds() -> None:
    nothing = decide([], 0.05)
    assert nothing[:3] == (0, 0, 0)
    assert np.isnan(nothing[3:7]).all()
    assert nothing[7:] == pytest.approx((1, 1))
    assert decide([0.5], 0.05)[:7] == (1, 1, 0, 0.5, 0.5, 0.5, 0.5)
    unknown = decide([NAN], 0.05)
    assert unknown[:3] == (1, 0, 0)
    assert unknown[4:6] == (-INF, INF)
    assert np.isnan([unknown.median, unknown.worst]).all()
    assert math.isnan(decide([-INF, INF], 0.05).median)


def test_bounds_of_any_shape() -> None:
    lower, upper = bounds_of(np.array([[1, 2], [3, NAN]]), [["", "above"], ["below", ""]])
    assert lower.tolist() == [[1, 2], [-INF, -INF]]
    assert upper.tolist() == [[1, INF], [3, INF]]
    with pytest.raises(ValueError, match="sideways"):
        bounds_of([1], ["sideways"])


def test_evidence_for_the_other_direction() -> None:
    values = [-0.3] * 11 + [-0.05]
    assert decide(values, 0.05).below == 12
    assert reversed_e_value(values, 0.05) == pytest.approx(e_value(12, 11))  # -0.05 is a tie
    assert reversed_e_value(values, 0.05, "above") == pytest.approx(e_value(12, 0))
    assert reversed_e_value(values, 0) == reversed_e_value(values, -0.01) == 0


@pytest.mark.parametrize(
    ("n", "k", "needed", "further"),
    [
        (3, 3, 740, 8),  # 11 of 11
        (0, 0, 740, 11),
        (10, 10, 605, 0),
        (10, 10, 740, 1),
        (12, 12, 740, 0),
        (17, 16, 740, 1),  # E(18, 17) = (2^19 - 20) / (2 * 19 * 18) = 766.5
        (16, 15, 740, 2),
        (60, 46, 740, 0),
        (60, 45, 740, 2),
    ],
)
def test_seeds_that_are_still_needed(n: int, k: int, needed: float, further: int) -> None:
    assert seeds_needed(n, k, needed) == further


@pytest.mark.parametrize(
    ("n", "i", "j", "coverage"),
    [
        (10, 2, 9, 0.979),
        (12, 3, 10, 0.961),
        (20, 6, 15, 0.959),
        (30, 10, 21, 0.957),
        (6, 1, 6, 1 - 2 / 2**6),
        (5, 1, 5, 1 - 2 / 2**5),  # no interval of five values has 95%
        (3, 1, 3, 0.75),
        (2, 1, 2, 0.5),
        (1, 1, 1, 0),
        (10_000, 4902, 5099, 0.9512),  # 5000 -+ 1.96 * 50
    ],
)
def test_interval_of_the_median(n: int, i: int, j: int, coverage: float) -> None:
    assert median_ranks(n) == pytest.approx((i, j, coverage), abs=0.0005)


@pytest.mark.parametrize("n", range(6, 61))
def test_the_interval_is_the_narrowest_that_covers_95_percent(n: int) -> None:
    i, j, coverage = median_ranks(n)
    assert coverage == pytest.approx(sum(math.comb(n, k) for k in range(i, j)) / 2**n)
    assert coverage >= 0.95
    assert sum(math.comb(n, k) for k in range(i + 1, j - 1)) / 2**n < 0.95


def test_no_values_have_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        median_ranks(0)
