"""The report: one self-contained page, rendered from tables and figures."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined, TemplateError

from bnpipe import __version__
from bnpipe.errors import InputError
from bnpipe.files import write_text_whole
from bnpipe.provenance import versions
from bnpipe.tables import read_table

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Section:
    """What the page shows of one condition."""

    name: str
    settings: Mapping[str, Any]
    tutorial: str | None  # what the tutorial reports of these settings; None where it has none
    findings: Sequence[str]  # what these runs show, in sentences


def make_report(
    tables: Path,
    figures: Path,
    template: Path,
    tutorial: Path,
    configuration: Mapping[str, Any],
    dataset: str,
    dataset_name: str,
    is_mnist: bool,
    shown_seed: int,
    output: Path,
) -> None:
    """Render the page from the CSV files of one folder and the SVG files of another.

    template: Jinja2. tutorial: YAML, what the tutorial reports of which settings. configuration: plain values, as
    shown on the page. dataset: its title; dataset_name: as in paths. Raises InputError where a file is missing or
    damaged.
    """
    names = ("runs", "summary", "comparison", "origins")
    data = {name: read_table(tables / f"{name}.csv") for name in names}
    reported = yaml.safe_load(_read(tutorial))
    conditions: Mapping[str, Mapping[str, Any]] = configuration["conditions"]
    page = _environment(figures).from_string(_read(template))
    try:
        text = page.render(
            **data,
            dataset=dataset,
            dataset_name=dataset_name,
            is_mnist=is_mnist,
            shown_seed=shown_seed,
            seeds=configuration["seeds"],
            arms=configuration["arms"],
            configuration=yaml.safe_dump(dict(configuration), sort_keys=False, default_flow_style=None, width=100),
            sections=[
                Section(
                    name=name,
                    settings=settings,
                    tutorial=_tutorial_text(reported, settings) if is_mnist else None,
                    findings=findings(name, data["summary"], data["comparison"], data["runs"]),
                )
                for name, settings in conditions.items()
            ],
            made_with={"bnpipe": __version__, **versions("matplotlib", "pandas", "scipy")},
        )
    except TemplateError as error:
        raise InputError(f"{template}: {error}") from error
    write_text_whole(output, text)


def findings(condition: str, summary: pd.DataFrame, comparison: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Say in sentences what the runs of a condition show: accuracies, differences, divergence, steps to 90%."""
    arms = [
        f"{row['arm']}: final validation accuracy {percent(row['mean'])} on average"
        f"{interval(row['low'], row['high'])}; {_reached(arm_runs['steps_to_90'])}"
        f"{_divergence(arm_runs['first_nonfinite_step'])}."
        for row in summary[summary["condition"] == condition].to_dict("records")
        for arm_runs in [runs[(runs["condition"] == condition) & (runs["arm"] == row["arm"])]]
    ]
    pairs = [
        f"{row['arm']} minus {row['baseline']}, seed by seed: {points(row['mean_difference'])} on average"
        f"{interval(row['low'], row['high'], points)}, {_pairs(row['n'], row['n_diverged'])}."
        for row in comparison[comparison["condition"] == condition].drop_duplicates("arm").to_dict("records")
    ]
    return arms + pairs


def percent(share: float) -> str:
    """Write a share as a percentage with two decimals."""
    return f"{share:.2%}"


def points(difference: float) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    sign = MINUS if difference < 0 else "+"
    return f"{sign}{abs(difference) * 100:.2f} points"


def interval(low: float, high: float, write: Any = percent) -> str:
    """Write a 95% interval, or nothing where there is none (a single run)."""
    return "" if pd.isna(low) else f" (95% interval {write(low)} to {write(high)})"


def _reached(steps_to_90: pd.Series) -> str:
    reached = steps_to_90.dropna()
    if reached.empty:
        return "no run reaches 90%"
    return f"{len(reached)} of {len(steps_to_90)} runs reach 90%, after {reached.median():,.0f} steps in the median"


def _divergence(first_nonfinite_step: pd.Series) -> str:
    diverged = first_nonfinite_step.dropna()
    if diverged.empty:
        return ""
    if len(diverged) == len(first_nonfinite_step):
        return f"; all runs diverge, the first at step {diverged.min():.0f}"
    count = f"{len(diverged)} of {len(first_nonfinite_step)}"
    return f"; {count} runs diverge, the first at step {diverged.min():.0f}, and are left out of the mean"


def _pairs(n: int, diverged: int) -> str:
    if diverged == 0:
        return f"over {n} pairs"
    if diverged == n:
        return f"over {n} pairs, in all of which a run diverged"
    return f"over {n - diverged} of {n} pairs: in the others a run diverged"


def _tutorial_text(reported: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str | None:
    return next((str(entry["text"]) for entry in reported if entry["settings"] == settings), None)


def _environment(figures: Path) -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=percent, points=points)
    environment.globals["svg"] = lambda name: _data_uri(figures / f"{name}.svg")
    return environment


def _data_uri(figure: Path) -> str:
    try:
        content = figure.read_bytes()
    except OSError as error:
        raise InputError(f"{figure}: cannot be read ({error}); the workflow makes it again") from error
    return "data:image/svg+xml;base64," + base64.b64encode(content).decode("ascii")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
