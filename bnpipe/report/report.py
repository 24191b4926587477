"""The report, and that on the studies: what stands on the pages, from tables and figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bnpipe import __version__
from bnpipe.analysis.claims import CLAIMS
from bnpipe.analysis.verdicts import MIN_PAIRS
from bnpipe.core.csv_files import read_table
from bnpipe.core.digests import versions
from bnpipe.core.errors import InputError
from bnpipe.figures.studies import MAP
from bnpipe.report import tables as report_tables
from bnpipe.report.explorer import Explorer, explore_curves, explore_runs, variants
from bnpipe.report.findings import findings
from bnpipe.report.page import write_page
from bnpipe.report.tables import Table, make_table, short

CAPTION_OF_CELLS = (
    "Final validation accuracy of every run, with means and their 95% intervals, and mean curves. See which networks "
    "learn at all, and whether intervals stay apart."
)
CAPTION_OF_MAPS = (
    "Mean final validation accuracy of each learning rate and init std, and every run over learning rate / init std²: "
    "one curve where nothing but that ratio matters."
)
MARKS = {"supported": "\N{CHECK MARK}", "refuted": "\N{BALLOT X}", "inconclusive": "?", "": "\N{EN DASH}"}


@dataclass(frozen=True)
class ClaimCard:
    """A claim at a glance."""

    claim: str
    statement: str
    mark: str  # tells verdicts apart without colour
    verdict: str  # empty: there are too few pairs for one
    effect: str
    must_be: str
    pairs: int


@dataclass(frozen=True)
class Section:
    """What the page shows of one condition."""

    name: str
    settings: Mapping[str, Any]
    tutorial: str | None  # what the tutorial reports of these settings; None where it has none
    findings: Sequence[str]  # what these runs show, in sentences
    summary: Table
    comparison: Table


@dataclass(frozen=True)
class StudySection:
    """What a page shows of a study."""

    name: str
    about: str  # what it asks
    caption: str  # of its figure
    summary: Table | None = None
    runs: Table | None = None
    explorers: Sequence[Explorer] = ()


@dataclass(frozen=True)
class Pages:
    """What all pages of a folder of results share.

    lineage: of every table and figure, by path, what it was made from and by which code, as provenance.json has it.
    """

    results: Path
    templates: Path
    dataset: str  # its title
    is_mnist: bool
    lineage: Mapping[str, Mapping[str, Any]]

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Render the page of this name from the template of this name."""
        shared = {
            "dataset": self.dataset,
            "is_mnist": self.is_mnist,
            "min_pairs": MIN_PAIRS,
            "made_with": {"bnpipe": __version__, **versions("matplotlib", "pandas", "scipy", "altair")},
            "results": self.results,
            "marks": MARKS,
            "sources": self.sources,
            "code": self.code,
        }
        write_page(self.templates / f"{name}.html.j2", {**shared, **values}, self.results / f"{name}.html")

    def table(self, name: str) -> pd.DataFrame:
        """Read a table below the folder of results."""
        return read_table(self.results / f"{name}.csv")

    def sources(self, file: str) -> list[str]:
        """Return the tables that a file was made from, below the folder of results."""
        inputs = map(Path, self._made(file)["made_from"])
        return [path.relative_to(self.results).as_posix() for path in inputs if path.suffix == ".csv"]

    def code(self, file: str) -> str:
        """Return the beginning of the digest of the code that made a file."""
        return short(self._made(file)["code_sha256"])

    def _made(self, file: str) -> Mapping[str, Any]:
        path = (self.results / file).as_posix()
        if path not in self.lineage:
            raise InputError(f"{path}: of unknown origin; permitted is what the workflow makes")
        return self.lineage[path]


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

    tutorial: YAML, what the tutorial reports of which settings. configuration: plain values, as shown on the page.
    conditions, studies: names of those to show. dataset_name: as in paths. Raises InputError where a file is missing or
    damaged.
    """
    settings: Mapping[str, Mapping[str, Any]] = configuration["conditions"]
    accuracy, runs, summary, comparison = (
        _in_order(pages.table(f"tables/{name}"), list(settings))
        for name in ("accuracy", "runs", "summary", "comparison")
    )
    claims = pages.table("tables/claims")
    reported = yaml.safe_load(_read(tutorial)) if pages.is_mnist else []
    pairs = comparison.drop_duplicates(["condition", "arm"])
    values = {
        **_claims_values(claims, "claims", "evidence"),
        "untested": [f"{claim.key} ({claim.statement})" for claim in CLAIMS if claim.key not in {*claims["claim"]}],
        "sections": [
            Section(
                name=name,
                settings=settings[name],
                tutorial=_tutorial_text(reported, settings[name]),
                findings=findings(name, summary, comparison, runs),
                summary=_summary_table(summary, name),
                comparison=_comparison_table(pairs, name),
            )
            for name in conditions
        ],
        "conditions": len(settings),
        "summary": _summary_table(summary),
        "comparison": _comparison_table(pairs),
        "failures": _failures_table(runs),
        "runs": make_table(
            "runs", runs, report_tables.RUNS, "Every run", "tables/runs.csv", "tables/accuracy.csv", "tables/layers.csv"
        ),
        "mechanics": _mechanics_table(pages.table("tables/mechanics_summary")),
        "origins": _origins_table(pages.table("tables/origins")),
        "explorer": explore_curves("curves", accuracy, list(settings), configuration["arms"]),
        "studies": [study_of(pages, name, configuration["studies"][name]) for name in studies],
        "provenance": "provenance.json",
        "dataset_name": dataset_name,
        "shown_seed": shown_seed,
        "networks": len(runs),
        "configuration": configuration,
        "configuration_text": yaml.safe_dump(
            dict(configuration), sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
        ),
    }
    pages.write("report", values)


def make_study_report(pages: Pages, configuration: Mapping[str, Any], experiments: Sequence[Mapping[str, str]]) -> None:
    """Render studies.html from the CSV and SVG files in the folder of results.

    experiments: what is shown beside the configuration's studies: `name`, `about` and `caption` of each. configuration
    is that of `make_report`, as are the errors raised.
    """
    studies = [study_of(pages, name, study) for name, study in configuration["studies"].items()]
    shown = [*studies, *(StudySection(one["name"], one["about"], one["caption"]) for one in experiments)]
    claims = _claims_values(pages.table("tables/all_claims"), "all_claims", "all_evidence")
    pages.write("studies", {**claims, "studies": shown, "provenance": "studies/provenance.json"})


def study_of(pages: Pages, name: str, study: Mapping[str, Any]) -> StudySection:
    """Collect what a page shows of a study of the configuration."""
    swept, folder = list(study["sweep"]), f"studies/{name}"
    is_map = set(swept) == MAP and all(isinstance(std, float | int) for std in study["sweep"]["init_std"])
    accuracy, runs, summary = (pages.table(f"{folder}/{table}") for table in ("accuracy", "runs", "summary"))
    arms = list(dict.fromkeys(runs["arm"]))
    condition = variants(accuracy, swept)
    return StudySection(
        name=name,
        about=study["about"],
        caption=CAPTION_OF_MAPS if is_map else CAPTION_OF_CELLS,
        summary=make_table(
            f"study-{name}-summary",
            summary,
            report_tables.study_columns(swept),
            "Final validation accuracy, mean and 95% interval over runs that stayed finite, and what became of all",
            f"{folder}/summary.csv",
        ),
        runs=make_table(
            f"study-{name}-runs",
            runs,
            report_tables.study_run_columns(swept),
            "Every run of the study",
            f"{folder}/runs.csv",
            f"{folder}/accuracy.csv",
        ),
        explorers=[
            explore_runs(f"map-of-{name}", runs, swept),
            explore_curves(
                f"curves-of-{name}", accuracy.assign(condition=condition), list(dict.fromkeys(condition)), arms
            ),
        ],
    )


def verdicts_of(claims: pd.DataFrame) -> list[ClaimCard]:
    """Return the claims of a table at a glance."""
    return [
        ClaimCard(
            claim=row["claim"],
            statement=row["statement"],
            mark=MARKS[decided],
            verdict=decided,
            effect=row["effect_text"],
            must_be=row["condition_text"],
            pairs=row["n"],
        )
        for row in report_tables.claims_frame(claims).to_dict("records")
        for decided in [row["verdict"] if row["n"] >= MIN_PAIRS else ""]
    ]


def _claims_values(claims: pd.DataFrame, name: str, evidence: str) -> dict[str, Any]:
    """Return what both pages show of the claims. name, evidence: of the table and of that of its evidence."""
    verdicts = verdicts_of(claims)
    files = f"tables/{name}.csv", f"tables/{evidence}.csv"
    return {
        "verdicts": verdicts,
        "counts": Counter(verdict.verdict for verdict in verdicts),
        "claims": make_table(
            name,
            report_tables.claims_frame(claims),
            report_tables.CLAIMS,
            "Every claim with its verdict; the second file holds the value of every pair",
            *files,
        ),
    }


def _in_order(table: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Put the rows of a table into the order of the conditions; within each they stay as they are."""
    places = {name: place for place, name in enumerate(conditions)}
    return table.sort_values("condition", key=lambda names: names.map(places), kind="stable")


def _of(condition: str | None, table: pd.DataFrame) -> tuple[pd.DataFrame, str, str]:
    """Return the rows of one condition, or all of them; which these are, in words; what begins the table's id."""
    if condition is None:
        return table, "all rows", ""
    return table[table["condition"] == condition], f"condition = {condition}", f"condition-{condition}-"


def _summary_table(summary: pd.DataFrame, condition: str | None = None) -> Table:
    rows, rows_are, prefix = _of(condition, summary)
    caption = (
        "Accuracy of each arm, mean and 95% interval over seeds. Where some runs diverged, the mean is of the others"
    )
    return make_table(f"{prefix}summary", rows, report_tables.SUMMARY, caption, "tables/summary.csv", rows_are=rows_are)


def _comparison_table(pairs: pd.DataFrame, condition: str | None = None) -> Table:
    rows, rows_are, prefix = _of(condition, pairs)
    return make_table(
        f"{prefix}comparison",
        rows,
        report_tables.COMPARISON,
        "Paired difference of final validation accuracy, seed by seed",
        "tables/comparison.csv",
        rows_are=f"{rows_are}; the last columns, which all pairs of a condition and arm share",
    )


def _failures_table(runs: pd.DataFrame) -> Table:
    unhealthy = runs[~runs["state"].isin(["healthy", "unknown"])]
    caption = "Runs that did not end healthy, and where that began"
    return make_table(
        "failures",
        unhealthy,
        report_tables.FAILURES,
        caption,
        "tables/runs.csv",
        rows_are="state is neither healthy nor unknown",
    )


def _mechanics_table(summary: pd.DataFrame) -> Table:
    caption = "Mean and standard deviation of the mini-batch after every step"
    return make_table("mechanics", summary, report_tables.MECHANICS, caption, "tables/mechanics_summary.csv")


def _origins_table(origins: pd.DataFrame) -> Table:
    frame = report_tables.origins_frame(origins)
    caption = "What the runs were trained with"
    return make_table(
        "origins", frame, report_tables.ORIGINS, caption, "tables/origins.csv", rows_are="all rows, counted"
    )


def _tutorial_text(reported: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str | None:
    return next((str(entry["text"]) for entry in reported if entry["settings"] == settings), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
