"""Verdicts on claims: an interval, a test, and a rule that was fixed before the runs.

A claim is tested on n pairs of runs. Each pair gives a difference, oriented so that a positive one favours the claim.
``sesoi`` is the smallest effect size of interest: the smallest mean difference that would matter.
A claim that there is no difference takes the same form: its values are minus the size of the difference, and its
sesoi is minus the largest size that would not matter, a negative margin.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, bootstrap, permutation_test

Verdict = Literal["supported", "refuted", "inconclusive"]

MIN_PAIRS = 10  # with fewer there is no verdict
LEVEL = 0.05  # of the corrected test
MAJORITY = 0.5  # share of pairs that a claim must hold for if outcomes are counted
DECIMALS = 12  # effects are of the order of 1, so smaller differences come from rounding
RESAMPLES = 100_000  # of the bootstrap: an end then varies by 0.3% of the interval's width from generator to generator
SIGN_FLIPS = 2**16  # all of them up to n = 16, this many random ones beyond


class Decision(NamedTuple):
    """What the pairs say about a claim: all that a verdict needs apart from the other claims."""

    n: int  # pairs with a known value
    effect: float  # mean difference, or share of pairs that the claim holds for
    low: float  # ends of the 95% interval of the effect; nan if n is too small for one
    high: float
    p: float  # two-sided, of the null hypothesis of `decide` or `decide_share`
    sesoi: float  # smallest effect that would matter, in units of the effect
    binary: bool  # whether the effect is a share


def decide(
    values: ArrayLike, sesoi: float, rng: np.random.Generator, diverged: ArrayLike = False, confidence: float = 0.95
) -> Decision:
    """Weigh the differences (n,) of pairs against the smallest effect of interest; nan if a difference is not known.

    The effect is the mean with its BCa interval. p is that of the sign-flip test against a mean of 0 or, if sesoi is a
    negative margin, against the margin: values that are minus the size of a difference are never above 0.

    diverged: bool (n,), whether a run of the pair did. Diverged and converged pairs are never averaged together, and
    BCa is undefined if all differences are equal or one is infinite. In these cases the outcome is binary, whether a
    pair's difference exceeds sesoi, and `decide_share` takes over.
    """
    sample, of_diverged = np.broadcast_arrays(np.round(np.asarray(values, np.float64), DECIMALS), diverged)
    known = ~np.isnan(sample)
    sample, of_diverged = sample[known], of_diverged[known]
    n = len(sample)
    if n < 2:
        return Decision(n, float(sample.mean()) if n else np.nan, np.nan, np.nan, 1.0, sesoi, binary=False)
    mixed = of_diverged.any() and not of_diverged.all()
    if mixed or not np.isfinite(sample).all() or np.ptp(sample) == 0:
        return decide_share(sample > sesoi, confidence)
    low, high = bca_interval(sample, rng, confidence)
    p = sign_flip_p(sample - min(sesoi, 0), rng)
    return Decision(n, float(sample.mean()), low, high, p, sesoi, binary=False)


def decide_share(outcomes: ArrayLike, confidence: float = 0.95) -> Decision:
    """Weigh outcomes, bool (n,), whether the claim holds for a pair: it should hold for more than half of them.

    The effect is the share of pairs that it holds for, with its Clopper-Pearson interval. p is that of the exact test
    against a share of one half: the sign-flip test of outcomes +1 and -1.
    """
    holds = np.asarray(outcomes, np.bool_)
    n, successes = holds.size, int(holds.sum())
    if n == 0:
        return Decision(0, np.nan, np.nan, np.nan, 1.0, MAJORITY, binary=True)
    low, high = clopper_pearson(successes, n, confidence)
    p = float(binomtest(successes, n, MAJORITY).pvalue)
    return Decision(n, successes / n, low, high, p, MAJORITY, binary=True)


def verdict(decision: Decision, p_holm: float) -> Verdict:
    """Apply the rule. p_holm: the decision's p, corrected over all claims that are tested together.

    Supported: the interval lies entirely above sesoi, and p_holm is below 0.05. Refuted: the interval lies entirely
    below sesoi. Otherwise, and always if n is below 10, inconclusive.
    """
    if decision.n < MIN_PAIRS:
        return "inconclusive"
    if decision.low > decision.sesoi and p_holm < LEVEL:
        return "supported"
    return "refuted" if decision.high < decision.sesoi else "inconclusive"


def bca_interval(
    values: ArrayLike, rng: np.random.Generator, confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated bootstrap interval of the mean of values (n,) (Efron 1987).

    n is 2 or more, and not all values are equal. The interval is too narrow if n is small: for n = 10 the 95% interval
    covers the mean of a normal distribution 90% of the time, for n = 30 93% (`benchmarks.coverage`).
    """
    sample = np.asarray(values, np.float64)
    result = bootstrap((sample,), np.mean, n_resamples=resamples, confidence_level=confidence, method="BCa", rng=rng)
    low, high = result.confidence_interval
    return float(low), float(high)


def sign_flip_p(values: ArrayLike, rng: np.random.Generator) -> float:
    """Return p of the two-sided sign-flip test (Fisher 1935) of values (n,), n of 2 or more, for a mean of 0.

    p is the share of all 2^n ways of assigning signs to the values in which the mean is at least as far from 0. Beyond
    n = 16 it is estimated from random ways, plus the observed one.
    """
    sample = np.asarray(values, np.float64)
    unit = float(np.abs(sample).sum()) / 2**30 or 1

    def whole_sum(flipped: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = flipped.sum(axis=axis)
        return np.rint(sums / unit)  # scipy alone misses ties that rounding has separated

    result = permutation_test((sample,), whole_sum, permutation_type="samples", n_resamples=SIGN_FLIPS, rng=rng)
    return float(result.pvalue)


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share of successes (Clopper & Pearson 1934), n of 1 or more."""
    interval = binomtest(successes, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p values (m,) for being tested together (Holm 1979), (m,); scipy has no such function.

    The k-th smallest becomes the largest of (m - i + 1) * p_i over i = 1 ... k, at most 1.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
