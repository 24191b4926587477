"""Verdicts on claims: count the seeds on either side of the smallest effect that matters, by a rule fixed beforehand.

Each seed gives one value d, oriented so that larger favours the claim. ``sesoi`` is the smallest effect of interest.
The evidence is an e-value: it tests whether most seeds exceed sesoi, that is whether P(d > sesoi) > 1/2. If they do
not, its expectation is at most 1, whatever the distribution of d and however often somebody looks and adds seeds
(Ramdas et al. 2023, arXiv:2210.01948). Holm's step-down over a fixed family of claims then keeps the chance of one or
more wrong verdicts at 5% or less for each side, under any dependence between the claims. `benchmarks.error_rates`
simulates this.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln

Verdict = Literal["supported", "reversed", "too small to matter", "undecided"]

LEVEL = 0.05  # largest chance of a wrong verdict in the whole family, for each side
COVERAGE = 0.95  # smallest coverage of the interval of a median, if there are enough seeds
TIE = 1e-8  # values this close to sesoi equal it: tables hold nine digits, and values are differences of such numbers
CENSORED = ("", "above", "below", "both")  # the true value is: as given, this or more, this or less, not known


class Decision(NamedTuple):
    """What the seeds say about a claim: all that a verdict needs apart from the other claims."""

    n: int  # attempted seeds
    above: int  # seeds that certainly exceed sesoi
    below: int  # seeds that are certainly below sesoi
    median: float  # of the known values, nan if there are none
    low: float  # ends of the interval of the median, see `decide`
    high: float
    worst: float  # lowest known value, nan if there are none
    e_above: float  # evidence that most seeds exceed sesoi
    e_below: float  # evidence that most seeds are below sesoi


def decide(values: ArrayLike, sesoi: float, censored: ArrayLike = "") -> Decision:
    """Weigh the values (n,) of a claim, one for each attempted seed, against the smallest effect of interest.

    values: oriented so that larger favours the claim; nan if unknown; may be infinite. censored: (n,) or one for all,
    see `bounds_of`. A seed counts as above or below sesoi only if its true value is certain to be: ties, unknown values
    and values that are censored on both sides remain in n and count for neither side.

    `median` and `worst` are those of the known values; a censored value enters as its bound. `low` and `high` are the
    order statistics of `median_ranks` over all n seeds: `low` takes each seed at the lower end of what is known of it,
    `high` at the upper end (an unknown value at minus and plus infinity). So the interval keeps its coverage whatever
    the missing values are, and an end is infinite if they could reach that far. All are nan if n is 0.

    Raises ValueError if `censored` has words other than CENSORED.
    """
    lower, upper = bounds_of(values, censored)
    n = lower.size
    above, below = int((lower > sesoi + TIE).sum()), int((upper < sesoi - TIE).sum())
    low = high = np.nan
    if n:
        i, j, _ = median_ranks(n)
        low, high = float(np.sort(lower)[i - 1]), float(np.sort(upper)[j - 1])
    known = np.where(np.isneginf(lower), upper, lower)[(lower > -np.inf) | (upper < np.inf)]
    with np.errstate(invalid="ignore"):  # the mean of minus and plus infinity is nan
        median = float(np.median(known)) if known.size else np.nan
    worst = float(known.min()) if known.size else np.nan
    return Decision(n, above, below, median, low, high, worst, e_value(n, above), e_value(n, below))


def bounds_of(values: ArrayLike, censored: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and the upper end of what is known of the true values, both of the shape of `values`.

    values: any shape, nan if unknown. censored: the same shape or one for all; "" if the value itself is known,
    "above" if the true value is at least this large, "below" if it is at most this large, "both" if nothing is known.
    Raises ValueError if there are other words.
    """
    sample, words = np.broadcast_arrays(np.asarray(values, np.float64), np.asarray(censored, np.str_))
    if not np.isin(words, CENSORED).all():
        raise ValueError(f"censored: expected one of {CENSORED}, got {sorted(set(words.ravel()) - set(CENSORED))}")
    unknown = np.isnan(sample) | (words == "both")
    lower = np.where(unknown | (words == "below"), -np.inf, sample)
    upper = np.where(unknown | (words == "above"), np.inf, sample)
    return lower, upper


def log_e_value(n: int, k: int) -> float:
    """Return the natural logarithm of E(n, k), the evidence of k agreeing seeds of n that most seeds agree.

    E is the likelihood ratio of the share p of seeds that agree against p = 1/2, averaged over two halves: p = 1, and
    p uniform on [1/2, 1]:

        E(n, k) = 1/2 * 2^n * [k = n]  +  1/2 * 2^(n+1) * B(k+1, n-k+1) * (1 - I_{1/2}(k+1, n-k+1))

    B is the beta function, and 1 / B(k+1, n-k+1) = (n+1) * C(n, k) with the binomial coefficient C. I is the
    regularized incomplete beta function, and 1 - I_{1/2}(k+1, n-k+1) is the chance of at most k heads in n+1 throws of
    a coin, the sum of C(n+1, i) / 2^(n+1) over i = 0 ... k. The sum is taken in logarithms because I itself is rounded
    to 0 or 1 beyond a thousand seeds. Raises ValueError unless 0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"expected 0 <= k <= n, got k = {k}, n = {n}")
    heads = np.arange(k + 1)
    uniform = float(np.logaddexp.reduce(_log_choose(n + 1, heads))) + float(betaln(k + 1, n - k + 1))
    point = n * math.log(2) if k == n else -math.inf
    return float(np.logaddexp(point, uniform)) - math.log(2)


def e_value(n: int, k: int) -> float:
    """Return E(n, k) of `log_e_value`; infinity if it exceeds the largest float."""
    with np.errstate(over="ignore"):
        return float(np.exp(log_e_value(n, k)))


def _log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the logarithms of the binomial coefficients C(n, k), of the shape of k."""
    return np.asarray(-betaln(k + 1, n - k + 1) - math.log(n + 1))


def threshold(rank: int, family_size: int, level: float = LEVEL) -> float:
    """Return what the e-value of a rank must reach: (m - rank + 1) / level, for rank 1 (largest) to m = family_size."""
    return (family_size - rank + 1) / level


def step_down(e_values: ArrayLike, family_size: int, level: float = LEVEL) -> list[bool]:
    """Say which of the e-values (at most family_size of them) pass Holm's step-down (Holm 1979), in the same order.

    The j-th largest passes if it and all larger ones reach `threshold(j, ...)`. The size of the family is fixed: claims
    without data count too, as if their e-value were 0. Raises ValueError if there are more e-values than claims.
    """
    e = np.asarray(e_values, np.float64)
    if e.size > family_size:
        raise ValueError(f"expected at most {family_size} e-values, the size of the family, got {e.size}")
    passed = [False] * e.size
    for rank, index in enumerate(np.argsort(-e, kind="stable"), start=1):
        if not e[index] >= threshold(rank, family_size, level):
            break
        passed[index] = True
    return passed


def verdicts(decisions: Sequence[Decision], reversed_e_values: Sequence[float], family_size: int) -> list[Verdict]:
    """Apply the rule to the claims of a family that have data, and return their verdicts in the same order.

    Supported: `e_above` passes `step_down`. Refuted: `e_below` passes it. A refuted claim is reversed if its e-value in
    reversed_e_values (see `reversed_e_value`) passes too, and otherwise too small to matter. Raises ValueError if there
    are more decisions than claims in the family, or not as many e-values as decisions.
    """
    supported = step_down([decision.e_above for decision in decisions], family_size)
    refuted = step_down([decision.e_below for decision in decisions], family_size)
    opposite = step_down(reversed_e_values, family_size)
    return [_verdict(*passed) for passed in zip(supported, refuted, opposite, strict=True)]


def _verdict(supported: bool, refuted: bool, opposite: bool) -> Verdict:
    if supported:
        return "supported"
    if refuted:
        return "reversed" if opposite else "too small to matter"
    return "undecided"


def reversed_e_value(values: ArrayLike, sesoi: float, censored: ArrayLike = "") -> float:
    """Return the evidence that most seeds are below -sesoi: the effect matters, in the other direction.

    Arguments and errors are those of `decide`. If sesoi is not positive, there is no other direction, because the claim
    is that there is no difference and its values are minus the difference's size. The result is then 0.
    """
    return decide(values, -sesoi, censored).e_below if sesoi > 0 else 0.0


def seeds_needed(n: int, k: int, needed: float) -> int:
    """Return how many further seeds, all of them agreeing, bring E(n, k) to `needed`; 0 if it is there already."""
    further = 0
    while e_value(n + further, k + further) < needed:
        further += 1
    return further


def median_ranks(n: int) -> tuple[int, int, float]:
    """Return ranks i <= j, counted from 1, and the coverage of the interval from the i-th to the j-th of n values.

    It is the narrowest interval with j = n + 1 - i that covers the median of any distribution with a chance of at least
    95% (Conover 1999, section 3.2): 1 - 2 * P(X < i), X binomial with n throws of a coin. With fewer than six values
    no interval does; the result is then the whole range and its own coverage. Raises ValueError if n is below 1.
    """
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    logs = _log_choose(n, np.arange((n + 1) // 2)) - n * math.log(2)
    tails = np.exp(np.logaddexp.accumulate(logs))  # P(X < i) for i = 1, 2, ... up to the middle
    i = max(1, int((1 - 2 * tails >= COVERAGE).sum()))
    return i, n + 1 - i, float(1 - 2 * tails[i - 1])
