"""The chart of curves: every evaluation of the runs of the chosen conditions, arms and seeds."""

from collections.abc import Sequence
from typing import Any, get_args

import altair as alt
import pandas as pd

from bnpipe.core.settings import BuiltInArm
from bnpipe.figures.arms import COLOURS, LINE_STYLES
from bnpipe.report.explorer import Explorer, Inputs, arm_scale, as_spec, first_seeds, none_if_unknown

MAX_EVALUATIONS = 40_000  # in a chart: 0.8 MB of the page
MAX_STARTING = 4  # conditions of a single arm that are drawn at first
OF_CONDITIONS = tuple(COLOURS[arm] for arm in list(get_args(BuiltInArm))[:8])  # if there is a single arm
TICKS = "measure === 'loss' ? format(pow(10, datum.value), '.2~g') : datum.label"  # losses are drawn as logarithms


def explore_curves(name: str, accuracy: pd.DataFrame, conditions: Sequence[str], arms: Sequence[str]) -> Explorer:
    """Draw every evaluation of the runs of the chosen conditions, arms and seeds, over the chosen steps.

    name: the chart's. accuracy: the table of this name; if it has more than MAX_EVALUATIONS rows, only the first
    seeds are kept. conditions, arms: in the order in which they are offered.
    """
    runs = _curves(accuracy, conditions, arms)
    kept = first_seeds(runs, max(1, MAX_EVALUATIONS // int(runs["step"].map(len).max())))
    seeds = [str(seed) for seed in sorted(set(kept["seed"]))]
    last = max(steps[-1] for steps in kept["step"])
    shown = list(dict.fromkeys(kept["condition"]))
    inputs = Inputs(name)
    choices = [
        inputs.among("condition", shown, most_telling(kept, shown)),
        inputs.among("arm", arms, arms),
        inputs.among("seed", seeds, seeds),
    ]
    chart = _curves_chart([test for _, test in choices], arms, shown).add_params(
        *(param for params, _ in choices for param in params),
        inputs.choose("measure", "of", "measure", "accuracy", ["accuracy", "loss"]),
        inputs.slide("steps", "from", "first_step", 0, last),
        inputs.slide("steps", "to", "last_step", last, last),
    )
    groups = {"condition": "Conditions", "arm": "Arms", "seed": "Seeds", "measure": "Curves", "steps": "Steps"}
    return Explorer(name, as_spec(chart, kept), groups, (), len(kept), len(runs))


def dashes(arm: str) -> list[float]:
    """Return the dashes of an arm's lines, as Vega draws them."""
    line = LINE_STYLES[arm]
    return [1, 0] if line == "solid" else [1.5 * part for part in line[1]]


def most_telling(runs: pd.DataFrame, conditions: Sequence[str]) -> list[str]:
    """Choose what a chart starts with: the condition whose arms all learn and lie farthest apart.

    The mean curves give a score: how far the arm that learns least rises, times the mean distance between the highest
    and the lowest arm. If there is a single arm, conditions are compared with each other: all of them are chosen if
    they are few, otherwise the first and the last. runs: a row for each run, its curves as lists.
    """
    if len({*runs["arm"]}) == 1:
        return [*conditions] if len(conditions) <= MAX_STARTING else [conditions[0], conditions[-1]]
    flat = runs[["condition", "arm", "step", "accuracy"]].explode(["step", "accuracy"])
    means = flat.astype({"accuracy": float}).pivot_table("accuracy", index=["condition", "step"], columns="arm")
    by_condition = means.groupby("condition")
    rise = (by_condition.max() - by_condition.min()).min(axis="columns")
    distance = (means.max(axis="columns") - means.min(axis="columns")).groupby("condition").mean()
    told = (rise * distance).reindex([*conditions]).fillna(0)
    return [str(told.idxmax())]


def _curves(accuracy: pd.DataFrame, conditions: Sequence[str], arms: Sequence[str]) -> pd.DataFrame:
    """Put the curves of each run into one row, in the order of conditions, arms and seeds; unknown values are None."""
    ordered = {"condition": [*conditions], "arm": [*arms]}
    named = accuracy.astype({key: pd.CategoricalDtype(names, ordered=True) for key, names in ordered.items()})
    known = none_if_unknown(named[["step", "accuracy", "loss"]])
    runs = known.groupby([named["condition"], named["arm"], named["seed"]], observed=True).agg(list).reset_index()
    return runs.astype(dict.fromkeys(ordered, str))


def _curves_chart(tests: Sequence[str], arms: Sequence[str], conditions: Sequence[str]) -> Any:
    """Draw the curves that pass the tests: a line for each run, and the values nearest to the pointer.

    Colours tell arms apart or, if there is one arm and a colour for each condition, conditions.
    """
    legend = alt.Legend(symbolType="stroke", symbolSize=400, labelLimit=400)
    by_condition = len(arms) == 1 and 1 < len(conditions) <= len(OF_CONDITIONS)
    if by_condition:
        scale = alt.Scale(domain=[*conditions], range=[*OF_CONDITIONS[: len(conditions)]])
        colour = alt.Color("condition:N", title=None, scale=scale, legend=legend)
    else:
        colour = alt.Color("arm:N", title=None, scale=arm_scale(arms, COLOURS.__getitem__), legend=legend)
    chart = (
        alt.Chart(alt.NamedData("runs"))
        .transform_filter(" && ".join(tests))
        .transform_flatten(["step", "accuracy", "loss"])
        .transform_filter("first_step <= datum.step && datum.step <= last_step")
        .transform_calculate(
            value="measure === 'loss' ? (datum.loss > 0 ? log(datum.loss) / LN10 : null) : datum.accuracy",
            run="datum.condition + datum.arm + datum.seed",
        )
        .encode(
            x=alt.X(
                "step:Q", title="training step", scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(tickCount=10)
            ),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(minExtent=40, labelExpr=TICKS)),
            color=colour,
            strokeDash=alt.StrokeDash(
                "arm:N",
                title=None,
                scale=arm_scale(arms, dashes),
                legend=None if by_condition else alt.Undefined,  # colours tell conditions apart, and there is one arm
            ),
            detail="run:N",
        )
    )
    near = alt.selection_point(
        name="near", on="pointerover", nearest=True, fields=["run"], empty=False, clear="pointerout"
    )
    zoom = alt.selection_interval(name="zoom", bind="scales", zoom="wheel![event.ctrlKey]")
    lines = chart.mark_line(clip=True).encode(
        opacity=alt.when(near).then(alt.value(1)).otherwise(alt.value(0.6)),
        strokeWidth=alt.when(near).then(alt.value(3)).otherwise(alt.value(1.2)),
    )
    dots = chart.mark_circle(clip=True, size=36).encode(
        opacity=alt.when(near).then(alt.value(1)).otherwise(alt.value(0)),
        tooltip=[
            # Without a format, Vega-Lite 6.4 looks for texts in the area around the dot, where they are undefined.
            alt.Tooltip("condition:N", format="s", formatType="toString"),
            alt.Tooltip("arm:N", format="s", formatType="toString"),
            alt.Tooltip("seed:Q", format="d"),
            alt.Tooltip("step:Q", format=","),
            alt.Tooltip("accuracy:Q", format=".2%"),
            alt.Tooltip("loss:Q", format=".4g"),
        ],
    )
    layers = lines.properties(name="lines").add_params(zoom), dots.properties(name="dots").add_params(near)
    title = alt.TitleParams(
        alt.ExprRef("'Validation ' + measure + ' against training step' + (measure === 'loss' ? ', logarithmic' : '')")
    )
    fit = alt.AutoSizeParams(type="fit-x", contains="padding", resize=True)
    return alt.layer(*layers).properties(width="container", height=380, title=title, autosize=fit)
