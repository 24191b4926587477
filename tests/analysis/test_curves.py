import math

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.curves import detrended_spread, updates_of_runs, updates_to


def test_updates_are_interpolated_between_evaluations_and_count_from_one() -> None:
    # 0.9 is two thirds of the way from 0.7 to 1.0, so from 61 updates to 121 it is at 101.
    assert updates_to([0, 60, 120], [0.1, 0.7, 1.0]) == pytest.approx(101)
    assert updates_to([0, 60, 120], [0.1, 0.7, 0.9]) == pytest.approx(121)
    assert updates_to([0, 60, 120], [0.1, 0.5, 0.7], level=0.3) == pytest.approx(31)


def test_a_curve_that_starts_at_the_level_needs_what_its_first_evaluation_does() -> None:
    assert updates_to([0, 60], [0.95, 0.97]) == 1
    assert updates_to([59, 119], [0.9, 0.97]) == 60


def test_one_lucky_evaluation_does_not_reach_the_level() -> None:
    # Without a falling part, 0.94 and 0.8 become 0.87 twice; from there 0.9 is half of the way to 0.93.
    assert updates_to([0, 60, 120, 180], [0.1, 0.94, 0.8, 0.93]) == pytest.approx(151)
    assert math.isnan(updates_to([0, 60, 120], [0.1, 0.94, 0.8]))


def test_a_dip_after_the_level_hardly_delays_it() -> None:
    # 0.96 and 0.9 become 0.93 twice: 0.9 is at 3/4 of the way from 0.81 to it.
    assert updates_to([0, 60, 120], [0.81, 0.96, 0.9]) == pytest.approx(46)


def test_a_level_that_is_never_reached_is_not_known() -> None:
    assert math.isnan(updates_to([0, 60], [0.1, 0.89]))


# Each four of these are orthogonal to every straight line: their sum is 0, and so is 0 - 1 - 2 + 3.
ABOUT_A_LINE = np.tile([0.01, -0.01, -0.01, 0.01], 10)


def test_the_spread_is_about_a_line_in_the_last_quarter() -> None:
    steps = np.arange(0, 1600, 10)  # the last quarter begins at 1192.5: 40 evaluations, from 1200 to 1590
    early = np.tile([0.1, 0.9], 60)
    late = 0.9 + 1e-5 * steps[120:] + ABOUT_A_LINE
    # 40 squares of 0.01, over 38
    assert detrended_spread(steps, [*early, *late]) == pytest.approx(0.01 * math.sqrt(40 / 38))


def test_what_is_left_of_a_climb_is_small() -> None:
    steps = np.arange(0, 2000, 10)
    late = np.maximum(0, (steps - 1500) / 490)
    assert detrended_spread(steps, 1 - 0.1 * 0.8**late) == pytest.approx(0.00018, rel=0.05)


def test_fewer_than_forty_evaluations_in_the_last_quarter_say_nothing() -> None:
    steps = np.arange(0, 1560, 10)  # from 1170 to 1550: 39
    assert math.isnan(detrended_spread(steps, np.full(156, 0.9)))
    assert detrended_spread(np.arange(0, 1590, 10), np.full(159, 0.9)) == pytest.approx(0, abs=1e-12)


def test_updates_of_runs_by_hand() -> None:
    curves = pd.DataFrame({"step": [0, 10, 0, 10], "accuracy": [0.8, 1.0, 0.1, 0.2], "seed": [43, 43, 42, 42]})
    table = updates_of_runs(curves.assign(arm="vanilla"), ["arm", "seed"])
    assert table[["arm", "seed"]].to_numpy().tolist() == [["vanilla", 43], ["vanilla", 42]]  # in their order
    # After 1 update 80%, after 11 updates 100%: 90% half-way.
    assert table["updates_to_90"].tolist() == pytest.approx([6, np.nan], nan_ok=True)
