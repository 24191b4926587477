"""What replaces the statistics of the mini-batch when a batch-normalized network predicts.

Table: inference with columns seed, step, statistics, batch_size, accuracy (`bnpipe.experiments.inference`).
"""

import pandas as pd

from bnpipe.analysis.measures.sources import DECIMALS, AbsentError, Sources, measured, outcome

EARLY_STEP = 60  # by then 46% of the moving averages comes from batches, the rest from their initial values
EVALUATION_BATCH = 60
WITHIN_OF_EXACT = 0.01  # largest difference from exact statistics at which moving averages match them


def lost_to_batch_statistics(sources: Sources) -> pd.DataFrame:
    """Take the final accuracy with moving averages minus the one with statistics of an evaluation batch of 60."""
    return measured(_at(sources, "moving_biased") - _at(sources, "batch", EVALUATION_BATCH))


def moving_averages_do(sources: Sources, early: bool) -> pd.DataFrame:
    """Note whether accuracy with moving averages is within 1 point of accuracy with training-set statistics.

    early: at the last measured step up to step 60; otherwise at the last step.
    """
    moving, exact = (_at(sources, name, early=early) for name in ("moving_biased", "population"))
    apart = (moving - exact).abs().round(DECIMALS)
    return outcome(apart <= WITHIN_OF_EXACT, apart.notna())


def _at(sources: Sources, statistics: str, batch_size: int | None = None, early: bool = False) -> "pd.Series[float]":
    """Return accuracies under one kind of statistics at the last step, or at the last early one, by seed."""
    rows = sources.table("inference", "seed", "step", "statistics", "batch_size", "accuracy")
    steps = rows["step"][rows["step"] <= EARLY_STEP] if early else rows["step"]
    rows = rows[(rows["step"] == steps.max()) & (rows["statistics"] == statistics)]
    if batch_size is not None:
        rows = rows[rows["batch_size"] == batch_size]
    if rows.empty:
        raise AbsentError("inference")
    accuracies: pd.Series[float] = rows.set_index("seed")["accuracy"].astype(float)
    return accuracies
