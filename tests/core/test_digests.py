import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from bnpipe.core.digests import PACKAGE, code_digest, module_files, versions

REPOSITORY = PACKAGE.parent


def names(module: str) -> set[str]:
    return {file.relative_to(PACKAGE).as_posix() for file in module_files(module)}


def test_training_is_built_on_what_it_imports_and_on_no_table_figure_or_configuration() -> None:
    assert names("training.train") == {
        *(f"core/{name}.py" for name in ("digests", "errors", "files", "parts", "records", "settings", "signals")),
        *("data/header.py", "data/packed.py"),
        *(f"networks/{name}.py" for name in ("compiled", "first_batch", "network", "seeds", "sizes")),
        *(f"training/{name}.py" for name in ("checkpoints", "diagnostics", "engines", "train", "trainer")),
        *(f"modules/{name}.py" for name in ("batch_norms", "descent", "devices", "engine", "gpus", "leases")),
        *(f"modules/{name}.py" for name in ("network", "noise", "norms", "optimizers", "parts")),
    }


def test_digest_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "bnpipe"
    package.mkdir()
    (package / "a.py").write_text("from bnpipe import b\nimport json\n")
    (package / "b.py").write_text("x = 1\n")
    (package / "c.py").write_text("y = 1\n")
    monkeypatch.setattr("bnpipe.core.digests.PACKAGE", package)
    module_files.cache_clear()
    assert [file.name for file in module_files("a")] == ["a.py", "b.py"]
    before = code_digest("a")
    (package / "c.py").write_text("y = 2\n")
    assert code_digest("a") == before
    (package / "b.py").write_text("x = 2\n")
    assert code_digest("a") != before
    module_files.cache_clear()


def test_a_module_that_is_not_there_has_no_digest() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no module figures\.typo"):
        code_digest("figures.typo")


def test_versions_are_the_installed_ones() -> None:
    import torch

    found = versions("torch")
    assert found["python"] == "{}.{}.{}".format(*sys.version_info)
    assert torch.__version__.startswith(found["torch"].split("+")[0])


def test_what_the_snakefile_imports_leaves_torch_and_pandas_alone() -> None:
    modules = "bnpipe.grid.stacks, bnpipe.grid.config, bnpipe.data.sources, bnpipe.core.digests"
    program = f"import {modules}, sys; print({{'torch', 'torchvision', 'pandas', 'matplotlib'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("file", ["workflow/envs/bnpipe.yaml", "environment.yml"])
def test_the_conda_environments_have_the_bounds_of_pyproject(file: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    conda = yaml.safe_load((REPOSITORY / file).read_text())["dependencies"]
    other_names = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    bounds: dict[str, str] = dict(dependency.split(">=") for dependency in project)
    expected = {other_names.get(name, name): bound for name, bound in bounds.items()} | {"python": "3.11"}
    if file == "environment.yml":
        expected |= {"setuptools": "77"}
        conda.remove("pip")
    else:  # what runs a job, not Snakemake itself
        expected = {name: bound for name, bound in expected.items() if not name.startswith("snakemake")}
    assert dict(dependency.split(" >=") for dependency in conda) == expected


def test_the_citation_is_of_this_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_the_locks_hold_every_dependency_and_no_host() -> None:
    locks = [(REPOSITORY / f"requirements{kind}.lock").read_text() for kind in ("", "-dev")]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    users, developers = project["dependencies"], project["optional-dependencies"]["dev"]
    pins, all_pins = ({line.split()[0] for line in lock.splitlines() if "==" in line.split(" ")[0]} for lock in locks)
    names, all_names = ({pin.split("==")[0] for pin in lock} for lock in (pins, all_pins))
    assert pins < all_pins  # `make test` adds packages and changes none
    assert {dependency.split(">=")[0].lower() for dependency in users} <= names
    assert {dependency.split(">=")[0].lower() for dependency in [*users, *developers]} <= all_names
    assert not names & {"pytest", "mypy", "playwright", "ruff"}
    assert not any("://" in lock for lock in locks)
