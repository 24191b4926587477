import math
from typing import Any

import pandas as pd
import pytest

from bnpipe.analysis.measures import steps
from bnpipe.analysis.measures.sources import AbsentError, Sources
from tests.analysis.measures.made_up import CONDITIONS, censored, sources, trials, values

Rows = list[tuple[Any, ...]]
TRANSFERS = "activation arm seed step accuracy"


def reaching(updates: float | None, budget: int, *keys: object) -> Rows:
    """Return a curve from 0 at step 0 that is at 0.9 after this many updates, or never, and ends with the budget."""
    if updates is None:
        return [(*keys, 0, 0.0), (*keys, budget - 1, 0.85)]
    at_the_end = 0.9 * (budget - 1) / (updates - 1)  # on a straight line
    return [(*keys, 0, 0.0), (*keys, budget - 1, at_the_end)]


def arms(of: str, **updates: list[float | None]) -> Rows:
    """Return curves with a budget of 1,000 updates, of seeds from 1 on."""
    return [
        row
        for arm, several in updates.items()
        for seed, number in enumerate(several, start=1)
        for row in reaching(number, 1000, *([of] if of else []), arm, seed)
    ]


def test_updates_are_compared_and_censored() -> None:
    rows = arms("plain", vanilla=[800, None, 600, None], batchnorm=[400, 500, None, None])
    found = steps.at_the_fixed_rate(sources("accuracy", "condition arm seed step accuracy", rows), "tanh")
    # A network that made 1,000 updates without getting there needs more.
    expected = {1: math.log(2), 2: math.log(2), 3: math.log(0.6), 4: math.nan}
    assert values(found) == pytest.approx(expected, nan_ok=True)
    assert censored(found) == {1: "", 2: "above", 3: "below", 4: "both"}


def test_a_seed_that_one_arm_lacks_is_not_known() -> None:
    rows = arms("plain", vanilla=[800, 800], batchnorm=[400])
    found = steps.at_the_fixed_rate(sources("accuracy", "condition arm seed step accuracy", rows), "tanh")
    assert values(found) == pytest.approx({1: math.log(2), 2: math.nan}, nan_ok=True)
    assert censored(found)[2] == ""


def times(processes: int) -> pd.DataFrame:
    """Return step times: in process i batchnorm takes 1 + i / 10 times as long with tanh, and 9 times with relu."""
    rows: Rows = []
    for process in range(processes):
        for activation, slower in (("tanh", 1 + process / 10), ("relu", 9)):
            rows += [(activation, "vanilla", process, 2.0), (activation, "batchnorm", process, 2.0 * slower)]
    return pd.DataFrame(rows, columns=["activation", "arm", "process", "seconds"])


@pytest.mark.parametrize(("processes", "ratio"), [(6, 1.5), (10, 1.8)])  # the last of 6, the ninth of 10
def test_time_is_taken_at_the_worse_end_of_the_step_times(processes: int, ratio: float) -> None:
    rows = arms("plain", vanilla=[800, None], batchnorm=[400, 500])
    table = sources("accuracy", "condition arm seed step accuracy", rows, step_time=times(processes))
    found = steps.time_at_the_fixed_rate(table, "tanh")
    assert values(found) == pytest.approx({1: math.log(2 / ratio), 2: math.log(2 / ratio)})
    assert censored(found) == {1: "", 2: "above"}


def test_five_processes_have_no_interval() -> None:
    with pytest.raises(AbsentError):
        steps.step_time_ratio(Sources({"step_time": times(5)}, CONDITIONS), "tanh")


def test_entrants_are_compared_by_name() -> None:
    entrants = {"tanh-vanilla-xavier": [600.0], "tanh-batchnorm": [300.0], "relu-vanilla": [9.0]}
    rows = arms("", **entrants)  # type: ignore[arg-type]
    tuned = trials("tanh-vanilla-xavier", "tanh-batchnorm", "relu-vanilla")
    table = sources("best_rate", "entrant seed step accuracy", rows, tuning=tuned)
    assert values(steps.at_the_best_rates(table, "tanh-vanilla-xavier", "tanh-batchnorm")) == {
        1: pytest.approx(math.log(2))
    }
    with pytest.raises(AbsentError):
        steps.at_the_best_rates(table, "tanh-vanilla", "tanh-batchnorm")


def test_a_best_rate_near_the_end_of_its_grid_decides_nothing() -> None:
    rows = arms("", **{"tanh-vanilla": [600.0], "tanh-batchnorm": [300.0]})  # type: ignore[arg-type]
    for edge in ("tanh-vanilla", "tanh-batchnorm"):
        (other,) = {"tanh-vanilla", "tanh-batchnorm"} - {edge}
        tuned = pd.concat([trials(edge, inside=False), trials(other)])
        table = sources("best_rate", "entrant seed step accuracy", rows, tuning=tuned)
        with pytest.raises(AbsentError):
            steps.at_the_best_rates(table, "tanh-vanilla", "tanh-batchnorm")


def test_noise_is_compared_with_vanilla() -> None:
    table = sources("transfers", TRANSFERS, arms("tanh", vanilla=[900], noisybatchnorm=[300], batchnorm=[9]))
    assert values(steps.noisy(table)) == {1: pytest.approx(math.log(3))}


@pytest.mark.parametrize(
    ("vanilla", "batchnorm", "firstbatch", "share", "known"),
    [
        (800, 400, 700, 0.25, ""),
        (800, 400, 900, -0.25, ""),
        (800, 400, 300, 1.25, ""),
        (400, 800, 700, math.nan, ""),  # batchnorm gains nothing
        (None, 400, 700, 0.5, "above"),  # of 600 updates or more, 300 fewer than those
        (None, 400, 300, 1, "above"),  # it beats batchnorm: more than all of the gain
        (800, 400, None, -0.5, "below"),
        (None, 400, None, math.nan, "both"),
        (800, None, 700, math.nan, "both"),
    ],
)
def test_the_first_batch_recovers_a_share_of_the_gain(
    vanilla: float | None, batchnorm: float | None, firstbatch: float | None, share: float, known: str
) -> None:
    rows = arms("tanh", vanilla=[vanilla], batchnorm=[batchnorm], firstbatch=[firstbatch])
    found = steps.recovered_by_first_batch(sources("transfers", TRANSFERS, rows))
    assert values(found) == pytest.approx({1: share}, nan_ok=True)
    assert censored(found) == {1: known}
