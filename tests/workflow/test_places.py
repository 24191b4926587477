"""Results in other places: under an absolute prefix of another workflow, and fetched by a storage plugin."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workplace import CONFIGURATION, Workplace, copy_project

PAGE, PROVENANCE = "results/digits/report.html", "results/digits/provenance.json"
MODULE = """
configfile: "mine.yaml"


module bnpipe:
    snakefile:
        "bnpipe/Snakefile"
    config:
        config["bnpipe"]
    prefix:
        {prefix!r}


use rule * from bnpipe as bnpipe_*
"""


def bring(finished: Workplace, folder: Path) -> None:
    """Copy all results except the page and provenance.json into a folder."""
    for part in ("results", "resources", "logs"):
        shutil.copytree(finished.folder / part, folder / part)
    for name in (PAGE, PROVENANCE):
        (folder / name).unlink()


def check_the_same(finished: Workplace, folder: Path, rules: str = "") -> None:
    """Compare page and provenance.json. rules: the prefix of the names of rules in the folder."""
    assert (folder / PAGE).read_bytes() == (finished.folder / PAGE).read_bytes()
    made = (folder / PROVENANCE).read_text(encoding="utf-8").replace(f'"rule": "{rules}', '"rule": "')
    assert made.splitlines() == (finished.folder / PROVENANCE).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("prefix", ["{folder}/my results", "below"], ids=["absolute", "relative"])
def test_under_a_prefix_the_page_is_the_same(finished: Workplace, tmp_path: Path, prefix: str) -> None:
    prefix = prefix.format(folder=tmp_path / "another place")
    work = tmp_path / "work"
    (work / "bnpipe").mkdir(parents=True)
    copy_project(work / "bnpipe")
    (work / "Snakefile").write_text(MODULE.format(prefix=prefix), encoding="utf-8")
    (work / "mine.yaml").write_text(yaml.safe_dump({"bnpipe": CONFIGURATION}, sort_keys=False), encoding="utf-8")
    bring(finished, work / prefix)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--rerun-triggers", "mtime", "--"]
    done = subprocess.run(
        [*command, f"{prefix}/{PROVENANCE}"], cwd=work, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    check_the_same(finished, work / prefix, "bnpipe_")


@pytest.mark.skipif(not shutil.which("rsync"), reason="the storage plugin for file systems needs rsync")
def test_with_a_storage_plugin_the_page_is_the_same(finished: Workplace, tmp_path: Path) -> None:
    work = Workplace.create(tmp_path)
    bring(finished, work.folder)
    storage = ["--default-storage-provider", "fs", "--local-storage-prefix", str(tmp_path / "fast disk")]
    work.run(*storage, "--rerun-triggers", "mtime", "--", PROVENANCE)
    check_the_same(finished, work.folder)
