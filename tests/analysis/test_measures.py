import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis import measures
from bnpipe.analysis.measures import AbsentError, Sources

CONDITIONS = {
    "plain": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
    "rectified": {"activation": "relu", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
    "wide": {"activation": "tanh", "learning_rate": 0.01, "init_std": 1.0, "steps": 5000},
    "wide_relu": {"activation": "relu", "learning_rate": 0.01, "init_std": 1, "steps": 5000},
}


def sources(name: str, columns: str, rows: list[tuple[Any, ...]], **others: pd.DataFrame) -> Sources:
    """Return a table of these rows; columns: their names, apart by spaces."""
    return Sources({name: pd.DataFrame(rows, columns=columns.split()), **others}, CONDITIONS)


def values(pairs: pd.DataFrame) -> Mapping[int, float]:
    assert list(pairs.columns) == measures.PAIR_COLUMNS
    return dict(zip(pairs["pair"], pairs["value"], strict=True))


RUNS = "condition arm seed steps_to_90 final_accuracy first_nonfinite_step state"


def runs(*rows: tuple[str, str, int, float | None, float, float | None]) -> Sources:
    return sources("runs", RUNS, [(*row, "healthy") for row in rows])


def test_updates_to_90_count_from_one_and_are_censored_at_the_budget() -> None:
    pairs = measures.updates_to_90(
        runs(
            ("plain", "vanilla", 42, 1199, 0.9, None),
            ("plain", "batchnorm", 42, 599, 0.9, None),
            ("plain", "vanilla", 43, None, 0.8, None),
            ("plain", "batchnorm", 43, 499, 0.9, None),
            ("plain", "vanilla", 44, 0, 0.9, None),
            ("plain", "batchnorm", 44, None, 0.8, 7),
            ("plain", "vanilla", 45, None, 0.8, None),
            ("plain", "batchnorm", 45, None, 0.8, None),
            ("plain", "layernorm", 42, 9, 0.9, 3),
            ("wide", "vanilla", 42, 9, 0.9, 3),
        ),
        "tanh",
    )
    assert values(pairs) == pytest.approx(
        {42: math.log(2), 43: math.log(4), 44: -math.log(2000), 45: math.nan}, nan_ok=True
    )
    assert pairs["diverged"].tolist() == [False, False, True, False]


def test_steps_to_90_may_all_be_empty() -> None:
    rows = [("plain", arm, 42, pd.NA) for arm in measures.PAIR]
    table = pd.DataFrame(rows, columns=["condition", "arm", "seed", "steps_to_90"]).astype({"steps_to_90": "Int64"})
    found = measures.updates_to_90(Sources({"runs": table.assign(first_nonfinite_step=np.nan)}, CONDITIONS), "tanh")
    assert found["value"].isna().all()


def test_time_is_updates_times_the_median_step() -> None:
    steps = runs(("plain", "vanilla", 42, 1199, 0.9, None), ("plain", "batchnorm", 42, 599, 0.9, None))
    of_arm = {"activation": ["tanh"] * 3 + ["relu"], "arm": "vanilla", "seconds": [1.0, 9.0, 2.0, 70.0]}
    seconds = pd.concat(
        [pd.DataFrame(of_arm), pd.DataFrame({**of_arm, "arm": "batchnorm", "seconds": [3.0, 0.1, 5.0, 80]})]
    )
    pairs = measures.time_to_90(Sources({**steps.tables, "step_time": seconds}, CONDITIONS), "tanh")
    assert values(pairs) == pytest.approx({42: math.log(2 * 2 / 3)})  # medians 2 and 3
    with pytest.raises(AbsentError):
        measures.time_to_90(
            Sources({**steps.tables, "step_time": seconds[seconds["activation"] == "relu"]}, CONDITIONS), "tanh"
        )


def test_final_accuracy_is_batchnorms_minus_vanillas() -> None:
    table = runs(
        ("wide", "batchnorm", 43, None, 0.7, None),
        ("wide", "vanilla", 43, None, 0.4, 1),
        ("wide", "vanilla", 42, None, 0.3, None),
        ("wide", "batchnorm", 42, None, 0.8, None),
    )
    pairs = measures.final_accuracy(table, activation="tanh", learning_rate=0.01, init_std=1)
    assert values(pairs) == pytest.approx({42: 0.5, 43: 0.3})
    assert pairs["diverged"].tolist() == [False, True]


def test_weights_are_other_weights_beyond_rounding() -> None:
    table = sources("scale_equivalence", "seed relative_difference", [(42, 1e-13), (43, 1e-11)])
    assert values(measures.weights_differ(table)) == {42: 0, 43: 1}


GRID = "learning_rate init_std arm seed final_accuracy best_accuracy first_nonfinite_step"


def grid(*rows: tuple[float, float, str, float, float, float | None]) -> Sources:
    return sources("learning_rate_and_init", GRID, [(*row[:3], 42, *row[3:]) for row in rows])


def test_the_largest_learning_rate_is_finite_and_passes_90() -> None:
    table = grid(
        (0.01, 0.1, "batchnorm", 0.95, 0.95, None),
        (0.01, 0.1, "vanilla", 0.95, 0.95, None),
        (0.1, 0.1, "batchnorm", 0.95, 0.95, None),
        (0.1, 0.1, "vanilla", 0.95, 0.95, 80),
        (1.0, 0.1, "batchnorm", 0.8, 0.9, None),
        (1.0, 0.1, "vanilla", 0.95, 0.89, None),
        (10.0, 1.0, "batchnorm", 0.95, 0.95, None),
        (10.0, 1.0, "vanilla", 0.1, 0.1, None),
    )
    assert values(measures.largest_learning_rate(table)) == pytest.approx({42: 2})


def test_where_no_learning_rate_works_it_counts_as_a_grid_step_below_the_smallest() -> None:
    table = grid(
        (0.01, 0.1, "batchnorm", 0.95, 0.95, None),
        (0.01, 0.1, "vanilla", 0.5, 0.5, None),
        (0.1, 0.1, "batchnorm", 0.95, 0.95, None),
        (0.1, 0.1, "vanilla", 0.5, 0.5, None),
    )
    assert values(measures.largest_learning_rate(table)) == pytest.approx({42: 2})


def test_accuracy_spread_is_over_initializations_at_one_learning_rate() -> None:
    table = grid(
        (0.01, 0.1, "batchnorm", 0.9, 0.9, None),
        (0.01, 0.1, "vanilla", 0.9, 0.9, None),
        (0.01, 1.0, "batchnorm", 0.7, 0.9, None),
        (0.01, 1.0, "vanilla", 0.3, 0.9, 5),
        (0.01, 0.3, "batchnorm", 0.8, 0.9, None),
        (0.01, 0.3, "vanilla", 0.8, 0.9, None),
        (0.1, 1.0, "batchnorm", 0.0, 0.9, None),
        (0.1, 1.0, "vanilla", 0.0, 0.9, None),
    )
    pairs = measures.accuracy_spread(table)
    assert values(pairs) == pytest.approx({42: 0.6 - 0.2})
    assert pairs["diverged"].tolist() == [True]


def test_a_grid_without_another_value_decides_nothing() -> None:
    table = grid((0.01, 0.1, "batchnorm", 0.9, 0.9, None), (0.01, 0.1, "vanilla", 0.9, 0.9, None))
    for measure in (measures.largest_learning_rate, measures.accuracy_spread):
        with pytest.raises(AbsentError):
            measure(table)


def test_accuracy_kept_is_taken_at_the_last_common_step() -> None:
    rows = [("plain", 0, 0.1), ("plain", 60, 0.9), ("wide", 0, 0.1), ("wide", 60, 0.5), ("wide", 120, 0.7)]
    curves = [(name, "batchnorm", 42, step, accuracy) for name, step, accuracy in rows]
    ends = runs(("plain", "batchnorm", 42, None, 0.9, None), ("wide", "batchnorm", 42, None, 0.7, 4))
    pairs = measures.accuracy_kept(sources("accuracy", "condition arm seed step accuracy", curves, **ends.tables))
    assert values(pairs) == pytest.approx({42: -0.4})
    assert pairs["diverged"].tolist() == [True]


def test_the_generalization_gap_is_vanillas_minus_batchnorms() -> None:
    rows: list[tuple[Any, ...]] = [
        (42, arm, images, normalized, gap)
        for images, normalized, vanilla, batchnorm in (
            ("all", True, 0.3, 0.1),
            ("2000", True, 0.5, 0.1),
            ("2000", False, 0.5, 0.2),
        )
        for arm, gap in (("vanilla", vanilla), ("batchnorm", batchnorm))
    ]
    table = sources("regularization", "seed arm training_images normalize_logits gap", rows)
    for which, expected in (((True, True), 0.2), ((False, True), 0.4), ((False, False), 0.3)):
        assert values(measures.generalization_gap(table, *which)) == pytest.approx({42: expected})
    with pytest.raises(AbsentError):
        measures.generalization_gap(table, all_images=True, normalize_logits=False)


def curve(arm: str, seed: int, early: float, late: list[float]) -> list[tuple[Any, ...]]:
    """Return a curve of 13 evaluations, the last four of which stand in the last quarter."""
    return [("plain", arm, seed, 60 * i, accuracy) for i, accuracy in enumerate([early] * 9 + late)]


def test_volatility_without_lag_is_of_the_accuracies_under_the_statistics_of_a_probe() -> None:
    zigzag, calm = [0.82, 0.92, 0.82, 0.92], [0.9, 0.95, 0.9, 0.95]
    rows: list[tuple[Any, ...]] = [(*keys, accuracy, np.nan) for *keys, accuracy in curve("vanilla", 42, 0.9, zigzag)]
    rows += [(*keys, np.nan, accuracy) for *keys, accuracy in curve("batchnorm", 42, 0.9, calm)]
    table = sources("accuracy", "condition arm seed step moving_accuracy population_accuracy", rows)
    assert values(measures.volatility(table, "tanh", without_lag=True)) == pytest.approx({42: math.log(2)})


def test_volatility_is_of_second_differences_in_the_last_quarter() -> None:
    # Second differences of 0.8, 0.9, 0.8, 0.9 are -0.2 and 0.2; of the others half as much.
    zigzag, calm, line = [0.82, 0.92, 0.82, 0.92], [0.9, 0.95, 0.9, 0.95], [0.9, 0.9, 0.9, 0.9]
    rows = [
        *curve("vanilla", 42, 0.1, zigzag),
        *curve("batchnorm", 42, 0.9, calm),
        *curve("vanilla", 43, 0.1, [0.8, 0.9, 0.9, 0.9]),
        *curve("batchnorm", 43, 0.9, calm),
        *curve("vanilla", 44, 0.1, zigzag),
        *curve("batchnorm", 44, 0.9, line),
        *curve("vanilla", 45, 0.1, line),
        *curve("batchnorm", 45, 0.9, line),
    ]
    found = measures.volatility(sources("accuracy", "condition arm seed step accuracy", rows[::-1]), "tanh")
    expected = {42: math.log(2), 43: math.nan, 44: math.inf, 45: math.nan}
    assert values(found) == pytest.approx(expected, nan_ok=True)


def test_dead_units_are_counted_by_run() -> None:
    rows = [
        ("wide_relu", "vanilla", 42, None, 0.1, 1, "overflow"),
        ("wide_relu", "vanilla", 43, None, 0.1, None, "dead"),
        ("wide_relu", "vanilla", 44, None, 0.1, None, "unknown"),
        ("wide_relu", "batchnorm", 45, None, 0.1, None, "dead"),
    ]
    found = measures.dead_units(sources("runs", RUNS, rows))
    assert values(found) == pytest.approx({42: 0, 43: 1, 44: math.nan}, nan_ok=True)


def test_gradient_growth_is_off_either_way() -> None:
    columns = "condition arm seed gradient_slope"
    rows = [("rectified", "batchnorm", 42, 0.3), ("rectified", "batchnorm", 43, -0.2), ("plain", "batchnorm", 42, 9)]
    assert values(measures.gradient_growth(sources("initialization", columns, rows), "relu")) == {42: -0.3, 43: -0.2}


def test_orthogonality_is_vanillas_gap_minus_batchnorms() -> None:
    rows = [("wide", "vanilla", 42, 0.9), ("wide", "batchnorm", 42, 0.2), ("plain", "vanilla", 42, 0.0)]
    table = sources("initialization", "condition arm seed orthogonality_gap", rows)
    assert values(measures.orthogonality(table, activation="tanh", init_std=1)) == pytest.approx({42: 0.7})


def test_covariate_shift_is_averaged_over_steps_and_layers() -> None:
    changes = {"vanilla": (0.1, 0.3, np.nan), "batchnorm": (0.2, 0.6, 0.4)}
    rows = [("plain", arm, 42, change) for arm, several in changes.items() for change in several]
    table = sources("covariate_shift", "condition arm seed relative_change", rows)
    assert values(measures.covariate_shift(table, "tanh")) == pytest.approx({42: math.log(0.2 / 0.4)})


@pytest.mark.parametrize(("last", "expected"), [(False, -0.5), (True, -0.01)])
def test_inference_is_compared_early_and_at_the_end(last: bool, expected: float) -> None:
    accuracies = {29: (0.1, 0.9), 50: (0.3, 0.8), 120: (0.5, 0.9), 600: (0.92, 0.91)}
    rows: list[tuple[Any, ...]] = [(42, 600, "batch", 0.0), (42, 600, "batch", 0.5)]
    for step, (moving, population) in accuracies.items():
        rows += [(42, step, "moving_biased", moving), (42, step, "population", population)]
    table = sources("inference", "seed step statistics accuracy", rows)
    assert values(measures.inference_accuracy(table, last)) == pytest.approx({42: expected})


def test_what_is_absent_is_said_to_be() -> None:
    table = runs(("plain", "vanilla", 42, 60, 0.9, None), ("wide", "vanilla", 42, 60, 0.9, None))
    with pytest.raises(AbsentError):  # the arm
        measures.updates_to_90(table, "tanh")
    with pytest.raises(AbsentError):  # the condition
        measures.final_accuracy(table, activation="tanh", learning_rate=1, init_std=1)
    with pytest.raises(AbsentError):  # the column
        table.rows("runs", "gap")
    with pytest.raises(AbsentError):  # the table
        measures.generalization_gap(table, all_images=True, normalize_logits=True)
    with pytest.raises(AbsentError):  # the rows of a condition that was not run
        measures.dead_units(table)


def test_a_condition_that_sets_something_unusual_is_another_one() -> None:
    usual = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 100}
    found = Sources({}, {"without_logits": {**usual, "normalize_logits": False}, "renamed": usual})
    assert found.condition(activation="tanh", init_std=0.1) == "renamed"
