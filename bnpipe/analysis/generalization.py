"""The generalization gap at equal training loss.

By the end of training, the arms have learned different amounts, and the gap grows with what was learned. A comparison
there would show which arm learns faster, not which one generalizes better. The sign of the difference depends on the
training loss at which the gaps are compared, so there are four fixed levels, and the table shows the gap at each.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from bnpipe.core.csv_files import read_table, write_table

LEVELS = (0.3, 0.1, 0.03, 0.01)  # training-set losses, in nats


def make_generalization(accuracy: Path, swept: Sequence[str], table: Path) -> None:
    """Compute the gaps of a study from its table `accuracy` and write them; see `generalization_table`."""
    write_table(generalization_table(read_table(accuracy), swept), table)


def generalization_table(accuracy: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """Compute the gaps of every run, validation loss minus training-set loss, at each of LEVELS.

    accuracy: the study's table of this name, with training-set losses. swept: the names of the swept settings. Returns
    columns seed, arm, the swept settings, level and gap.
    """
    rows = []
    for (*cell, seed, arm), run in accuracy.groupby([*swept, "seed", "arm"], sort=False):
        rows += [(seed, arm, *cell, level, gap_at(level, run)) for level in LEVELS]
    return pd.DataFrame(rows, columns=["seed", "arm", *swept, "level", "gap"])


def gap_at(level: float, run: pd.DataFrame) -> float:
    """Return validation loss minus training-set loss, in nats, at the point where the latter falls to the level.

    run: the evaluations of a run in the order of steps. Its training-set losses are replaced by the nearest curve
    (least squares) that never rises; that curve and the validation losses are then interpolated linearly. Returns nan
    if the curve never falls to the level or starts below it, or if a loss is not finite.
    """
    training, validation = run["training_set_loss"].to_numpy(), run["loss"].to_numpy()
    if not np.isfinite([training, validation]).all():
        return np.nan
    falling = isotonic_regression(training, increasing=False).x
    (reached,) = np.nonzero(falling <= level)
    if len(reached) == 0 or falling[0] < level:
        return np.nan
    around = [reached[0], max(reached[0] - 1, 0)]  # the later one first: its training loss is lower
    return float(np.interp(level, falling[around], validation[around]) - level)
