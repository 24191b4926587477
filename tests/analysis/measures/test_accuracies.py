import math
from typing import Any

import numpy as np
import pytest

from bnpipe.analysis.measures import accuracies
from bnpipe.analysis.measures.sources import AbsentError, Sources
from tests.analysis.measures.made_up import censored, sources, trials, values

Rows = list[tuple[Any, ...]]


def test_final_accuracy_is_batchnorms_minus_vanillas_diverged_or_not() -> None:
    rows = [("wide", "batchnorm", 1, 0.8), ("wide", "vanilla", 1, 0.0958), ("plain", "vanilla", 1, 0.9)]
    table = sources("runs", "condition arm seed final_accuracy", rows)
    assert values(accuracies.final(table, "tanh", 0.01, 1)) == pytest.approx({1: 0.7042})


def test_the_spread_is_over_initializations_at_one_learning_rate() -> None:
    rows = [
        (0.01, std, arm, 1, accuracy)
        for std, batchnorm, vanilla in ((0.1, 0.9, 0.9), (1.0, 0.7, 0.3), (0.3, 0.8, 0.8))
        for arm, accuracy in (("batchnorm", batchnorm), ("vanilla", vanilla))
    ]
    rows += [(0.1, 1.0, "batchnorm", 1, 0.0), (0.1, 1.0, "vanilla", 1, 0.0)]
    columns = "learning_rate init_std arm seed final_accuracy"
    table = sources("initializations", columns, rows)
    assert values(accuracies.spread_over_initializations(table)) == pytest.approx({1: 0.6 - 0.2})
    with pytest.raises(AbsentError):  # one init std alone has no spread
        accuracies.spread_over_initializations(sources("initializations", columns, rows[-2:] + rows[:2]))


def test_an_initialization_does_not_matter_within_five_points() -> None:
    rows: Rows = [
        (entrant, seed, accuracy)
        for entrant, several in (("tanh-batchnorm", (0.95, 0.95, 0.9)), ("tanh-batchnorm-1", (0.90, 0.89, 0.96)))
        for seed, accuracy in enumerate(several, start=1)
    ]
    columns, entrants = "entrant seed final_accuracy", ("tanh-batchnorm", "tanh-batchnorm-1")
    found = accuracies.initialization_no_longer_matters(sources("finals", columns, rows, tuning=trials(*entrants)))
    assert values(found) == {1: 1, 2: -1, 3: -1}  # 0.95 - 0.90 is 5 points, whatever floats make of it


RATES = [0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.178, 0.316]


def usable(vanilla: str, batchnorm: str) -> Any:
    """Return a study in which `x` marks the rates that are 1 point from the best, and `.` those farther away."""
    rows: Rows = [
        ("tanh", arm, 1, rate, 0.95 if place == 2 else 0.94 if mark == "x" else 0.93)
        for arm, marks in (("vanilla", vanilla), ("batchnorm", batchnorm))
        for place, (rate, mark) in enumerate(zip(RATES, marks, strict=True))
    ]
    return sources("usable_rates", "activation arm seed learning_rate final_accuracy", rows)


@pytest.mark.parametrize(
    ("vanilla", "batchnorm", "decades", "known"),
    [
        (".xx....", ".xxxxx.", 0.75, ""),
        (".xxxx..", ".xx....", -0.5, ""),
        (".xx....", ".xxxxxx", 1.0, "above"),
        ("xxx....", ".xxxxx.", 0.5, "below"),
        ("xxx....", ".xxxxxx", math.nan, "both"),
    ],
)
def test_usable_rates_are_counted_in_grid_steps(vanilla: str, batchnorm: str, decades: float, known: str) -> None:
    found = accuracies.usable_decades(usable(vanilla, batchnorm), "tanh")
    if not math.isnan(decades):
        assert values(found) == pytest.approx({1: decades})
    assert censored(found) == {1: known}


def test_a_seed_without_all_rates_is_not_known() -> None:
    rows = usable(".xx....", ".xxxxx.").tables["usable_rates"].drop(index=3)
    found = accuracies.usable_decades(Sources({"usable_rates": rows}, {}), "tanh")
    assert values(found) == pytest.approx({1: math.nan}, nan_ok=True)


ABOUT_A_LINE = np.tile([1, -1, -1, 1], 10)  # 40 evaluations, see the tests of `curves`


def dense(spreads: dict[tuple[str, int], float], evaluations: int = 160) -> Rows:
    """Return curves whose last 40 evaluations go up and down by a spread."""
    return [
        ("tanh", 1.0, arm, seed, 10 * i, 0.5 + (spread * ABOUT_A_LINE[i % 40] if i >= 120 else 0))
        for (arm, seed), spread in spreads.items()
        for i in range(evaluations)
    ]


def test_steadiness_is_the_ratio_of_the_spreads_in_the_last_quarter() -> None:
    spreads = {("vanilla", 1): 0.03, ("batchnorm", 1): 0.01, ("vanilla", 2): 0.0, ("batchnorm", 2): 0.01}
    columns = "activation init_std arm seed step accuracy"
    table = sources("steadiness", columns, dense(spreads)[::-1])
    assert values(accuracies.steadier(table, "tanh", 1.0)) == pytest.approx({1: math.log(3), 2: -math.inf})
    with pytest.raises(AbsentError):
        accuracies.steadier(table, "relu", 1.0)


def test_too_few_evaluations_in_the_last_quarter_measure_nothing() -> None:
    rows = dense({("vanilla", 1): 0.03, ("batchnorm", 1): 0.01}, evaluations=150)
    with pytest.raises(AbsentError):
        accuracies.steadier(sources("steadiness", "activation init_std arm seed step accuracy", rows), "tanh", 1.0)
