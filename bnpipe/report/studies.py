"""The page on the studies, and what pages show of a study."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bnpipe.analysis import carry_over, equilibrium, optimizers
from bnpipe.analysis.study_tables import is_map
from bnpipe.core.yaml_files import read_yaml
from bnpipe.report import tables
from bnpipe.report.curves_chart import explore_curves
from bnpipe.report.explorer import Explorer
from bnpipe.report.pages import Pages, claims_values
from bnpipe.report.runs_chart import explore_runs, variants
from bnpipe.report.tables import Table, make_table

CAPTION_OF_CELLS = (
    "Final validation accuracy of every run, with means and their 95% intervals, and mean curves. See which networks "
    "learn at all, and whether intervals stay apart."
)
CAPTION_OF_MAPS = (
    "Mean final validation accuracy of each learning rate and init std, and every run over learning rate / init std²: "
    "one curve where nothing but that ratio matters."
)


# The studies that answer their question in sentences: from which of their tables, and by what.
ANSWERS: dict[str, tuple[str, Callable[[pd.DataFrame], str]]] = {
    "convolutional": ("carry_over", carry_over.sentence),
    "optimizers": ("ratios", optimizers.answer),
    "equilibrium": ("equilibrium", equilibrium.answer),
}


class Answer(NamedTuple):
    """What a study answers."""

    text: str  # in sentences
    file: str  # the table that they come from


@dataclass(frozen=True)
class StudySection:
    """What a page shows of a study."""

    name: str
    about: str  # the question that it asks
    caption: str  # of its figure
    summary: Table | None = None
    runs: Table | None = None
    explorers: Sequence[Explorer] = ()
    answer: Answer | None = None


def make_study_report(pages: Pages, configuration: Mapping[str, Any], experiments: Sequence[str], texts: Path) -> None:
    """Render studies.html from the CSV and SVG files in the folder of results.

    configuration: plain values. experiments: names of what is shown besides the configuration's studies. texts: YAML,
    `about` and `caption` of each experiment. Raises InputError if a file is missing or damaged.
    """
    told = read_yaml(texts)
    studies = [study_of(pages, name, study) for name, study in configuration["studies"].items()]
    studies += [StudySection(name, **told[name], answer=_answer(pages, name)) for name in experiments]
    claims = claims_values(pages.table("tables/all_claims"), "all_claims", "all_evidence")
    pages.write("studies", {**claims, "studies": studies, "provenance": "studies/provenance.json"})


def _answer(pages: Pages, study: str) -> Answer | None:
    """Return what a study answers, if it does so in sentences."""
    if study not in ANSWERS:
        return None
    table, answer = ANSWERS[study]
    file = f"studies/{study}/{table}"
    return Answer(answer(pages.table(file)), f"{file}.csv")


def study_of(pages: Pages, name: str, study: Mapping[str, Any]) -> StudySection:
    """Collect what a page shows of a study. study: its plain values in the configuration."""
    swept, folder = list(study["sweep"]), f"studies/{name}"
    accuracy, runs, summary = (pages.table(f"{folder}/{table}") for table in ("accuracy", "runs", "summary"))
    arms = list(dict.fromkeys(runs["arm"]))
    condition = variants(accuracy, swept)
    return StudySection(
        name=name,
        about=study["about"],
        answer=_answer(pages, name),
        caption=CAPTION_OF_MAPS if is_map(runs, swept) else CAPTION_OF_CELLS,
        summary=make_table(
            f"study-{name}-summary",
            summary,
            tables.study_columns(swept),
            "Final validation accuracy, mean and 95% interval over runs that stayed finite, and what became of all",
            f"{folder}/summary.csv",
        ),
        runs=make_table(
            f"study-{name}-runs",
            runs,
            tables.study_run_columns(swept),
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
