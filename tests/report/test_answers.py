from typing import Any

import pandas as pd

from bnpipe.analysis.study_tables import study_summary_table
from bnpipe.report.answers import condition_answer, paper_answer, study_answer

PAIR = {"condition": "tanh", "arm": "batchnorm", "baseline": "vanilla", "n": 3, "n_diverged": 0}


def comparison(mean: float, low: float, high: float) -> pd.DataFrame:
    row = {**PAIR, "mean_difference": mean, "low": low, "high": high}
    return pd.DataFrame([row, row, {**row, "condition": "relu", "mean_difference": 0.9}])  # a row for each seed


def runs(vanilla: list[float | None], batchnorm: list[float | None], diverged: int = 0) -> pd.DataFrame:
    """Return runs by their steps to 90%, None if they do not get there; the first of vanilla diverged."""
    rows = [("tanh", "vanilla", steps, 7 if place < diverged else None) for place, steps in enumerate(vanilla)]
    rows += [("tanh", "batchnorm", steps, None) for steps in batchnorm]
    columns = ["condition", "arm", "steps_to_90", "first_nonfinite_step"]
    return pd.DataFrame(rows, columns=columns).astype({"steps_to_90": float})


def study(values: dict[Any, dict[str, list[float]]], key: str = "init_std", **columns: Any) -> pd.DataFrame:
    """Return the runs of a study by the value of its setting, by arm, by their final accuracies."""
    rows = [
        {key: value, "arm": arm, "seed": seed, "final_accuracy": accuracy}
        for value, arms in values.items()
        for arm, accuracies in arms.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    healthy = {"first_nonfinite_step": None, "state": "healthy", "first_bad_step": None, "first_bad_layer": None}
    return pd.DataFrame(rows).assign(**{**healthy, **columns})


def answer(table: pd.DataFrame, swept: list[str], stopped: bool = False) -> list[str]:
    return study_answer(study_summary_table(table, swept), table, swept, stopped)


def test_a_condition_says_where_its_arms_end_and_when_they_reach_90() -> None:
    (told,) = condition_answer("tanh", comparison(0.0123, 0.011, 0.0136), runs([1200, 1300, 1400], [800, 860, 900]))
    assert told == (
        "batchnorm ends 1.2 points higher than vanilla (95% interval 1.1 to 1.4). "
        "batchnorm reaches 90% after 860 steps and vanilla after 1,300 (medians)."
    )


def test_a_condition_says_lower_if_it_is_lower_and_alike_if_the_interval_holds_0() -> None:
    table = runs([None], [None])
    (lower,) = condition_answer("tanh", comparison(-0.02, -0.03, -0.01), table)
    assert lower == "batchnorm ends 2.0 points lower than vanilla (95% interval 1.0 to 3.0). No run reaches 90%."
    (alike,) = condition_answer("tanh", comparison(0.001, -0.01, 0.012), table)
    assert alike.startswith(
        "batchnorm and vanilla end alike: the interval of their mean difference (-1.0 to 1.2 points)"
    )


def test_a_single_pair_has_no_interval() -> None:
    (told,) = condition_answer("tanh", comparison(0.02, float("nan"), float("nan")), runs([60], [60]))
    assert told.startswith("batchnorm ends 2.0 points higher than vanilla, in a single pair. ")


def test_a_condition_says_what_diverged_and_who_alone_reaches_90() -> None:
    pairs = comparison(0.4, 0.3, 0.5)
    (some,) = condition_answer("tanh", pairs, runs([None, 1800.0], [900, 960], diverged=1))
    assert some.endswith(
        " 1 of 2 runs of vanilla diverge. 90% is reached by 2 of 2 batchnorm runs, after a median of 930 steps, "
        "and by 1 of 2 vanilla runs, after a median of 1,800 steps."
    )
    (all_of_them,) = condition_answer("tanh", pairs, runs([None, None], [900, 960], diverged=2))
    assert " Every run of vanilla diverges. " in all_of_them
    assert all_of_them.endswith(", and by none of 2 vanilla runs.")


def test_a_condition_of_one_arm_has_no_answer() -> None:
    assert condition_answer("other", comparison(0.1, 0.1, 0.1), runs([60], [60])) == []


def test_a_study_of_few_settings_lists_them_and_compares_arms() -> None:
    table = study(
        {
            0.1: {"vanilla": [0.80, 0.81, 0.82], "batchnorm": [0.90, 0.91, 0.92]},
            1: {"vanilla": [0.80, 0.81, 0.82], "batchnorm": [0.79, 0.81, 0.83]},
        }
    )
    assert answer(table, ["init_std"]) == [
        "vanilla ends at 81.0% (init std 0.1) and 81.0% (init std 1).",
        "batchnorm ends at 91.0% (init std 0.1) and 81.0% (init std 1). "
        "That is clearly higher than vanilla in 1 of 2 settings.",
    ]


def test_a_study_of_many_settings_tells_the_best_and_the_worst() -> None:
    table = study({rate: {"vanilla": [0.5 + rate / 10] * 2} for rate in (1, 2, 3, 4, 5)} | {6: {"vanilla": [0.1, 0.1]}})
    table = table.assign(arm=[*["vanilla"] * 12]).assign(other=1)
    told = answer(pd.concat([table, table.assign(arm="batchnorm", final_accuracy=0.9)]), ["init_std", "other"])
    assert told[0] == (
        "vanilla ends at 90% or more in 2 of 6 settings, at best at 100.0% (init std 5) and at worst at 10.0% "
        "(init std 6)."
    )
    assert told[1].endswith("That is clearly higher than vanilla in 4 and lower than vanilla in 1 of 6 settings.")


def test_a_study_of_one_arm_compares_the_values_of_its_last_setting() -> None:
    table = study({"before": {"batchnorm": [0.9, 0.91]}, "after": {"batchnorm": [0.9, 0.91]}}, "position")
    assert answer(table, ["position"]) == [
        "batchnorm with position before ends at 90.5%.",
        "batchnorm with position after ends at 90.5%. That is not clearly different from position before.",
    ]


def test_a_study_says_what_went_wrong_and_where_it_began() -> None:
    table = study({1: {"vanilla": [0.1, 0.1, 0.1]}}, state=["dead", "overflow", "healthy"])
    table = table.assign(first_bad_step=[600, 1, float("nan")], first_bad_layer=[3, 7, float("nan")])
    (told,) = answer(table, ["init_std"])
    assert told.endswith(" Of 3 runs, 1 end dead and 1 end in overflow; the earliest trouble is at step 1 in layer 7.")


def test_runs_that_stop_at_an_accuracy_are_told_by_their_steps() -> None:
    table = study({1: {"vanilla": [0.9, 0.9], "batchnorm": [0.9, 0.8]}}, steps_to_90=[1200, 1300, 800, None])
    assert answer(table, ["init_std"], stopped=True) == [
        "vanilla: 2 of 2 runs reach 90% after a median of 1,250 steps.",
        "batchnorm: 1 of 2 runs reach 90% after a median of 800 steps.",
    ]


def test_the_paper_is_answered_by_ends_and_the_step_at_which_batchnorm_passes() -> None:
    steps = {"vanilla": {0: 0.1, 500: 0.6, 1000: 0.7}, "batchnorm": {0: 0.1, 500: 0.8, 1000: 0.9}}
    rows = [
        (arm, seed, step, value) for arm, curve in steps.items() for seed in (1, 2) for step, value in curve.items()
    ]
    table = pd.DataFrame(rows, columns=["arm", "seed", "step", "accuracy"])
    assert paper_answer(table) == [
        "After 1,000 steps vanilla is at 70.0% and batchnorm at 90.0%, on average over 2 seeds.",
        "batchnorm first reaches vanilla's final accuracy after 500 steps.",
    ]
    worse = table.assign(accuracy=table["accuracy"].where(table["arm"] == "vanilla", 0.1))
    assert paper_answer(worse)[1] == "batchnorm never reaches vanilla's final accuracy."
