"""The generalization gap at equal training loss.

By the end of training, the arms have learned different amounts, and the gap grows with what was learned. Compared
there, it would show which arm learns faster, not which one generalizes better.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bnpipe.core.csv_files import read_table, write_table


def make_generalization(accuracy: Path, swept: Sequence[str], table: Path) -> None:
    """Compute the gaps of a study from its table `accuracy` and write them; see `generalization_table`."""
    write_table(generalization_table(read_table(accuracy), swept), table)


def generalization_table(accuracy: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """Compute the gap of every run: validation loss minus training-set loss, at a training-set loss all arms reach.

    accuracy: the study's table of this name, with training-set losses. swept: the names of the swept settings. Returns
    columns seed, arm, the swept settings, level and gap. `level` is the lowest training-set loss that all runs of a
    cell and seed reach: the largest of their minima. It is empty if any of their losses is not finite.
    """
    rows = []
    for (*cell, seed), pair in accuracy.groupby([*swept, "seed"], sort=False):
        runs = pair.groupby("arm", sort=False)
        finite = np.isfinite(pair[["training_set_loss", "loss"]]).all(axis=None)
        level = runs["training_set_loss"].min().max() if finite else np.nan
        rows += [(seed, arm, *cell, level, gap_at(level, run)) for arm, run in runs]
    return pd.DataFrame(rows, columns=["seed", "arm", *swept, "level", "gap"])


def gap_at(level: float, run: pd.DataFrame) -> float:
    """Return validation loss minus training-set loss, in nats, at the point where the latter first falls to the level.

    run: the evaluations of a run in the order of steps; both losses are interpolated linearly between them. Returns
    nan if the training-set loss never falls to the level, or starts below it.
    """
    training, validation = run["training_set_loss"].to_numpy(), run["loss"].to_numpy()
    (reached,) = np.nonzero(training <= level)
    if len(reached) == 0 or training[0] < level:
        return np.nan
    around = [reached[0], max(reached[0] - 1, 0)]  # the later one first: its training loss is lower
    return float(np.interp(level, training[around], validation[around]) - level)
