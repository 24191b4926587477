"""What all charts to explore on a page share; a chart is a Vega-Lite specification in plain values.

The inputs that a page shows beside a chart are bound to the chart's parameters. Vega puts them into the elements
`#choose-<group>-<name>`, which the page provides.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

ALL = "all"  # the option of a list that chooses every value
MAX_BOXES = 12  # values to tick; if there are more, one or all are chosen from a list
INK, GRID = "currentColor", "#8883"  # the page's colour of text, and a grey for light and dark pages
LETTERS = {"labelFontSize": 12, "titleFontSize": 12}  # Vega's own are too small beside the page's text
VEGA_CONFIG = {
    "aria": False,  # thousands of marks would be read out; the page describes the chart and holds its numbers
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "axis": {
        **LETTERS,
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": GRID,
        "domainColor": GRID,
        "tickColor": GRID,
    },
    "legend": {**LETTERS, "labelColor": INK, "titleColor": INK, "orient": "top"},
    "title": {"color": INK, "anchor": "start", "fontSize": 14},
    "view": {"stroke": None},
    "customFormatTypes": True,
}


@dataclass(frozen=True)
class Explorer:
    """A chart to explore, as a page holds it."""

    name: str  # ends the ids of its elements
    spec: Mapping[str, Any]  # of Vega-Lite
    groups: Mapping[str, str]  # of its inputs: the name in their element's id, and what they choose
    linked: Sequence[str]  # columns whose parameters `only_<column>` a table of runs can follow
    shown: int  # runs in it
    of: int  # runs in the table


@dataclass(frozen=True)
class Inputs:
    """The inputs of a chart on its page: each is bound to a parameter of the chart."""

    chart: str

    def tick(self, group: str, label: str, param: str, value: bool) -> alt.Parameter:
        """Offer a box to tick."""
        bind = alt.binding_checkbox(element=f"#choose-{group}-{self.chart}", name=label)
        return alt.param(name=param, value=value, bind=bind)

    def choose(
        self, group: str, label: str, param: str, value: str, options: Sequence[str], labels: Sequence[str] = ()
    ) -> alt.Parameter:
        """Offer a list to choose from. labels: the options in words, if they are not words already."""
        bind = alt.binding_select(
            element=f"#choose-{group}-{self.chart}", name=label, options=[*options], labels=[*(labels or options)]
        )
        return alt.param(name=param, value=value, bind=bind)

    def slide(self, group: str, label: str, param: str, value: int, most: int) -> alt.Parameter:
        """Offer a whole number from 0."""
        bind = alt.binding_range(element=f"#choose-{group}-{self.chart}", name=label, min=0, max=most, step=1)
        return alt.param(name=param, value=value, bind=bind)

    def among(self, key: str, values: Sequence[str], ticked: Sequence[str]) -> tuple[list[alt.Parameter], str]:
        """Offer a box for each value of a field or, if there are many, a list of the values and `all`.

        Returns the parameters and the expression that tests whether a row is chosen.
        """
        field, names = f"toString(datum.{key})", json.dumps([*values])
        if len(values) > MAX_BOXES:
            value = ALL if len(ticked) > 1 else ticked[0]
            chosen = self.choose(key, key, key, value, [ALL, *values])
            return [chosen], f"({key} === '{ALL}' || {field} === {key})"
        boxes = [self.tick(key, value, f"{key}_{place}", value in ticked) for place, value in enumerate(values)]
        return boxes, f"[{', '.join(box.name for box in boxes)}][indexof({names}, {field})]"


def first_seeds(runs: pd.DataFrame, most: int) -> pd.DataFrame:
    """Keep the runs of the first seeds, at most `most` runs."""
    seeds = sorted(set(runs["seed"]))
    if len(runs) > most:
        seeds = seeds[: max(1, most * len(seeds) // len(runs))]
    return runs[runs["seed"].isin(seeds)][:most]


def arm_scale(arms: Sequence[str], of_arm: Callable[[str], Any]) -> alt.Scale:
    """Return a scale that gives each arm its own colour, dashes or shape. of_arm: returns it for an arm."""
    return alt.Scale(domain=[*arms], range=[of_arm(arm) for arm in arms])


def as_spec(chart: Any, rows: pd.DataFrame) -> dict[str, Any]:
    """Return the specification of a chart with its data and with the colours and fonts of a page."""
    spec = chart.to_dict()
    del spec["$schema"]  # an address, and a page fetches nothing
    return {**spec, "config": VEGA_CONFIG, "datasets": {"runs": none_if_unknown(rows).to_dict("records")}}


def none_if_unknown(table: pd.DataFrame) -> pd.DataFrame:
    """Replace values that are missing or not finite by None, because JSON has no nan and no infinity."""
    return table.astype(object).where(table.notna() & ~table.isin([np.inf, -np.inf]), None)
