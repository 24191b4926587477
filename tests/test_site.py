"""The documentation site builds without a warning, and a broken link gives one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workplace import REPOSITORY

pytest.importorskip("sphinx")
pytest.importorskip("myst_parser")
pytest.importorskip("furo")
COMMAND = (sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--conf-dir", "docs")


def build(root: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, ".", str(site)], cwd=root, capture_output=True, text=True, timeout=600, check=False
    )


def test_the_site_is_built_without_a_warning_with_docstrings_and_an_example_that_opens(tmp_path: Path) -> None:
    done = build(REPOSITORY, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    api = (tmp_path / "docs/api.html").read_text(encoding="utf-8")
    assert 'id="bnpipe.training.train.train_runs"' in api
    assert 'href="docs/example/report.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")
    example = (REPOSITORY / "docs/example/report.html").read_bytes()
    assert (tmp_path / "docs/example/report.html").read_bytes() == example


@pytest.mark.parametrize("link", ["missing.md", "docs/design.md#missing"])
def test_a_broken_link_fails_and_is_named(link: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "docs").mkdir(parents=True)
    configuration = (REPOSITORY / "docs/conf.py").read_text(encoding="utf-8")
    (root / "docs/conf.py").write_text(f"{configuration}\nCONTENTS = {{'All': ['docs/design']}}\n", encoding="utf-8")
    (root / "docs/design.md").write_text("# Design\n", encoding="utf-8")
    (root / "README.md").write_text(f"# Front\n\n[a](docs/design.md#design) [b]({link})\n", encoding="utf-8")
    done = build(root, tmp_path / "site")
    assert done.returncode == 1
    assert "README.md:3: WARNING" in done.stderr
    assert link.rpartition("#")[2] in done.stderr
    assert done.stderr.count("WARNING") == 1
