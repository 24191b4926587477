"""The report, and that on the studies: self-contained pages, rendered from tables and figures."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from bnpipe import __version__
from bnpipe.claims import CLAIMS, condition_text, effect_text, verdict_text
from bnpipe.csv_files import read_table
from bnpipe.errors import InputError
from bnpipe.files import write_text_whole
from bnpipe.provenance import versions
from bnpipe.verdicts import FEWEST_PAIRS

MINUS = "\N{MINUS SIGN}"
MOST_ROWS = 200  # of a study's summary on a page


@dataclass(frozen=True)
class Section:
    """What the page shows of one condition."""

    name: str
    settings: Mapping[str, Any]
    tutorial: str | None  # what the tutorial reports of these settings; None where it has none
    findings: Sequence[str]  # what these runs show, in sentences


@dataclass(frozen=True)
class Study:
    """What a page shows of a study."""

    name: str
    about: str  # what it asks
    caption: str  # of its figure
    swept: Sequence[str] = ()  # columns of `summary` that tell its rows apart
    summary: pd.DataFrame | None = None  # the study's table of this name


def make_report(
    results: Path,
    template: Path,
    tutorial: Path,
    configuration: Mapping[str, Any],
    conditions: Sequence[str],
    studies: Sequence[str],
    dataset: str,
    dataset_name: str,
    is_mnist: bool,
    shown_seed: int,
    output: Path,
) -> None:
    """Render the page from the CSV and SVG files in the folder of results.

    template: Jinja2. tutorial: YAML, what the tutorial reports of which settings. configuration: plain values, as
    shown on the page. conditions, studies: names of those to show. dataset: its title; dataset_name: as in paths.
    Raises InputError where a file is missing or damaged.
    """
    names = ("runs", "summary", "comparison", "origins", "mechanics_summary")
    data = {name: read_table(results / f"tables/{name}.csv") for name in names}
    claims = read_table(results / "tables/claims.csv")
    reported = yaml.safe_load(_read(tutorial))
    settings_of: Mapping[str, Mapping[str, Any]] = configuration["conditions"]
    _render(
        template,
        output,
        results,
        {
            **data,
            "claims": claim_rows(claims),
            "untested": [f"{claim.key} ({claim.statement})" for claim in CLAIMS if claim.key not in {*claims["claim"]}],
            "studies": [study_of(configuration["studies"][name], name, results) for name in studies],
            "dataset": dataset,
            "dataset_name": dataset_name,
            "is_mnist": is_mnist,
            "shown_seed": shown_seed,
            "seeds": configuration["seeds"],
            "arms": configuration["arms"],
            "diagnostics": configuration["diagnostics"],
            "configuration": yaml.safe_dump(dict(configuration), sort_keys=False, default_flow_style=None, width=100),
            "conditions": len(settings_of),
            "shown_runs": data["runs"][data["runs"]["condition"].isin(conditions)],
            "sections": [
                Section(
                    name=name,
                    settings=settings_of[name],
                    tutorial=_tutorial_text(reported, settings_of[name]) if is_mnist else None,
                    findings=findings(name, data["summary"], data["comparison"], data["runs"]),
                )
                for name in conditions
            ],
        },
    )


def make_study_report(
    results: Path,
    template: Path,
    configuration: Mapping[str, Any],
    experiments: Sequence[Mapping[str, str]],
    dataset: str,
    is_mnist: bool,
    output: Path,
) -> None:
    """Render the page on all studies from the CSV and SVG files in the folder of results.

    experiments: what is shown beside the configuration's studies: `name`, `about` and `caption` of each. The other
    arguments are those of `make_report`.
    """
    studies = [study_of(study, name, results) for name, study in configuration["studies"].items()]
    _render(
        template,
        output,
        results,
        {
            "claims": claim_rows(read_table(results / "tables/all_claims.csv")),
            "studies": [*studies, *(Study(one["name"], one["about"], one["caption"]) for one in experiments)],
            "dataset": dataset,
            "is_mnist": is_mnist,
        },
    )


def study_of(study: Mapping[str, Any], name: str, results: Path) -> Study:
    """Collect what a page shows of a study of the configuration."""
    caption = (
        "Final validation accuracy of every run, with means and their 95% intervals, and mean curves. See which "
        "networks learn at all, and whether intervals stay apart."
    )
    summary = read_table(results / f"studies/{name}/summary.csv")
    return Study(name, study["about"], caption, list(study["sweep"]), summary)


def claim_rows(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """Write the rows of the table of claims as a page shows them."""
    return [
        {
            **{str(name): value for name, value in row.items()},
            "effect": effect_text(row),
            "condition": condition_text(row),
            "verdict": verdict_text(row),
        }
        for _, row in claims.iterrows()
    ]


def _render(template: Path, output: Path, results: Path, values: Mapping[str, Any]) -> None:
    made_with = {"bnpipe": __version__, **versions("matplotlib", "pandas", "scipy")}
    try:
        page = _environment(template.parent, results / "figures").get_template(template.name)
        text = page.render(**values, made_with=made_with, fewest_pairs=FEWEST_PAIRS, most_rows=MOST_ROWS)
    except (TemplateError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{template}: {error}") from error
    write_text_whole(output, text)


def findings(condition: str, summary: pd.DataFrame, comparison: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Say in sentences what the runs of a condition show: accuracies, differences, divergence, steps to 90%."""
    arms = [
        f"{row['arm']}: final validation accuracy {percent(row['mean'])} on average"
        f"{interval(row['low'], row['high'])}; {_reached(arm_runs['steps_to_90'])}"
        f"{_divergence(arm_runs['first_nonfinite_step'])}{_states(arm_runs)}."
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


def _states(runs: pd.DataFrame) -> str:
    """Say how many runs ended in which state that is not healthy, and where that began at the earliest."""
    told = [
        f"; {len(group)} of {len(runs)} runs {'end in' if state == 'overflow' else 'end'} {state}, which begins at "
        f"step {first['first_bad_step']:.0f} in layer {first['first_bad_layer']:.0f}"
        for state, group in runs.dropna(subset="first_bad_layer").groupby("state")
        for first in [group.sort_values(["first_bad_step", "first_bad_layer"]).iloc[0]]
    ]
    return "".join(told)


def _pairs(n: int, diverged: int) -> str:
    if diverged == 0:
        return f"over {n} pairs"
    if diverged == n:
        return f"over {n} pairs, in all of which a run diverged"
    return f"over {n - diverged} of {n} pairs: in the others a run diverged"


def _tutorial_text(reported: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str | None:
    return next((str(entry["text"]) for entry in reported if entry["settings"] == settings), None)


def _environment(templates: Path, figures: Path) -> Environment:
    loader = FileSystemLoader(templates)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
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
