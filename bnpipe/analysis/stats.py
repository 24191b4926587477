"""Statistics of a handful of runs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit  # scipy.stats has the same quantile and takes a second longer to import


class Estimate(NamedTuple):
    """A mean with its spread and its interval; nan if the sample is too small."""

    mean: float
    standard_deviation: float  # of the sample, divisor n - 1
    low: float  # ends of the interval of the mean
    high: float


def estimate_mean(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Estimate a mean from values (n,) with Student's interval, mean +- t(n - 1) * s / sqrt(n).

    One value has a mean and nothing else; no values have nothing. If all values are equal, the interval is a point.
    """
    sample = np.asarray(values, dtype=np.float64)
    n = sample.size
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, np.nan)
    mean = float(sample.mean())
    if n == 1:
        return Estimate(mean, np.nan, np.nan, np.nan)
    deviation = float(sample.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * deviation / np.sqrt(n)
    return Estimate(mean, deviation, mean - half, mean + half)
