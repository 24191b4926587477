from typing import Any

import pytest

from bnpipe.analysis.measures import inference
from bnpipe.analysis.measures.sources import AbsentError, Sources
from tests.analysis.measures.made_up import sources, values


def table(early: tuple[float, float], late: tuple[float, float], batch: float = 0.9) -> Sources:
    """Return accuracies of seed 1: moving averages and exact statistics, early and late."""
    rows: list[tuple[Any, ...]] = []
    for step, pair in ((29, (0.1, 0.9)), (60, early), (120, (0.2, 0.9)), (1980, late)):
        rows += [(1, step, "moving_biased", None, pair[0]), (1, step, "population", None, pair[1])]
        rows += [(1, step, "moving_unbiased", None, 0.0), (1, step, "batch", 60, batch if step == 1980 else 0)]
    rows.append((1, 1980, "batch", 2, 0.1))
    return sources("inference", "seed step statistics batch_size accuracy", rows)


def test_batch_statistics_are_compared_at_the_end() -> None:
    found = inference.lost_to_batch_statistics(table((0.5, 0.9), (0.93, 0.94), batch=0.905))
    assert values(found) == pytest.approx({1: 0.025})


@pytest.mark.parametrize(
    ("early", "late", "expected"),
    [((0.66, 0.69), (0.93, 0.94), (-1, 1)), ((0.69, 0.69), (0.95, 0.93), (1, -1))],
)
def test_moving_averages_do_within_a_point_either_way(
    early: tuple[float, float], late: tuple[float, float], expected: tuple[int, int]
) -> None:
    found = [inference.moving_averages_do(table(early, late), early=when) for when in (True, False)]
    assert [values(each)[1] for each in found] == [*expected]


def test_without_batches_of_sixty_nothing_is_lost_to_them() -> None:
    with pytest.raises(AbsentError):
        inference.lost_to_batch_statistics(
            sources("inference", "seed step statistics batch_size accuracy", [(1, 60, "moving_biased", None, 0.9)])
        )
