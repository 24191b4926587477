import math
from collections.abc import Callable
from itertools import combinations_with_replacement, pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from bnpipe.analysis.verdicts import (
    Decision,
    bca_interval,
    clopper_pearson,
    decide,
    decide_share,
    holm,
    sign_flip_p,
    verdict,
)

Floats = NDArray[np.float64]

# Efron & Tibshirani (1993), table 14.1: test A of 26 children.
SPATIAL = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]
# Fisher (1935), section 21: Darwin's pairs of Zea mays, crossed minus self-fertilized, eighths of an inch.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
SKEWED = [0.11, 0.13, 0.13, 0.18, 0.2, 0.21, 0.27, 0.35, 0.52, 1.4]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def reference_bca(
    sample: Floats, replicates: Floats, weights: Floats, statistic: Callable[[Floats], np.floating], confidence: float
) -> list[float]:
    """Return the BCa interval as Efron & Tibshirani (1993, section 14.3) write it, from weighted replicates."""
    observed = statistic(sample)
    below = weights[replicates < observed - 1e-9].sum()
    z0 = ndtri(below + weights[abs(replicates - observed) <= 1e-9].sum() / 2)
    jackknife = np.array([statistic(np.delete(sample, i)) for i in range(len(sample))])
    u = jackknife.mean() - jackknife
    acceleration = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    z = z0 + ndtri([(1 - confidence) / 2, (1 + confidence) / 2])
    levels = ndtr(z0 + z / (1 - acceleration * z))
    order = np.argsort(replicates)
    return [float(end) for end in replicates[order][np.searchsorted(weights[order].cumsum(), levels)]]


def all_resamples(sample: Floats) -> tuple[Floats, Floats]:
    """Return the mean of every resample of a sample (n,), n^n in all, and the probability of each."""
    n = len(sample)
    chosen = np.array(list(combinations_with_replacement(range(n), n)))
    counts = np.array([(chosen == i).sum(axis=1) for i in range(n)])
    factorials = np.array([math.factorial(k) for k in range(n + 1)], np.float64)
    return sample[chosen].mean(axis=1), factorials[n] / factorials[counts].prod(axis=0) / n**n


def test_the_reference_gives_the_published_interval() -> None:
    # Efron & Tibshirani (1993), table 14.2: variance 171.5, 90% BCa interval 115.8 to 259.6 from 2,000 resamples.
    sample = np.array(SPATIAL, np.float64)
    replicates = sample[generator().integers(0, 26, (20_000, 26))].var(axis=1)
    assert sample.var() == pytest.approx(171.5, abs=0.05)
    ends = reference_bca(sample, replicates, np.full(20_000, 1 / 20_000), np.var, confidence=0.9)
    assert ends == pytest.approx([115.8, 259.6], abs=5)  # of both, from as many resamples


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_bca_is_the_reference_on_all_resamples(confidence: float) -> None:
    sample = np.array(SKEWED)
    means, probabilities = all_resamples(sample)
    assert probabilities.sum() == pytest.approx(1)
    low, high = reference_bca(sample, means, probabilities, np.mean, confidence)
    assert low + high > 2 * sample.mean()  # leans to the long tail
    ends = bca_interval(SKEWED, generator(), confidence, resamples=1_000_000)
    assert ends == pytest.approx((low, high), abs=0.005 * (high - low))


def test_bca_repeats_with_the_generator_and_differs_with_another() -> None:
    assert bca_interval(SKEWED, generator(1)) == bca_interval(SKEWED, generator(1))
    assert bca_interval(SKEWED, generator(1)) != bca_interval(SKEWED, generator(2))


def test_bca_covers_the_mean_of_ten_normal_values_nine_times_in_ten() -> None:
    rng = generator()
    ends = np.array([bca_interval(sample, rng, resamples=2000) for sample in rng.normal(3, 1, (600, 10))])
    covered = (ends[:, 0] < 3) & (ends[:, 1] > 3)
    assert covered.mean() == pytest.approx(0.9, abs=0.037)  # three standard errors of a share of 600


def test_sign_flips_of_darwins_pairs_as_fisher_counted_them() -> None:
    assert sign_flip_p(DARWIN, generator()) == 2 * 863 / 2**15


@pytest.mark.parametrize("images", [300, 5000, 7000])
def test_sign_flips_count_ties_that_rounding_has_parted(images: int) -> None:
    rng = generator()
    for _ in range(100):
        whole = rng.integers(-12, 13, 8)
        sums = [abs(np.dot(signs, whole)) for signs in product((-1, 1), repeat=8)]
        differences = (0.5 + whole / images) - 0.5
        assert sign_flip_p(differences, generator()) == np.mean(np.array(sums) >= abs(whole.sum()))


def test_many_sign_flips_are_drawn_at_random_and_never_give_zero() -> None:
    values = generator(3).normal(0.5, 1, 17)
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    exact = np.mean(abs(sums) >= abs(values.sum()) - 1e-9)
    p = sign_flip_p(values, generator(1))
    assert p == pytest.approx(exact, abs=4 * math.sqrt(exact / 2**16))
    assert p == sign_flip_p(values, generator(1)) != sign_flip_p(values, generator(2))
    assert sign_flip_p(np.ones(40), generator()) == pytest.approx(2 / (2**16 + 1))


def test_zeros_are_no_evidence() -> None:
    assert sign_flip_p([0, 0, 0], generator()) == 1


@pytest.mark.parametrize(
    ("successes", "n", "interval"),
    [
        (0, 10, (0, 1 - 0.025**0.1)),  # (1 - p)^10 = 0.025
        (10, 10, (0.025**0.1, 1)),
        (4, 20, (0.057334, 0.436614)),  # statsmodels 0.15's proportion_confint, method "beta"
        (42, 100, (0.321986, 0.522881)),
    ],
)
def test_clopper_pearson(successes: int, n: int, interval: tuple[float, float]) -> None:
    assert clopper_pearson(successes, n) == pytest.approx(interval, abs=1e-6)


def test_clopper_pearson_leaves_half_the_error_in_each_tail() -> None:
    low, high = clopper_pearson(7, 12, confidence=0.9)
    at_least = sum(math.comb(12, k) * low**k * (1 - low) ** (12 - k) for k in range(7, 13))
    at_most = sum(math.comb(12, k) * high**k * (1 - high) ** (12 - k) for k in range(8))
    assert (at_least, at_most) == pytest.approx((0.05, 0.05))


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        # Of p.adjust and of statsmodels' multipletests; by hand 5 * 0.001, 4 * 0.007, 3 * 0.014, 2 * 0.031.
        ([0.042, 0.001, 0.031, 0.014, 0.007], [0.062, 0.005, 0.062, 0.042, 0.028]),
        ([0.01, 0.04, 0.03, 0.005, 0.9, 0.03, 0.0008], [0.05, 0.12, 0.12, 0.03, 0.9, 0.12, 0.0056]),
        ([0.6, 0.7], [1, 1]),
        ([0.04], [0.04]),
        ([], []),
    ],
)
def test_holm(p: list[float], adjusted: list[float]) -> None:
    assert holm(p).tolist() == pytest.approx(adjusted)


def test_holm_rejects_as_its_steps_do() -> None:
    rng = generator()
    for _ in range(100):
        p = rng.random(12) ** 4
        smallest_first = np.sort(p)
        failed = smallest_first > 0.05 / np.arange(12, 0, -1)
        rejections = int(failed.argmax()) if failed.any() else 12
        adjusted = holm(p)
        assert (adjusted < 0.05).sum() == rejections
        assert (adjusted >= p).all()
        assert (adjusted <= np.minimum(1, 12 * p)).all()
        assert all(a <= b for a, b in pairwise(adjusted[np.argsort(p)]))


def test_a_mean_is_weighed_with_its_interval_and_test() -> None:
    decision = decide(SKEWED, 0.05, generator())
    low, high = bca_interval(SKEWED, generator())
    assert decision.effect == pytest.approx(0.35)
    assert decision._replace(effect=0.35) == Decision(10, 0.35, low, high, 2 / 2**10, 0.05, binary=False)


def test_pairs_that_are_not_known_are_left_out() -> None:
    assert decide([*SKEWED, np.nan], 0.05, generator()) == decide(SKEWED, 0.05, generator())
    diverged = [False] * 10 + [True]
    assert not decide([*SKEWED, np.nan], 0.05, generator(), diverged).binary


def test_a_claim_of_no_difference_is_tested_against_its_margin() -> None:
    values = -np.abs([0.001, -0.002, 0.004, 0.003, -0.001, 0.002, 0.002, -0.003, 0.001, 0.002])
    decision = decide(values, -0.01, generator())
    assert decision.effect == pytest.approx(-0.0021)
    assert decision.p == sign_flip_p(values + 0.01, generator()) == 2 / 2**10
    assert verdict(decision, decision.p) == "supported"
    far = decide(values * 10, -0.01, generator())
    assert (far.high < -0.01, verdict(far, far.p)) == (True, "refuted")
    astride = decide(values * 5, -0.01, generator())
    assert astride.p == sign_flip_p(values * 5 + 0.01, generator()) > 0.5
    assert verdict(astride, 0) == "inconclusive"


@pytest.mark.parametrize(("difference", "share"), [(0.8, 1), (0.03, 0), (-0.8, 0)])
def test_equal_differences_are_counted(difference: float, share: float) -> None:
    vanilla = np.linspace(0.1, 0.19, 10)
    decision = decide((vanilla + difference) - vanilla, 0.05, generator())  # equal but for rounding
    assert decision.p == pytest.approx(2 / 2**10)
    low, high = clopper_pearson(10 if share else 0, 10)
    assert decision == Decision(10, share, low, high, decision.p, 0.5, binary=True)
    assert verdict(decision, decision.p) == ("supported" if share else "refuted")


def test_a_difference_of_exactly_the_smallest_that_matters_does_not_exceed_it() -> None:
    assert 0.9 - 0.85 > 0.05  # by rounding
    assert decide([0.9 - 0.85] * 10, 0.05, generator()).effect == 0


def test_diverged_and_converged_pairs_are_counted_and_not_averaged() -> None:
    values = [0.8, 0.7, 0.01, 0.9, 0.8, 0.75, 0.7, 0.8, 0.9, 0.8]
    mixed = decide(values, 0.05, generator(), diverged=[True, True] + [False] * 8)
    assert (mixed.binary, mixed.effect, mixed.sesoi) == (True, 0.9, 0.5)
    assert mixed.p == pytest.approx(2 * (1 + 10) / 2**10)
    for diverged in (True, False):
        assert not decide(values, 0.05, generator(), diverged=[diverged] * 10).binary


def test_infinite_differences_are_counted() -> None:
    decision = decide([np.inf, *SKEWED[1:]], 0.05, generator())
    assert (decision.binary, decision.effect) == (True, 1)


def test_p_of_a_share_is_of_the_sign_flips_of_its_outcomes() -> None:
    outcomes = np.array([True] * 9 + [False] * 3)
    decision = decide_share(outcomes)
    assert decision.p == pytest.approx(sign_flip_p(np.where(outcomes, 1, -1), generator()))
    assert decision[:4] == (12, 0.75, *clopper_pearson(9, 12))


def test_too_few_pairs_have_no_interval_and_no_verdict() -> None:
    for values in ([], [np.nan], [0.5]):
        decision = decide(values, 0.05, generator())
        assert (decision.n, decision.p) == (len(values) - np.isnan(values).sum(), 1)
        assert np.isnan([decision.low, decision.high]).all()
        assert verdict(decision, 0) == "inconclusive"
    assert decide([0.5], 0.05, generator()).effect == 0.5
    assert decide([0.5, 0.6], 0.05, generator()).low >= 0.5
    nothing = decide_share([])
    assert (nothing.n, nothing.p) == (0, 1)
    assert np.isnan(nothing.effect)


@pytest.mark.parametrize(
    ("n", "low", "high", "p_holm", "expected"),
    [
        (10, 0.06, 0.09, 0.049, "supported"),
        (10, 0.06, 0.09, 0.05, "inconclusive"),
        (10, 0.05, 0.09, 0.001, "inconclusive"),
        (9, 0.06, 0.09, 0.001, "inconclusive"),
        (10, -0.5, 0.04, 1, "refuted"),
        (10, -0.5, 0.05, 0.001, "inconclusive"),
        (9, -0.5, 0.04, 0.001, "inconclusive"),
    ],
)
def test_the_rule(n: int, low: float, high: float, p_holm: float, expected: str) -> None:
    assert verdict(Decision(n, 0, low, high, p_holm / 2, 0.05, binary=False), p_holm) == expected
