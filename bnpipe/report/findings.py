"""What the runs of a condition show, in sentences."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from bnpipe.analysis.words import percent, points


def findings(condition: str, summary: pd.DataFrame, comparison: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Say in sentences what the runs of a condition show: accuracies, differences, divergence, steps to 90%.

    summary, comparison, runs: the tables of these names.
    """
    of_condition = runs[runs["condition"] == condition]
    arms = [
        _arm(row, of_condition[of_condition["arm"] == row["arm"]])
        for row in summary[summary["condition"] == condition].to_dict("records")
    ]
    pairs = [
        f"{row['arm']} minus {row['baseline']}, seed by seed: {points(row['mean_difference'])} on average"
        f"{interval(row['low'], row['high'], points)}, {_pairs(row['n'], row['n_diverged'])}."
        for row in comparison[comparison["condition"] == condition].drop_duplicates("arm").to_dict("records")
    ]
    return arms + pairs


def interval(low: float, high: float, write: Callable[[float], str] = percent) -> str:
    """Write a 95% interval, or nothing if there is none (a single run)."""
    return "" if pd.isna(low) else f" (95% interval {write(low)} to {write(high)})"


def _arm(row: dict[Any, Any], runs: pd.DataFrame) -> str:
    """Say what the runs of an arm show. row: theirs in the table `summary`."""
    return (
        f"{row['arm']}: final validation accuracy {percent(row['mean'])} on average"
        f"{interval(row['low'], row['high'])}; {_reached(runs['steps_to_90'])}"
        f"{_divergence(runs['first_nonfinite_step'])}{_states(runs)}."
    )


def _reached(steps_to_90: pd.Series) -> str:
    reached = steps_to_90.dropna()
    if reached.empty:
        return "no run reaches 90%"
    return f"{len(reached)} of {len(steps_to_90)} runs reach 90%, after a median of {reached.median():,.0f} steps"


def _divergence(first_nonfinite_step: pd.Series) -> str:
    diverged = first_nonfinite_step.dropna()
    if diverged.empty:
        return ""
    if len(diverged) == len(first_nonfinite_step):
        return f"; all runs diverge, the first at step {diverged.min():.0f}"
    count = f"{len(diverged)} of {len(first_nonfinite_step)}"
    return f"; {count} runs diverge, the first at step {diverged.min():.0f}, and are left out of the mean"


def _states(runs: pd.DataFrame) -> str:
    """Say how many runs ended in each state that is not healthy, and where the first of them went wrong."""
    told = []
    for state, group in runs.dropna(subset="first_bad_layer").groupby("state"):
        first = group.sort_values(["first_bad_step", "first_bad_layer"]).iloc[0]
        end = "end in overflow" if state == "overflow" else f"end {state}"
        told.append(
            f"; {len(group)} of {len(runs)} runs {end}, which begins at the earliest at step "
            f"{first['first_bad_step']:.0f} in layer {first['first_bad_layer']:.0f}"
        )
    return "".join(told)


def _pairs(n: int, diverged: int) -> str:
    if diverged == 0:
        return f"over {n} pairs"
    if diverged == n:
        return f"over {n} pairs, in all of which a run diverged"
    return f"over {n - diverged} of {n} pairs: in the others a run diverged"
