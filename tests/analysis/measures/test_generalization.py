import math
from typing import Any

import pytest

from bnpipe.analysis.generalization import LEVELS
from bnpipe.analysis.measures import generalization
from bnpipe.analysis.measures.sources import AbsentError
from tests.analysis.measures.made_up import sources, values

COLUMNS = "seed arm training_images normalize_logits level gap"


def rows_of(seed: int, vanilla: list[float], batchnorm: list[float], images: str = "2000") -> list[tuple[Any, ...]]:
    return [
        (seed, arm, images, True, level, gap)
        for arm, gaps in (("vanilla", vanilla), ("batchnorm", batchnorm))
        for level, gap in zip(LEVELS, gaps, strict=True)
    ]


def test_the_gap_is_compared_as_a_share_of_vanillas() -> None:
    rows = [
        *rows_of(1, [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.2, 0.3]),  # means 0.25 and 0.2
        *rows_of(2, [0.1, 0.2, 0.3, math.nan], [0.1, 0.2, 0.2, 0.3]),  # vanilla does not reach the last level
        *rows_of(3, [-0.1, 0.0, 0.0, 0.0], [0.1, 0.2, 0.2, 0.3]),  # vanilla has no gap
        *rows_of(1, [9, 9, 9, 9], [0, 0, 0, 0], images="all"),
    ]
    found = generalization.smaller_gap(sources("regularization", COLUMNS, rows))
    assert values(found) == pytest.approx({1: 0.2, 2: math.nan, 3: math.nan}, nan_ok=True)


def test_runs_on_few_images_at_other_levels_or_none_measure_nothing() -> None:
    rows = rows_of(1, [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.2, 0.3])
    for absent in (rows_of(1, [1, 1, 1, 1], [1, 1, 1, 1], images="all"), [row for row in rows if row[4] != LEVELS[0]]):
        with pytest.raises(AbsentError):
            generalization.smaller_gap(sources("regularization", COLUMNS, absent))
