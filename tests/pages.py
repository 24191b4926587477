"""Small results, from which tests render pages quickly."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bnpipe.analysis.claims import claims_table, counted, values_table
from bnpipe.analysis.measures.sources import Sources
from bnpipe.analysis.study_tables import study_summary_table
from bnpipe.analysis.tables import make_tables
from bnpipe.core.csv_files import read_table, write_table
from bnpipe.core.records import write_record
from bnpipe.core.settings import Arm
from bnpipe.grid.config import SmallestEffects
from bnpipe.report.pages import Pages
from bnpipe.report.report import make_report
from bnpipe.report.studies import make_study_report
from tests.conftest import make_record, run_tables

ARMS: list[Arm] = ["vanilla", "batchnorm"]
TEMPLATES = Path(__file__).parents[1] / "bnpipe/report/templates"
CODE = "c0de" * 16
CONFIGURATION: dict[str, Any] = {
    "dataset": "mnist",
    "seeds": [42, 2000],
    "best_rate": {"steps": 1001},
    "arms": ARMS,
    "diagnostics": True,
    "closer_looks": True,
    "conditions": {"tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000}},
    "studies": {
        "rates": {
            "about": "Which learning rate?",
            "condition": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
            "sweep": {"learning_rate": [0.01, 0.1], "init_std": [0.1, "he"]},
        }
    },
}
MECHANICS = pd.DataFrame(
    {"unit": [3], "stage": "before", "formula": "z", "gamma": None, "beta": 0.5, "mean": 1.5, "standard_deviation": 2}
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="360pt" height="216pt" viewBox="0 0 360 216">\n'
    '<rect width="300" height="200" fill="#0072B2"/></svg>'
)


def figures_of(configuration: Mapping[str, Any]) -> list[str]:
    """Return the names of the figures of report.html."""
    starts, kinds = ("small", "xavier", "unit"), ("layers", "histograms", "growth")
    of_conditions = ("single_seed", "all_seeds", "diagnostics")
    return [
        "best_rate",
        "overview",
        "states",
        "mechanics",
        "inference",
        *[f"{condition}/{kind}" for condition in configuration["conditions"] for kind in of_conditions],
        *[f"initialization/{start}_{kind}" for start in starts for kind in kinds],
        "initialization/growth",
        "studies/rates",
    ]


def make_results(folder: Path, configuration: Mapping[str, Any] = CONFIGURATION) -> Path:
    """Write tables and figures of made-up runs: all runs of vanilla diverged, and those of batchnorm reached 90%."""
    conditions, seeds = list(configuration["conditions"]), configuration["seeds"]
    records = []
    for condition in conditions:
        for arm in ARMS:
            diverged = arm == "vanilla"
            record = make_record(condition, arm, seeds, (0.1, 0.1) if diverged else (0.5, 0.95), diverged)
            records.append(folder / f"runs/{condition}/{arm}.safetensors")
            write_record(record, records[-1])
    make_tables(records, conditions, ARMS, seeds, **run_tables(folder))
    read = {name: read_table(folder / f"tables/{name}.csv") for name in ("accuracy", "runs")}
    values = values_table(Sources(read, configuration["conditions"]))
    for name in ("claims", "all_claims"):
        write_table(claims_table(values, SmallestEffects().model_dump()), folder / f"tables/{name}.csv")
        write_table(counted(values), folder / f"tables/{name.replace('claims', 'evidence')}.csv")
    for arm, accuracy in (("vanilla", 0.8), ("batchnorm", 0.9)):
        write_table(paper_accuracy(arm, accuracy), folder / f"studies/paper/accuracy-{arm}.csv")
    write_table(MECHANICS, folder / "tables/mechanics_summary.csv")
    for name, study in configuration["studies"].items():
        make_study_files(folder / "studies" / name, study["sweep"], conditions[0], folder / "tables")
    for name in [*figures_of(configuration), "studies/paper", "claims", "all_claims"]:
        figure = folder / f"figures/{name}.svg"
        figure.parent.mkdir(parents=True, exist_ok=True)
        figure.write_text(SVG)
    return folder


def paper_accuracy(arm: str, last: float) -> pd.DataFrame:
    """Return the accuracies of an arm of the paper's experiment at three steps. last: the accuracy at the last one."""
    accuracies = {0: 0.1, 500: last - 0.05, 1000: last}
    return pd.DataFrame([(arm, 2000, *row) for row in accuracies.items()], columns=["arm", "seed", "step", "accuracy"])


def make_study_files(folder: Path, sweep: Mapping[str, Sequence[Any]], condition: str, tables: Path) -> None:
    """Write the tables of a study. Every combination of its values gets the runs of one condition."""
    cells = pd.MultiIndex.from_product([*sweep.values()], names=list(sweep)).to_frame(index=False)
    made = {}
    for name in ("accuracy", "runs"):
        table = read_table(tables / f"{name}.csv")
        made[name] = cells.merge(table[table["condition"] == condition].drop(columns="condition"), how="cross")
        write_table(made[name], folder / f"{name}.csv")
    write_table(study_summary_table(made["runs"], list(sweep)), folder / "summary.csv")


def pages_of(folder: Path, dataset: str = "MNIST", is_mnist: bool = True) -> Pages:
    """Return what the pages share. Every file counts as made from the table of claims."""
    name = f"results/{folder.name}"
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".csv", ".svg")]
    lineage = {f"{name}/{file}": {"code_sha256": CODE, "made_from": [f"{name}/tables/claims.csv"]} for file in files}
    return Pages(folder, TEMPLATES, dataset, is_mnist, lineage)


def render(
    folder: Path,
    configuration: Mapping[str, Any] = CONFIGURATION,
    conditions: Sequence[str] | None = None,
    **changes: Any,
) -> str:
    """Render report.html. conditions: those that get a section; None means all. changes: arguments of `pages_of`."""
    make_report(
        pages_of(folder, **changes),
        TEMPLATES / "tutorial.yaml",
        configuration,
        list(configuration["conditions"]) if conditions is None else conditions,
        ["rates"],
        "mnist",
        shown_seed=42,
    )
    return (folder / "report.html").read_text(encoding="utf-8")


def render_studies(
    folder: Path, configuration: Mapping[str, Any] = CONFIGURATION, experiments: Sequence[str] = ("paper",)
) -> str:
    """Render studies.html. experiments: those that are not a grid."""
    make_study_report(pages_of(folder), configuration, experiments, TEMPLATES / "experiments.yaml")
    return (folder / "studies.html").read_text(encoding="utf-8")
