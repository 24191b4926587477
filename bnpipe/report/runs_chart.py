"""The chart of a study's runs: how an outcome depends on the swept settings, as a map of means and run by run."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import altair as alt
import pandas as pd

from bnpipe.analysis.words import as_text, in_words
from bnpipe.figures.arms import COLOURS, MARKERS
from bnpipe.report.explorer import ALL, Explorer, Inputs, arm_scale, as_spec, first_seeds

MAX_RUNS = 2_000  # in a chart
OUTCOMES = {
    "final_accuracy": "final validation accuracy",
    "best_accuracy": "best validation accuracy",
    "test_accuracy": "test accuracy",
    "area_under_curve": "area under the curve",
    "steps_to_90": "steps to 90%",
    "final_training_loss": "final training loss",
    "healthy": "ended healthy (1) or not (0)",
}
# Vega's symbols by matplotlib's markers: names, or outlines between -1 and 1.
SYMBOLS = {
    "s": "square",
    "o": "circle",
    "D": "diamond",
    "P": "cross",
    "X": "stroke",
    "^": "triangle-up",
    "v": "triangle-down",
    "<": "triangle-left",
    ">": "triangle-right",
    "d": "M0,-1L0.6,0L0,1L-0.6,0Z",
    "p": "M0,-1L0.95,-0.31L0.59,0.81L-0.59,0.81L-0.95,-0.31Z",
    "*": "M0,-1L0.22,-0.31L0.95,-0.31L0.36,0.12L0.59,0.81L0,0.38L-0.59,0.81L-0.36,0.12L-0.95,-0.31L-0.22,-0.31Z",
    "H": "M1,0L0.5,0.87L-0.5,0.87L-1,0L-0.5,-0.87L0.5,-0.87Z",
    "8": "M0.38,-0.92L0.92,-0.38L0.92,0.38L0.38,0.92L-0.38,0.92L-0.92,0.38L-0.92,-0.38L-0.38,-0.92Z",
}


def explore_runs(name: str, runs: pd.DataFrame, swept: Sequence[str]) -> Explorer:
    """Show how the outcome of a study's runs depends on its swept settings: a map of means, and every run.

    name: the chart's. runs: the study's table of this name; if it has more than MAX_RUNS rows, only the first seeds are
    kept. The columns of the map are the values of one swept setting, at first of the one with the most values. Its rows
    are the arms with the values of all other settings, so that a mean is over seeds alone.
    """
    keys = [*swept, "arm"]
    kept = first_seeds(runs, MAX_RUNS)
    inputs = Inputs(name)
    across = max(swept, key=lambda key: runs[key].nunique())
    chart = _runs_chart(keys, list(dict.fromkeys(runs["arm"]))).add_params(
        inputs.choose("show", "outcome", "outcome", "final_accuracy", [*OUTCOMES], [*OUTCOMES.values()]),
        inputs.choose("show", "columns", "across", across, swept, [in_words(key) for key in swept]),
        *(
            inputs.choose("only", in_words(key), f"only_{key}", ALL, [ALL, *dict.fromkeys(runs[key].map(as_text))])
            for key in keys
        ),
    )
    groups = {"show": "Show", "only": "Only runs with"}
    return Explorer(name, as_spec(chart, _outcomes(kept, keys)), groups, keys, len(kept), len(runs))


def symbol(arm: str) -> str:
    """Return the symbol of an arm, as Vega draws it."""
    return SYMBOLS[MARKERS[arm]]


def variants(table: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """Name the values of each row in these columns in words."""
    parts = [table[key] if key == "arm" else in_words(key) + " " + table[key].map(as_text) for key in keys]
    return reduce(lambda left, right: left + ", " + right, parts)


def _outcomes(runs: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return each run's settings as text, the position of each among the setting's values, and the outcomes."""
    outcomes = runs[["seed", "state", *(name for name in OUTCOMES if name in runs)]]
    return outcomes.assign(
        healthy=(runs["state"] == "healthy").astype(int),
        **{key: runs[key].map(as_text) for key in keys},
        **{f"place {key}": pd.factorize(runs[key])[0] for key in keys},
        **{f"rest {key}": variants(runs, [other for other in reversed(keys) if other != key]) for key in keys[:-1]},
    )


def _runs_chart(keys: Sequence[str], arms: Sequence[str]) -> Any:
    """Draw a map of means over the chosen setting and all others, and beside it every run over the chosen setting."""
    chosen = " && ".join(f"(only_{key} === '{ALL}' || datum.{key} === only_{key})" for key in keys)
    chart = (
        alt.Chart(alt.NamedData("runs"))
        .transform_filter("isValid(datum[outcome])")
        .transform_calculate(
            value="datum[outcome]",
            column="datum[across]",
            place="datum['place ' + across]",
            rest="datum['rest ' + across]",
            chosen=chosen,
        )
    )
    column = alt.X("column:N", title=None, sort=alt.EncodingSortField("place", op="min"), axis=alt.Axis(labelAngle=-45))
    settings = [alt.Tooltip(f"{key}:N", title=in_words(key)) for key in keys]
    cells = chart.mark_rect().encode(
        x=column,
        y=alt.Y("rest:N", title=None, sort=None, axis=alt.Axis(labelLimit=190)),
        color=alt.Color(
            "mean(value):Q",
            title="mean",
            scale=alt.Scale(scheme="cividis"),
            legend=alt.Legend(gradientLength=140, format=".3~g"),
        ),
        opacity=alt.condition("datum.chosen", alt.value(1), alt.value(0.2)),
        detail=["chosen:N"],
        tooltip=[
            *settings,
            alt.Tooltip("mean(value):Q", title="mean", format=".4g"),
            alt.Tooltip("count():Q", title="runs"),
        ],
    )
    dots = chart.mark_point(filled=True, size=40).encode(
        x=column,
        xOffset=alt.XOffset("arm:N", sort=[*arms]),
        y=alt.Y("value:Q", title=None),
        color=alt.Color("arm:N", title=None, scale=arm_scale(arms, COLOURS.__getitem__)),
        shape=alt.Shape("arm:N", title=None, scale=arm_scale(arms, symbol)),
        opacity=alt.condition("datum.chosen", alt.value(0.7), alt.value(0.04)),
        tooltip=[
            *settings,
            alt.Tooltip("seed:N"),
            alt.Tooltip("value:Q", title="outcome", format=".4g"),
            alt.Tooltip("state:N"),
        ],
    )
    parts = cells.properties(name="cells", title="Mean over seeds"), dots.properties(name="dots", title="Every run")
    return alt.concat(*parts, columns=2).resolve_scale(
        color="independent", shape="independent", x="independent", xOffset="independent"
    )
