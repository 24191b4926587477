"""The report: what its page shows of the conditions, from tables and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bnpipe.analysis.registry.family import FAMILY
from bnpipe.core.errors import InputError
from bnpipe.core.parts import short_name
from bnpipe.report import tables
from bnpipe.report.answers import condition_answer
from bnpipe.report.curves_chart import explore_curves
from bnpipe.report.findings import findings
from bnpipe.report.pages import Pages, claims_values
from bnpipe.report.studies import study_of
from bnpipe.report.tables import Table, in_order, make_table


@dataclass(frozen=True)
class Section:
    """What the page shows of one condition."""

    name: str
    settings: Mapping[str, Any]
    tutorial: str | None  # what the tutorial reports for these settings; None if it does not use them
    answer: Sequence[str]  # how the arms compare, in sentences
    findings: Sequence[str]  # what the runs of each arm show, in sentences
    summary: Table
    comparison: Table


def make_report(
    pages: Pages,
    tutorial: Path,
    configuration: Mapping[str, Any],
    conditions: Sequence[str],
    studies: Sequence[str],
    dataset_name: str,
    shown_seed: int,
) -> None:
    """Render report.html from the CSV and SVG files in the folder of results.

    tutorial: YAML, the settings that the tutorial uses and what it reports. configuration: plain values, as shown on
    the page. conditions, studies: the names of those to show. dataset_name: as in paths. shown_seed: the seed whose
    curves are drawn alone. Raises InputError if a file is missing or damaged.
    """
    settings: Mapping[str, Mapping[str, Any]] = configuration["conditions"]
    accuracy, runs, summary, comparison = (
        in_order(pages.table(f"tables/{name}"), list(settings))
        for name in ("accuracy", "runs", "summary", "comparison")
    )
    arms = [short_name(arm) for arm in configuration["arms"]]
    claims = claims_values(pages, "claims", "evidence")
    tested = {card.claim for cards in claims["groups"].values() for card in cards}
    reported = yaml.safe_load(_read(tutorial)) if pages.is_mnist else []
    pairs = comparison.drop_duplicates(["condition", "arm"])
    values = {
        **claims,
        "untested": [claim.statement for claim in FAMILY if claim.key not in tested],
        "sections": [
            Section(
                name=name,
                settings=settings[name],
                tutorial=_tutorial_text(reported, settings[name]),
                answer=condition_answer(name, comparison, runs),
                findings=findings(name, summary, comparison, runs),
                summary=_summary_table(summary, name),
                comparison=_comparison_table(pairs, name),
            )
            for name in conditions
        ],
        "conditions": len(settings),
        "own_optimizers": [name for name, own in settings.items() if {"optimizer", "weight_decay"} & own.keys()],
        "summary": _summary_table(summary),
        "comparison": _comparison_table(pairs),
        "failures": _failures_table(runs),
        "runs": make_table(
            "runs", runs, tables.RUNS, "Every run", "tables/runs.csv", "tables/accuracy.csv", "tables/layers.csv"
        ),
        "mechanics": (
            _mechanics_table(pages.table("tables/mechanics_summary")) if configuration["closer_looks"] else None
        ),
        "origins": _origins_table(pages.table("tables/origins")),
        "explorer": explore_curves("curves", accuracy, list(settings), arms),
        "studies": [study_of(pages, name, configuration["studies"][name], claims["groups"]) for name in studies],
        "provenance": "provenance.json",
        "dataset_name": dataset_name,
        "shown_seed": shown_seed,
        "networks": len(runs),
        "arms": arms,
        "configuration": configuration,
        "configuration_text": yaml.safe_dump(
            dict(configuration), sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
        ),
    }
    pages.write("report", values)


def _of(condition: str | None, table: pd.DataFrame) -> tuple[pd.DataFrame, str, str]:
    """Return the rows of one condition, or all; which these are, in words; and the prefix of the table's id."""
    if condition is None:
        return table, "all rows", ""
    return table[table["condition"] == condition], f"condition = {condition}", f"condition-{condition}-"


def _summary_table(summary: pd.DataFrame, condition: str | None = None) -> Table:
    rows, rows_are, prefix = _of(condition, summary)
    caption = (
        "Accuracy of each arm, mean and 95% interval over seeds. If some runs diverged, the mean is over the others"
    )
    return make_table(f"{prefix}summary", rows, tables.SUMMARY, caption, "tables/summary.csv", rows_are=rows_are)


def _comparison_table(pairs: pd.DataFrame, condition: str | None = None) -> Table:
    rows, rows_are, prefix = _of(condition, pairs)
    return make_table(
        f"{prefix}comparison",
        rows,
        tables.COMPARISON,
        "Paired difference of final validation accuracy, seed by seed",
        "tables/comparison.csv",
        rows_are=f"{rows_are}; the last columns, which all pairs of a condition and arm share",
    )


def _failures_table(runs: pd.DataFrame) -> Table:
    unhealthy = runs[~runs["state"].isin(["healthy", "unknown"])]
    caption = "Runs that did not end healthy, and where the trouble began"
    return make_table(
        "failures",
        unhealthy,
        tables.FAILURES,
        caption,
        "tables/runs.csv",
        rows_are="state is neither healthy nor unknown",
    )


def _mechanics_table(summary: pd.DataFrame) -> Table:
    caption = "Mean and standard deviation of the mini-batch after every step"
    return make_table("mechanics", summary, tables.MECHANICS, caption, "tables/mechanics_summary.csv")


def _origins_table(origins: pd.DataFrame) -> Table:
    frame = tables.origins_frame(origins)
    caption = "What the runs were trained with"
    return make_table("origins", frame, tables.ORIGINS, caption, "tables/origins.csv", rows_are="all rows, counted")


def _tutorial_text(reported: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str | None:
    """Return what the tutorial reports for these settings, or None if it does not use them."""
    settings = {key: value for key, value in settings.items() if key != "keep_weights"}  # changes no run
    return next((str(entry["text"]) for entry in reported if entry["settings"] == settings), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); restore it and run the workflow again") from error
