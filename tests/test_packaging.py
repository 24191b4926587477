"""Installed packages and images are complete."""

import fnmatch
import re
import tomllib

from tests.workplace import REPOSITORY


def test_a_wheel_holds_every_template() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["bnpipe.report"]
    report = REPOSITORY / "bnpipe/report"
    others = [path for path in report.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert {path.suffix for path in others} == {".j2", ".css", ".js", ".yaml"}
    for path in others:
        assert any(fnmatch.fnmatch(str(path.relative_to(report)), pattern) for pattern in patterns), path


def test_the_image_is_made_by_targets_that_there_are_and_from_the_lock() -> None:
    lines = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "make install" in lines  # which installs requirements.lock
    named = [*re.findall(r"make ([a-z]+)", lines), *re.findall(r'CMD \["(\w+)"\]', lines), "demo"]
    assert {*named} <= {*targets}
    left_out = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    assert not {"requirements.lock", "Makefile", "bnpipe", "workflow", "config.yaml", "demo"} & {*left_out}
