"""Whether batch normalization regularizes: the gap between validation and training loss at equal training loss.

Table: regularization with columns seed, arm, training_images, normalize_logits, level, gap, one row for each run and
level (`bnpipe.analysis.generalization`).
"""

import pandas as pd

from bnpipe.analysis.generalization import LEVELS
from bnpipe.analysis.measures.sources import AbsentError, Sources, lead, measured


def smaller_gap(sources: Sources) -> pd.DataFrame:
    """Take the gap on few images, vanilla minus batchnorm, as a share of vanilla's.

    The gap is the mean over the fixed levels of training loss. The value is not known if a run does not reach a level,
    or if vanilla has no gap to reduce.
    """
    rows = sources.rows("regularization", "training_images", "normalize_logits", "level", "gap")
    rows = rows[(rows["training_images"].astype(str) != "all") & rows["normalize_logits"].astype(bool)]
    rows = rows[rows["level"].isin(LEVELS)]
    if {*rows["level"]} != {*LEVELS}:
        raise AbsentError("regularization")
    groups = rows.groupby(["arm", "seed"])["gap"]
    gaps = groups.mean().where(groups.count() == len(LEVELS))
    of_vanilla = gaps.xs("vanilla")
    return measured((-lead(gaps) / of_vanilla).where(of_vanilla > 0))
