"""The page on the studies, and what pages show of a study."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bnpipe.analysis import carry_over, equilibrium, optimizers
from bnpipe.analysis.measures.sources import PAIR
from bnpipe.analysis.study_tables import is_map
from bnpipe.core.yaml_files import read_yaml
from bnpipe.report import tables
from bnpipe.report.answers import paper_answer, study_answer
from bnpipe.report.curves_chart import explore_curves
from bnpipe.report.explorer import Explorer
from bnpipe.report.pages import ClaimCard, Pages, cards_of_study, claims_values
from bnpipe.report.runs_chart import explore_runs, variants
from bnpipe.report.tables import Table, make_table

CAPTION_OF_CELLS = (
    "Final validation accuracy of every run, with means and their 95% intervals, and mean curves. See which networks "
    "learn at all, and whether intervals stay apart."
)
CAPTION_OF_MAPS = (
    "Mean final validation accuracy of each learning rate and init std, and every run over learning rate / init std². "
    "The curves coincide where only that ratio matters."
)


# Studies with sentences of their own: the table that they are computed from, and the function that does so.
ANSWERS: dict[str, tuple[str, Callable[[pd.DataFrame], str]]] = {
    "convolutional": ("carry_over", carry_over.sentence),
    "optimizers": ("ratios", optimizers.answer),
    "equilibrium": ("equilibrium", equilibrium.answer),
}


@dataclass(frozen=True)
class StudySection:
    """What a page shows of a study."""

    name: str
    about: str  # the question that it asks
    caption: str  # of its figure
    claims: Sequence[ClaimCard] = ()  # those that are measured from it
    answer: Sequence[str] = ()  # what its runs also show, in sentences
    summary: Table | None = None
    runs: Table | None = None
    explorers: Sequence[Explorer] = ()


def make_study_report(pages: Pages, configuration: Mapping[str, Any], experiments: Sequence[str], texts: Path) -> None:
    """Render studies.html from the CSV and SVG files in the folder of results.

    configuration: plain values. experiments: names of those to show after the configuration's studies. texts: YAML,
    `about` and `caption` of each experiment. Raises InputError if a file is missing or damaged.
    """
    told = read_yaml(texts)
    claims = claims_values(pages, "all_claims", "all_evidence")
    groups = claims["groups"]
    studies = [study_of(pages, name, study, groups) for name, study in configuration["studies"].items()]
    studies += [
        StudySection(name, **told[name], claims=cards_of_study(groups, name), answer=_answer_of_experiment(pages, name))
        for name in experiments
    ]
    pages.write("studies", {**claims, "studies": studies, "provenance": "studies/provenance.json"})


def _answer_of_experiment(pages: Pages, name: str) -> Sequence[str]:
    """Say what an experiment shows besides the claims that are measured from it."""
    if name != "paper":
        return _own_answer(pages, name)
    return paper_answer(pd.concat([pages.table(f"studies/paper/accuracy-{arm}") for arm in PAIR]))


def _own_answer(pages: Pages, study: str) -> list[str]:
    """Return the sentences of a study that has its own."""
    if study not in ANSWERS:
        return []
    table, answer = ANSWERS[study]
    return [answer(pages.table(f"studies/{study}/{table}"))]


def study_of(
    pages: Pages, name: str, study: Mapping[str, Any], groups: Mapping[str, Sequence[ClaimCard]]
) -> StudySection:
    """Collect what a page shows of a study. study: its plain values in the configuration. groups: the page's claims."""
    swept, folder = list(study["sweep"]), f"studies/{name}"
    accuracy, runs, summary = (pages.table(f"{folder}/{table}") for table in ("accuracy", "runs", "summary"))
    arms = list(dict.fromkeys(runs["arm"]))
    condition = variants(accuracy, swept)
    return StudySection(
        name=name,
        about=study["about"],
        caption=CAPTION_OF_MAPS if is_map(runs, swept) else CAPTION_OF_CELLS,
        claims=cards_of_study(groups, name),
        answer=[
            *_own_answer(pages, name),
            *study_answer(summary, runs, swept, study["condition"].get("stop_at_accuracy") is not None),
        ],
        summary=make_table(
            f"study-{name}-summary",
            summary,
            tables.study_columns(swept),
            "Final validation accuracy, mean and 95% interval over runs that stayed finite, and the states of all runs",
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
