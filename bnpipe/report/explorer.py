"""Charts to explore on a page: tables in, Vega-Lite specifications out, as plain values.

The inputs that a page shows beside a chart are bound to its parameters. Vega puts them into the elements
`#choose-<group>-<name>`, which the page provides.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from bnpipe.figures.studies import spoken
from bnpipe.figures.style import COLOURS, LINE_STYLES, MARKERS

ALL = "all"  # what a choice of one value offers besides the values
MAX_EVALUATIONS = 40_000  # in a chart: 0.8 MB of the page
MAX_RUNS = 2_000
MAX_BOXES = 12  # values to tick; where there are more, one or all are chosen
OUTCOMES = {
    "final_accuracy": "final validation accuracy",
    "best_accuracy": "best validation accuracy",
    "test_accuracy": "test accuracy",
    "area_under_curve": "area under the curve",
    "steps_to_90": "steps to 90%",
    "final_training_loss": "final training loss",
    "healthy": "ended healthy (1) or not (0)",
}
# Of Vega, by matplotlib's markers.
SYMBOLS = {
    **{"s": "square", "o": "circle", "D": "diamond", "P": "cross", "X": "stroke"},
    **{"^": "triangle-up", "v": "triangle-down", "<": "triangle-left", ">": "triangle-right"},
}
DASHES = {arm: [1, 0] if look == "solid" else [1.5 * part for part in look[1]] for arm, look in LINE_STYLES.items()}
SHAPES = {arm: SYMBOLS[marker] for arm, marker in MARKERS.items()}
TICKS = "measure === 'loss' ? format(pow(10, datum.value), '.2~g') : datum.label"  # of losses the logarithm is drawn
INK, GRID = "currentColor", "#8883"  # the text's colour, whatever it is on the page; a grey for light and dark
LOOK = {
    "aria": False,  # thousands of marks would be read out; the page describes the chart and holds its numbers
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "axis": {"labelColor": INK, "titleColor": INK, "gridColor": GRID, "domainColor": GRID, "tickColor": GRID},
    "legend": {"labelColor": INK, "titleColor": INK, "orient": "top"},
    "title": {"color": INK, "anchor": "start"},
    "view": {"stroke": None},
    "customFormatTypes": True,
}


@dataclass(frozen=True)
class Explorer:
    """A chart to explore, as a page holds it."""

    name: str  # ends the ids of its elements
    spec: Mapping[str, Any]  # of Vega-Lite
    groups: Mapping[str, str]  # of its inputs: name in the id of their element, and what they choose
    linked: Sequence[str]  # columns whose parameters `only_<column>` a table of runs can follow
    shown: int  # runs in it
    of: int  # runs in the table


@dataclass(frozen=True)
class _Inputs:
    """The inputs of a chart on its page: each is bound to a parameter of the chart."""

    chart: str

    def tick(self, group: str, label: str, param: str, value: bool) -> alt.Parameter:
        """Offer a box to tick."""
        bind = alt.binding_checkbox(element=f"#choose-{group}-{self.chart}", name=label)
        return alt.param(name=param, value=value, bind=bind)

    def choose(
        self, group: str, label: str, param: str, value: str, options: Sequence[str], labels: Sequence[str] = ()
    ) -> alt.Parameter:
        """Offer a list to choose from; labels: in words, where the options are not."""
        bind = alt.binding_select(
            element=f"#choose-{group}-{self.chart}", name=label, options=[*options], labels=[*(labels or options)]
        )
        return alt.param(name=param, value=value, bind=bind)

    def slide(self, group: str, label: str, param: str, value: int, most: int) -> alt.Parameter:
        """Offer a whole number from 0."""
        bind = alt.binding_range(element=f"#choose-{group}-{self.chart}", name=label, min=0, max=most, step=1)
        return alt.param(name=param, value=value, bind=bind)

    def among(self, key: str, values: Sequence[str], ticked: Sequence[str]) -> tuple[list[alt.Parameter], str]:
        """Offer a box for each value of a field, or where these are many, one of them or all.

        Return the parameters and the expression that tests a row for being chosen.
        """
        field, names = f"toString(datum.{key})", json.dumps([*values])
        if len(values) > MAX_BOXES:
            value = ALL if len(ticked) > 1 else ticked[0]
            chosen = self.choose(key, key, key, value, [ALL, *values])
            return [chosen], f"({key} === '{ALL}' || {field} === {key})"
        boxes = [self.tick(key, value, f"{key}_{place}", value in ticked) for place, value in enumerate(values)]
        return boxes, f"[{', '.join(box.name for box in boxes)}][indexof({names}, {field})]"


def explore_curves(name: str, accuracy: pd.DataFrame, conditions: Sequence[str], arms: Sequence[str]) -> Explorer:
    """Draw every evaluation of the runs of the chosen conditions, arms and seeds, over the chosen steps.

    accuracy: the table of this name. Where it has more than MAX_EVALUATIONS rows, only the first seeds are kept.
    """
    runs = _curves(accuracy, conditions, arms)
    kept = _first_seeds(runs, max(1, MAX_EVALUATIONS // int(runs["step"].map(len).max())))
    seeds = [str(seed) for seed in sorted(set(kept["seed"]))]
    last = max(steps[-1] for steps in kept["step"])
    shown = list(dict.fromkeys(kept["condition"]))
    inputs = _Inputs(name)
    choices = [
        inputs.among("condition", shown, shown[:1]),
        inputs.among("arm", arms, arms),
        inputs.among("seed", seeds, seeds),
    ]
    chart = _curves_chart([test for _, test in choices], arms).add_params(
        *(param for params, _ in choices for param in params),
        inputs.choose("measure", "of", "measure", "accuracy", ["accuracy", "loss"]),
        inputs.slide("steps", "from", "first_step", 0, last),
        inputs.slide("steps", "to", "last_step", last, last),
    )
    groups = {"condition": "Conditions", "arm": "Arms", "seed": "Seeds", "measure": "Curves", "steps": "Steps"}
    return Explorer(name, _plain(chart, kept), groups, (), len(kept), len(runs))


def explore_runs(name: str, runs: pd.DataFrame, swept: Sequence[str]) -> Explorer:
    """Show how the outcome of a study's runs depends on its swept settings: a map of means, and every run.

    runs: the study's table of this name. Columns of the map are the values of one swept setting, its rows the arms
    with the values of all others, so that a mean is over seeds alone. Of more than MAX_RUNS runs only the first
    seeds are kept.
    """
    keys = [*swept, "arm"]
    kept = _first_seeds(runs, MAX_RUNS)
    inputs = _Inputs(name)
    chart = _runs_chart(keys, list(dict.fromkeys(runs["arm"]))).add_params(
        inputs.choose("show", "outcome", "outcome", "final_accuracy", [*OUTCOMES], [*OUTCOMES.values()]),
        inputs.choose("show", "columns", "across", swept[0], swept, [spoken(key) for key in swept]),
        *(
            inputs.choose("only", spoken(key), f"only_{key}", ALL, [ALL, *dict.fromkeys(runs[key].map(as_text))])
            for key in keys
        ),
    )
    groups = {"show": "Show", "only": "Only runs with"}
    return Explorer(name, _plain(chart, _outcomes(kept, keys)), groups, keys, len(kept), len(runs))


def as_text(value: Any) -> str:
    """Write a value as the charts and tables of a page show it: yes or no, numbers without needless digits."""
    if isinstance(value, str):
        return value
    return ("no", "yes")[int(value)] if str(value) in ("True", "False") else f"{value:g}"


def variants(table: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """Name in words the values of each row under these columns."""
    parts = [table[key] if key == "arm" else spoken(key) + " " + table[key].map(as_text) for key in keys]
    return reduce(lambda left, right: left + ", " + right, parts)


def _curves(accuracy: pd.DataFrame, conditions: Sequence[str], arms: Sequence[str]) -> pd.DataFrame:
    """Put the curves of each run into one row, in the order of conditions, arms and seeds; unknown is None."""
    ordered = {"condition": [*conditions], "arm": [*arms]}
    named = accuracy.astype({key: pd.CategoricalDtype(names, ordered=True) for key, names in ordered.items()})
    known = _known(named[["step", "accuracy", "loss"]])
    runs = known.groupby([named["condition"], named["arm"], named["seed"]], observed=True).agg(list).reset_index()
    return runs.astype(dict.fromkeys(ordered, str))


def _first_seeds(runs: pd.DataFrame, most: int) -> pd.DataFrame:
    """Keep the runs of the first seeds, no more than `most` runs."""
    seeds = sorted(set(runs["seed"]))
    if len(runs) > most:
        seeds = seeds[: max(1, most * len(seeds) // len(runs))]
    return runs[runs["seed"].isin(seeds)][:most]


def _outcomes(runs: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return for each run its settings as text, the places of these in their order, and its outcomes."""
    outcomes = runs[["seed", "state", *(name for name in OUTCOMES if name in runs)]]
    return outcomes.assign(
        healthy=(runs["state"] == "healthy").astype(int),
        **{key: runs[key].map(as_text) for key in keys},
        **{f"place {key}": pd.factorize(runs[key])[0] for key in keys},
        **{f"rest {key}": variants(runs, [other for other in reversed(keys) if other != key]) for key in keys[:-1]},
    )


def _curves_chart(tests: Sequence[str], arms: Sequence[str]) -> Any:
    """Draw the curves that pass the tests: a line for each run, and where the pointer is near, its values."""
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
            x=alt.X("step:Q", title="training step", scale=alt.Scale(zero=False, nice=False)),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(minExtent=40, labelExpr=TICKS)),
            color=alt.Color(
                "arm:N", title=None, scale=_scale(arms, COLOURS), legend=alt.Legend(symbolType="stroke", symbolSize=400)
            ),
            strokeDash=alt.StrokeDash("arm:N", title=None, scale=_scale(arms, DASHES)),
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


def _runs_chart(keys: Sequence[str], arms: Sequence[str]) -> Any:
    """Draw the map of means over the chosen setting and all others, and beside it every run over the chosen one."""
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
    settings = [alt.Tooltip(f"{key}:N", title=spoken(key)) for key in keys]
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
        color=alt.Color("arm:N", title=None, scale=_scale(arms, COLOURS)),
        shape=alt.Shape("arm:N", title=None, scale=_scale(arms, SHAPES)),
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


def _scale(arms: Sequence[str], looks: Mapping[str, Any]) -> alt.Scale:
    return alt.Scale(domain=[*arms], range=[looks[arm] for arm in arms])


def _plain(chart: Any, rows: pd.DataFrame) -> dict[str, Any]:
    """Return the specification of a chart with its data, in the look of a page."""
    spec = chart.to_dict()
    del spec["$schema"]  # an address, and nothing is fetched
    return {**spec, "config": LOOK, "datasets": {"runs": _known(rows).to_dict("records")}}


def _known(table: pd.DataFrame) -> pd.DataFrame:
    """Put None, as JSON has it, where a value is missing or not finite."""
    return table.astype(object).where(table.notna() & ~table.isin([np.inf, -np.inf]), None)
