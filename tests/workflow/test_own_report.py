"""Snakemake's own report (`snakemake --report`) of a finished workplace."""

import json
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.conftest import MakeOnce
from tests.workplace import CONFIGURATION, Workplace


def report_data(page: str, name: str) -> Any:
    """Return the data that a page of Snakemake's own report holds under a name."""
    (text,) = re.findall(rf"^\s*var {name} = (\{{.*\}});?$", page, re.MULTILINE)
    return json.loads(text)


@pytest.fixture(scope="session")
def own_report(make_once: MakeOnce, finished: Workplace) -> str:
    """Return Snakemake's own report as one page, built without access to the network."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for scheme in ("HTTP", "HTTPS"):
                patch.setenv(f"{scheme}_PROXY", "http://127.0.0.1:9")
            finished.copy(folder / "workplace").run("--report", str(folder / "report.html"))

    return (make_once("own_report", make) / "report.html").read_text(encoding="utf-8")


def test_snakemakes_own_report_holds_every_figure_and_table_of_the_default_target(
    finished: Workplace, own_report: str
) -> None:
    made = {f"results/digits/{path}" for path in finished.contents()}
    results, categories = report_data(own_report, "results"), report_data(own_report, "categories")
    kinds = {".svg": "Figures", ".csv": "Tables", ".html": "Report"}
    assert set(results) == {path for path in made if Path(path).suffix in kinds}
    placed = {path: (name, group) for name, groups in categories.items() for group in groups for path in groups[group]}
    assert set(placed) == set(results)
    for path, (category, group) in placed.items():
        assert category == kinds[Path(path).suffix]
        assert (group == "Other") == (category == "Report"), path


def test_what_is_in_snakemakes_own_report_is_told_apart_and_explained(own_report: str) -> None:
    results = report_data(own_report, "results")
    labels = [tuple(result["labels"].items()) for result in results.values()]
    assert len(set(labels)) == len(labels)
    assert all(value and "{" not in value for label in labels for _, value in label)
    for path, result in results.items():
        caption = re.sub(r"<[^>]*>", "", result["caption"]).strip()
        assert len(caption) > 30, path
        assert not re.search(r"[{}]|None|Undefined|  ", caption), caption
        condition = Path(path).parent.name
        assert condition not in CONFIGURATION["conditions"] or condition in caption


def test_snakemakes_own_report_is_an_archive_too(workplace: Workplace, tmp_path: Path) -> None:
    workplace.run("--report", str(tmp_path / "report.zip"))
    with ZipFile(tmp_path / "report.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert {"report.html", "overview.svg", "claims.csv"} <= names
