"""What a curve of validation accuracy says: when it reaches a level, and how steady it is near its end."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from bnpipe.core.settings import THRESHOLD

LAST_PART = 0.75  # the last quarter of a training begins here
LEAST_EVALUATIONS = 40  # in the last quarter: a spread from n evaluations varies by about 1/sqrt(2 n), here 11%


def updates_to(steps: ArrayLike, accuracy: ArrayLike, level: float = THRESHOLD) -> float:
    """Return how many updates a network needs to reach an accuracy; nan if it never does.

    steps: evaluated steps (evaluations,), ascending; they count from 0, so s + 1 updates come before the evaluation of
    step s. accuracy: (evaluations,). The curve is first replaced by the nearest one (least squares) that never falls,
    so that neither a lucky evaluation nor a dip decides. It is then interpolated linearly, so the result need not be a
    multiple of the evaluation interval. If the first evaluation is already at the level, the result is the number of
    updates before it.
    """
    updates = np.asarray(steps, np.float64) + 1
    rising = isotonic_regression(np.asarray(accuracy, np.float64)).x
    (reached,) = np.nonzero(rising >= level)
    if not len(reached):
        return np.nan
    first = int(reached[0])
    if first == 0:
        return float(updates[0])
    part = (level - rising[first - 1]) / (rising[first] - rising[first - 1])
    return float(updates[first - 1] + part * (updates[first] - updates[first - 1]))


def updates_of_runs(curves: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Count the updates to 90% of every run; columns keys and `updates_to_90`, empty if a run never gets there.

    curves: one row for each evaluation, those of a run in the order of steps; columns keys, step and accuracy. keys:
    the columns that identify a run. Runs are in the order of their first rows.
    """
    of_runs = curves.groupby([*keys], sort=False)[["step", "accuracy"]]
    return of_runs.apply(lambda run: updates_to(run["step"], run["accuracy"])).rename("updates_to_90").reset_index()


def detrended_spread(steps: ArrayLike, accuracy: ArrayLike) -> float:
    """Return the standard deviation of accuracy about a straight line, in the last quarter of the steps.

    steps, accuracy: as in `updates_to`. The result is nan if the last quarter has fewer than 40 evaluations.

    The line is fitted by least squares, and the divisor is the number of evaluations minus its two parameters. A line
    removes the slow climb and nothing else. A local trend, or differences between neighbours, would also remove slow
    swings, which a reader sees as unsteadiness. Both would depend on the evaluation interval, because evaluations that
    are close to each other are alike. A line leaves little of a climb: if the error falls exponentially from 10% to 8%
    in the last quarter, the residue is 0.02 points, while spreads are a few tenths of a point.
    """
    every = np.asarray(steps, np.float64)
    late = every >= LAST_PART * every[-1]
    x, y = every[late], np.asarray(accuracy, np.float64)[late]
    if len(x) < LEAST_EVALUATIONS:
        return np.nan
    residuals = y - np.polynomial.Polynomial.fit(x, y, 1)(x)
    return float(np.sqrt(np.square(residuals).sum() / (len(x) - 2)))
