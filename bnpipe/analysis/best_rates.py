"""Choose the best learning rate of a network from its trials, by the same criterion for every network.

tuning  one row for each trial: its updates to 90%, and whether its learning rate is the best
"""

from pathlib import Path

import numpy as np
import pandas as pd

from bnpipe.analysis.curves import updates_of_runs
from bnpipe.core.csv_files import ENTRANT_KEYS, read_table, write_table

TUNING_COLUMNS = [*ENTRANT_KEYS, "updates_to_90", "chosen", "inside"]
MARGIN = 2  # tried rates needed on either side of the best one: at the end of the grid, a better one may lie beyond


def make_tuning(curves: Path, steps: int, table: Path) -> None:
    """Choose the best rate of a network from the curves of its trials, and write the table; see `tuning_table`."""
    write_table(tuning_table(read_table(curves), steps), table)


def tuning_table(curves: pd.DataFrame, steps: int) -> pd.DataFrame:
    """Count the updates of each trial and choose the learning rate; columns TUNING_COLUMNS.

    curves: the table of `bnpipe.experiments.best_rate` of one network. steps: how many each trial had. A trial that
    never passed 90% has no `updates_to_90`. The best rate has the fewest such trials. Among equals, it has the smallest
    mean of log updates, in which such a trial counts as `steps`; if rates are still equal, the smallest is the best.
    `inside`: whether the grid has at least two more rates on either side of the best one.
    """
    trials = updates_of_runs(curves, ENTRANT_KEYS)
    logs = np.log(trials["updates_to_90"].fillna(steps))
    of_rate = trials.assign(log=logs, missed=trials["updates_to_90"].isna()).groupby("learning_rate")
    ranked = pd.DataFrame({"missed": of_rate["missed"].sum(), "log": of_rate["log"].mean()})
    best = ranked.sort_values(["missed", "log"], kind="stable").index[0]
    place = int(np.flatnonzero(ranked.index == best)[0])
    trials["chosen"] = trials["learning_rate"] == best
    trials["inside"] = MARGIN <= place < len(ranked) - MARGIN
    return trials[TUNING_COLUMNS]
