"""The answer of a condition or a study, in plain sentences that are computed from its tables.

The sentences describe the runs. Only the claims are decided by a rule that was fixed beforehand. "Clearly" means that
two 95% intervals of means lie apart.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bnpipe.analysis.words import as_text, counted, in_words, listed, whole

GOAL = 0.9  # the accuracy of `steps_to_90`
MAX_LISTED = 4  # accuracies in a sentence; if there are more, it gives only the lowest and the highest
ENDS = {"saturated": "end saturated", "dead": "end dead", "overflow": "end in overflow"}


class Contrast(NamedTuple):
    """What the sentences about a study compare."""

    subjects: pd.Series  # of each row of the summary: the arm or, if there is one arm, the value of the last setting
    cells: pd.Series  # of each row: the values of the other settings in words; empty if there are none


def condition_answer(condition: str, comparison: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Say how the arms of a condition compare with the baseline: where they end, and when they reach 90%.

    comparison, runs: the tables of these names. Empty if the condition has a single arm.
    """
    of_condition = runs[runs["condition"] == condition]
    pairs = comparison[comparison["condition"] == condition].drop_duplicates("arm")
    return [_pair(row, of_condition) for row in pairs.to_dict("records")]


def study_answer(summary: pd.DataFrame, runs: pd.DataFrame, swept: Sequence[str], stopped: bool) -> list[str]:
    """Say in a sentence for each arm where its runs end, how it compares with the first arm, and what went wrong.

    If a study has a single arm, the sentences are about the values of its last swept setting instead. summary, runs:
    the study's tables of these names. swept: the names of the swept settings. stopped: whether runs stop at an
    accuracy, so that only the steps to it tell them apart.
    """
    if stopped:
        return list(_steps(runs, swept))
    contrast = _contrast(summary, swept)
    rows = summary.assign(subject=contrast.subjects, cell=contrast.cells)
    groups = list(rows.groupby("subject", sort=False))
    first, baseline = groups[0]
    return [
        f"{_who(str(subject), group)} ends at {_ends(group)}."
        f"{_compared(group, baseline, str(first)) if place else ''}{_went_wrong(group)}"
        for place, (subject, group) in enumerate(groups)
    ]


def paper_answer(accuracy: pd.DataFrame) -> list[str]:
    """Say where the networks of the paper's experiment end, and when batchnorm reaches vanilla's final accuracy.

    accuracy: the table of that experiment, of both arms.
    """
    curves = accuracy.pivot_table("accuracy", index="step", columns="arm").dropna()
    last, seeds = curves.iloc[-1], accuracy["seed"].nunique()
    ends = f"After {whole(curves.index[-1])} steps vanilla is at {_share(last['vanilla'])} and batchnorm at "
    told = f"{ends}{_share(last['batchnorm'])}, on average over {counted(seeds, 'seed')}."
    passed = curves.index[curves["batchnorm"] >= last["vanilla"]]
    if passed.empty:
        return [told, "batchnorm never reaches vanilla's final accuracy."]
    return [told, f"batchnorm first reaches vanilla's final accuracy after {whole(passed[0])} steps."]


def _pair(row: dict[Any, Any], runs: pd.DataFrame) -> str:
    arm, baseline = (runs[runs["arm"] == row[key]] for key in ("arm", "baseline"))
    return (
        f"{_difference(row)}{_diverged(row['baseline'], baseline)}{_diverged(row['arm'], arm)} {_reach(arm, baseline)}"
    )


def _difference(row: dict[Any, Any]) -> str:
    arm, baseline, mean = row["arm"], row["baseline"], row["mean_difference"]
    way = "higher" if mean > 0 else "lower"
    size = f"{abs(100 * mean):.1f} points"
    if pd.isna(mean):
        return f"No pair of {arm} and {baseline} can be compared."
    if pd.isna(row["low"]):
        return f"{arm} ends {size} {way} than {baseline}, in a single pair."
    interval = " to ".join(f"{end:.1f}" for end in sorted(100 * row[key] for key in ("low", "high")))
    if row["low"] <= 0 <= row["high"]:
        return f"{arm} and {baseline} end alike: the interval of their mean difference ({interval} points) contains 0."
    ends = sorted(abs(100 * row[key]) for key in ("low", "high"))
    return f"{arm} ends {size} {way} than {baseline} (95% interval {ends[0]:.1f} to {ends[1]:.1f})."


def _diverged(arm: str, runs: pd.DataFrame) -> str:
    count = int(runs["first_nonfinite_step"].notna().sum())
    if not count:
        return ""
    who = f"Every run of {arm} diverges" if count == len(runs) else f"{count} of {len(runs)} runs of {arm} diverge"
    return f" {who}."


def _reach(arm: pd.DataFrame, baseline: pd.DataFrame) -> str:
    """Say how many runs of two arms reach 90%, and when."""
    sides = [(group["arm"].iloc[0], group["steps_to_90"], group["steps_to_90"].dropna()) for group in (arm, baseline)]
    if all(reached.empty for _, _, reached in sides):
        return "No run reaches 90%."
    if all(len(reached) == len(steps) for _, steps, reached in sides):
        (name, _, own), (other, _, others) = sides
        medians = whole(own.median()), whole(others.median())
        return f"{name} reaches 90% after {medians[0]} steps and {other} after {medians[1]} (medians)."
    parts = []
    for name, steps, reached in sides:
        when = f", after a median of {whole(reached.median())} steps" if len(reached) else ""
        parts.append(f"{len(reached) or 'none'} of {len(steps)} {name} runs{when}")
    return f"90% is reached by {parts[0]}, and by {parts[1]}."


def _steps(runs: pd.DataFrame, swept: Sequence[str]) -> Iterator[str]:
    contrast = _contrast(runs, swept)
    for (subject, cell), group in runs.groupby([contrast.subjects, contrast.cells], sort=False):
        reached = group["steps_to_90"].dropna()
        when = f" after a median of {whole(reached.median())} steps" if len(reached) else ""
        where = f" ({cell})" if cell else ""
        yield f"{_who(str(subject), group)}{where}: {len(reached)} of {len(group)} runs reach 90%{when}."


def _contrast(table: pd.DataFrame, swept: Sequence[str]) -> Contrast:
    varied = [key for key in swept if len({*table[key]}) > 1]
    if len({*table["arm"]}) > 1 or not varied:
        return Contrast(table["arm"], _in_words(table, varied))
    return Contrast(_in_words(table, varied[-1:]), _in_words(table, varied[:-1]))


def _in_words(table: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """Name the values of each row in these columns."""
    words = pd.Series("", index=table.index)
    for place, key in enumerate(keys):
        words = words + (", " if place else "") + in_words(key) + " " + table[key].map(as_text)
    return words


def _who(subject: str, rows: pd.DataFrame) -> str:
    """Name the networks of a subject: an arm, or the only arm with a value of the last setting."""
    arm = str(rows["arm"].iloc[0])
    return arm if subject == arm else f"{arm} with {subject}"


def _ends(group: pd.DataFrame) -> str:
    """Write where the runs of one subject end. group: its rows of the summary, with `cell`."""
    if len(group) == 1:
        return _share(group["mean"].iloc[0])
    if len(group) <= MAX_LISTED:
        return listed([f"{_share(mean)} ({cell})" for mean, cell in zip(group["mean"], group["cell"], strict=True)])
    rows = group.to_dict("records")
    lowest, highest = (choose(rows, key=lambda row: row["mean"]) for choose in (min, max))
    return (
        f"{GOAL:.0%} or more in {(group['mean'] >= GOAL).sum()} of {len(group)} settings, "
        f"at best at {_share(highest['mean'])} ({highest['cell']}) and at worst at {_share(lowest['mean'])} "
        f"({lowest['cell']})"
    )


def _compared(group: pd.DataFrame, baseline: pd.DataFrame, name: str) -> str:
    """Say in how many settings the interval of the mean lies apart from that of the baseline, and on which side."""
    pairs = group.merge(baseline, on="cell", suffixes=("", "_baseline")).dropna(subset=["low", "low_baseline"])
    if pairs.empty:
        return ""
    higher = int((pairs["low"] > pairs["high_baseline"]).sum())
    lower = int((pairs["high"] < pairs["low_baseline"]).sum())
    if len(pairs) == 1:
        way = "clearly higher than" if higher else "clearly lower than" if lower else "not clearly different from"
        return f" That is {way} {name}."
    if not higher and not lower:
        return f" That is not clearly different from {name} in any of {len(pairs)} settings."
    told = [f"higher than {name} in {higher}"] * bool(higher) + [f"lower than {name} in {lower}"] * bool(lower)
    return f" That is clearly {' and '.join(told)} of {len(pairs)} settings."


def _went_wrong(group: pd.DataFrame) -> str:
    """Say how many runs did not end healthy, and where the earliest trouble began."""
    told = [f"{int(group[state].sum())} {end}" for state, end in ENDS.items() if group[state].sum()]
    if not told:
        return ""
    first = group.dropna(subset="first_bad_layer").sort_values(["first_bad_step", "first_bad_layer"])
    where = ""
    if len(first):
        step, layer = (whole(first[key].iloc[0]) for key in ("first_bad_step", "first_bad_layer"))
        where = f"; the earliest trouble is at step {step} in layer {layer}"
    return f" Of {int(group['n'].sum())} runs, {listed(told)}{where}."


def _share(share: float) -> str:
    return f"{share:.1%}"
