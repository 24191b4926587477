"""The Makefile in projects with few dependencies: what it sets up, what it refuses, and what does not disturb it."""

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import termios
import venv
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from select import select
from types import MappingProxyType

import pytest

from bnpipe.core.progress import FINISHED
from bnpipe.data.sources import resolve
from tests.faults.grid import wait_until
from tests.idx_files import write_small_folder
from tests.workplace import REPOSITORY, Workplace, copy_project

# Builds the package for `pip install --editable` without setuptools, which would have to be downloaded. It also makes
# the new virtual environment see the packages of this one.
BACKEND = """
from pathlib import Path
from zipfile import ZipFile

def build_editable(folder, *_):
    name = "bnpipe-0-py3-none-any.whl"
    with ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("bnpipe-0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: bnpipe\\nVersion: 0\\n")
        wheel.writestr("bnpipe-0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("bnpipe-0.dist-info/RECORD", "")
        wheel.writestr("seen.pth", "{packages}\\n" + str(Path.cwd()))
    return name
""".replace("{packages}", sysconfig.get_path("purelib"))
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "bnpipe"
version = "0"
"""
OF_THESE_TESTS = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH")  # `make test` sets them
NOBODY = 54321  # the ID of a user without a name


class Project(Workplace):
    """A copy of the project that needs no download. Its virtual environment sees the packages of this one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        super().__init__(folder)
        copy_project(folder)
        self.configure()
        shutil.copy(REPOSITORY / "Makefile", folder)
        (folder / "requirements.lock").touch()
        (folder / "requirements-dev.lock").touch()
        (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
        (folder / "backend.py").write_text(BACKEND, encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of these tests, without the variables that only the tests have."""
        others = {name: value for name, value in os.environ.items() if name not in OF_THESE_TESTS}
        return {**others, "PYTHON": sys.executable}

    def make(
        self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, str, list[str]]:
        """Run make. Return its exit status, its output, and the lines of the output that are errors."""
        done = subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
        return done.returncode, done.stdout, lines


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that was set up among other projects. Its path has blanks, quotes and non-ASCII letters."""
    home = tmp_path_factory.mktemp("home")
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text("[install]\nuser = true\n", encoding="utf-8")
    project = Project(tmp_path_factory.mktemp("projects") / "my project's #1, größer")
    status, said, _ = project.make(
        "install",
        environment={
            "HOME": str(home),
            "XDG_CONFIG_HOME": "",
            "PIP_USER": "1",
            "PIP_TARGET": str(home / "elsewhere"),
            "PIP_REQUIRE_VIRTUALENV": "1",
            "PIP_REQUIRE_HASHES": "1",
            "PYTHONHOME": "/nonexistent",
            "PYTHONPATH": str(home),
            "PYTHONWARNINGS": "error",
            "VIRTUAL_ENV": "/nonexistent",
        },
    )
    assert status == 0, said
    assert said.index("3.2 GB") < said.index("-m venv")  # the size is stated before the download
    assert not (home / "elsewhere").exists()
    return project


def test_packages_for_tests_and_checks_are_installed_when_they_are_needed(project: Project) -> None:
    assert not (project.folder / ".venv/.developer").exists()
    status, said, _ = project.make(".venv/.developer")
    assert (status, (project.folder / ".venv/.developer").exists()) == (0, True), said


def test_another_pytorch_than_those_there_are_is_one_line(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    _, said, errors = project.make("install", "TORCH=rocm")
    assert errors == ["error: TORCH: expected cpu or cuda, got rocm"], said
    assert not (project.folder / ".venv").exists()


UV = """#!/bin/sh
echo "$@" >>"{calls}"
case "$*" in *torch-backend*) exit {status};; esac
"""


@pytest.mark.parametrize("reachable", [True, False])
def test_without_cuda_pytorch_comes_from_its_own_index_or_else_with_cuda(tmp_path: Path, reachable: bool) -> None:
    project = Project(tmp_path / "project")
    venv.create(project.folder / ".venv", with_pip=False)
    uv, calls = project.folder / ".venv/bin/uv", tmp_path / "calls"
    uv.write_text(UV.format(calls=calls, status=0 if reachable else 1), encoding="utf-8")
    uv.chmod(0o755)
    pins = ["anypackage==1", "nvidia-cublas==13", "torch==2.15.0", "torchvision==0.29.2", "triton==3"]
    lock = "".join(f"{pin} \\\n    --hash=sha256:{'0' * 64}\n" for pin in pins)
    (project.folder / "requirements.lock").write_text(lock, encoding="utf-8")
    rules = (project.folder / "Makefile").read_text(encoding="utf-8")
    commands = rules.replace('pip "$$uv"', "true").replace("INSTALL = set -e;", "INSTALL = set -e; uv=uv==1;")
    commands = re.sub(r"uv=\$\$\(grep[^;]*;", "", commands)
    commands += "\ncpu: ; @$(INSTALL); cpu_torch || true; from_lock requirements.lock\n"
    (project.folder / "Makefile").write_text(commands, encoding="utf-8")
    status, said, _ = project.make("cpu", "TORCH=cpu")
    assert status == 0, said
    first, second = calls.read_text(encoding="utf-8").splitlines()
    assert first.endswith("--no-deps --torch-backend cpu torch==2.15.0 torchvision==0.29.2")
    assert second.endswith("-r .venv/lock")
    installed = (project.folder / ".venv/lock").read_text(encoding="utf-8")
    assert re.findall(r"^[a-z-]+", installed, re.MULTILINE) == (
        ["anypackage"] if reachable else ["anypackage", "nvidia-cublas", "torch", "torchvision", "triton"]
    )
    assert installed.count("--hash") == (1 if reachable else 5)


def test_a_project_that_is_set_up_is_not_set_up_again(project: Project) -> None:
    assert project.make("install") == (0, "", [])


def test_on_one_core_and_whatever_is_around_everything_has_the_same_bytes(
    project: Project, finished: Workplace, tmp_path: Path
) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('the NumPy of another project')", encoding="utf-8")
    (project.folder / "matplotlibrc").write_text("axes.grid: maybe\n", encoding="utf-8")
    status, said, errors = project.make(
        *("CORES=1", "DATASET=digits"),
        environment={
            "PYTHONPATH": str(tmp_path),
            "SNAKEMAKE_PROFILE": "slurm-of-another-project",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "HOME": "/nonexistent",
        },
    )
    (project.folder / "matplotlibrc").unlink()
    assert (status, errors) == (0, []), said
    assert said.splitlines()[-1] == f"Report: {project.results}/report.html"
    assert (project.folder / ".snakemake/home/.cache/snakemake").is_dir()
    assert project.contents() == finished.contents()


def test_the_demo_ends_in_a_page_in_a_folder_of_its_own_and_says_what_is_next(project: Project) -> None:
    condition = {"activation": "tanh", "learning_rate": 0.01, "init_std": 1, "steps": 9}
    small = {"dataset": "digits", "seeds": 1, "closer_looks": False, "conditions": {"a": condition}}
    demo = project.folder / "demo"
    demo.mkdir()
    (demo / "config.yaml").write_text(json.dumps(small), encoding="utf-8")
    before = {path.name for path in project.folder.iterdir()}
    status, said, errors = project.make("demo", "CORES=2")
    assert (status, errors) == (0, []), said
    report, following = said.splitlines()[-2:]
    assert report == f"Report: {demo}/results/digits/report.html"
    assert (demo / "results/digits/report.html").is_file()
    assert following.startswith("Next: make.")
    assert {path.name for path in project.folder.iterdir()} <= before | {".snakemake"}
    assert re.search(r"^\[ 1/\d+\] data: \d+ s$", said, re.MULTILINE)
    assert re.search(r"^\[ *\d+/\d+\] train a, vanilla, seeds 42 to 2000: \d+ s$", said, re.MULTILINE)
    assert "Select jobs" not in said


def test_a_terminal_that_is_closed_leaves_a_checkpoint_and_no_lock(project: Project, tmp_path: Path) -> None:
    # The path of the data set holds what a shell would read as its own.
    dataset = write_small_folder(tmp_path / "my 'own' data; at $HOME/own")
    small = {"hidden_sizes": [20], "validation_images": 8, "batch_size": 8}
    condition = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 3_000_001}
    project.configure(conditions={"long": condition}, studies={}, paper=None, **small)
    name = resolve(str(dataset)).name
    results, logs = (project.folder / part / name for part in ("results", "logs"))
    log = logs / "train/long/vanilla/seeds-42-2000-5884f2a46b32.log"
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", "make CORES=3 SEEDS=1; true"],  # a terminal's first process is a shell
        cwd=project.folder,
        env={**project.environment, "DATASET": str(dataset)},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(inside)

    def is_there(text: str, path: Path) -> bool:
        if select([terminal], [], [], 0)[0]:
            os.read(terminal, 100_000)  # otherwise a full buffer would block the process
        return path.exists() and text in path.read_text(encoding="utf-8")

    try:
        wait_until(lambda: is_there(FINISHED, logs / "data.log"), "the data")
        wait_until(lambda: is_there(": step ", log), "a job to train")
        os.close(terminal)
        assert process.wait(10) == -signal.SIGHUP
        wait_until(lambda: not list((project.folder / ".snakemake/locks").glob("*")), "the lock to be removed")
        wait_until(lambda: "stopped" in log.read_text(encoding="utf-8"), "the job to end")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert log.read_text(encoding="utf-8").endswith(" ERROR stopped (exit status 143)\n")
    assert {path.suffix for path in (results / "runs").rglob("*.*")} == {".checkpoint"}


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can run as another user")
def test_a_user_without_name_and_home_folder_trains(project: Project, tmp_path: Path) -> None:
    # The user may read everything, because Python may be below root's home folder.
    capability = "+dac_read_search"
    user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    prefix = (*user, f"--inh-caps={capability}", f"--ambient-caps={capability}")
    if subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("on this machine no process can keep a capability")
    condition = {"activation": "tanh", "learning_rate": 0.05, "init_std": 0.1, "steps": 9}
    project.configure(conditions={"tanh": condition}, studies={}, paper=None)
    own = tmp_path / "project"
    shutil.copytree(project.folder, own, symlinks=True, ignore=shutil.ignore_patterns(".snakemake", "results", "logs"))
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    python = own / ".venv/bin/python"
    environment = {name: value for name, value in os.environ.items() if name not in ("USER", "LOGNAME", "PYTHONPATH")}
    # As docs/operations.md says, Snakemake creates its cache before it reads any file of this project.
    environment |= {"HOME": "/nonexistent", "XDG_CACHE_HOME": str(own / ".snakemake/cache")}
    (site_packages,) = own.glob(".venv/lib/python*/site-packages")
    (site_packages / "seen.pth").write_text(f"{sysconfig.get_path('purelib')}\n{own}", encoding="utf-8")
    done = subprocess.run(
        [*prefix, str(python), "-m", "snakemake", "--cores", "1", "--config", "dataset=digits", "--", "tables"],
        cwd=own,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = own / "results/digits/tables/accuracy.csv"
    assert table.stat().st_uid == NOBODY


@pytest.mark.parametrize("name", ["it's here; exit 3", 'say "cheese" & $HOME, ünïcode ~'])
def test_a_mirror_may_have_any_name(project: Project, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    status, said, errors = project.make("bench", f"MIRROR={tmp_path}/{name}")  # fails when it retrieves the data
    assert status != 0
    assert len(errors) == 1, said
    assert f"{tmp_path}/{name}" in errors[0]
    assert "train-images-idx3-ubyte" in errors[0]


def test_a_data_set_that_cannot_be_used_is_one_line(project: Project) -> None:
    status, said, errors = project.make("DATASET=no'such $set")
    assert status != 0
    assert len(errors) == 1, said
    assert "no'such $set" in errors[0]
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("seeds", "complaint"),
    [("2; exit 3", "seeds: expected the number of fresh seeds"), ("'$(exit 3)", "seeds: not YAML: ")],
)
def test_seeds_that_are_no_number_are_one_line(project: Project, seeds: str, complaint: str) -> None:
    status, said, errors = project.make(f"SEEDS={seeds}")
    assert status != 0
    assert len(errors) == 1, said
    assert complaint in errors[0]


@pytest.mark.parametrize("name", ['"', "$x", "a`b", "a\\b", "a:b", "{condition}", "line\nbreak"])
def test_a_folder_that_cannot_work_is_refused_before_anything_is_downloaded(tmp_path: Path, name: str) -> None:
    project = Project(tmp_path / name)
    status, said, errors = project.make("install")
    assert status != 0
    assert len(errors) == 1, said
    assert "; move the project" in errors[0]
    assert not (project.folder / ".venv").exists()


def test_snakemake_refuses_braces_in_the_path_in_one_line(tmp_path: Path) -> None:
    done = Project(tmp_path / "{condition}").snakemake("--dry-run")
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] == [
        f"error: {tmp_path}/{{condition}}/workflow/rules: expected a path without braces, which Snakemake reads as "
        "wildcards; move the project"
    ]
    assert "Traceback" not in done.stderr


@pytest.fixture
def copied(project: Project, tmp_path: Path) -> Project:
    """Return another project with a copy of the virtual environment of the first."""
    copied = Project(tmp_path / "copied")
    shutil.copytree(project.folder / ".venv", copied.folder / ".venv", symlinks=True)
    (copied.folder / ".venv/.installed").touch()
    return copied


def test_an_environment_that_was_copied_is_refused(copied: Project, project: Project) -> None:
    status, said, errors = copied.make("install")
    assert status != 0
    assert errors == [
        f"error: .venv: expected one made in this folder, got one made in {project.folder}; "
        "delete .venv, then run the same command again"
    ], said


def write_stamp(project: Project, *lines: str) -> None:
    (project.folder / ".venv/.installed").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_an_environment_in_another_place_may_be_linked(copied: Project, tmp_path: Path) -> None:
    write_stamp(copied, "Python {}.{}".format(*sys.version_info), str(copied.folder))
    (copied.folder / ".venv").rename(tmp_path / "scratch")
    (copied.folder / ".venv").symlink_to(tmp_path / "scratch")
    status, said, _ = copied.make("install")
    assert status == 0, said


def test_an_environment_whose_python_is_gone_is_refused(copied: Project) -> None:
    (copied.folder / ".venv/bin/python").unlink()
    (copied.folder / ".venv/bin/python").symlink_to("/nonexistent/python3")
    _, said, errors = copied.make("install")
    assert errors == [
        "error: .venv: expected a Python that starts, got none; delete .venv, then run the same command again"
    ], said


def test_an_environment_whose_python_became_another_version_is_refused(copied: Project) -> None:
    write_stamp(copied, "Python 3.2", str(copied.folder))
    _, said, errors = copied.make("install")
    assert len(errors) == 1, said
    assert errors[0].startswith("error: .venv: expected Python 3.2, which its packages are for, got Python 3.")


@pytest.mark.parametrize("is_complete", [True, False])
def test_an_environment_of_another_python_than_the_one_named_is_refused(copied: Project, is_complete: bool) -> None:
    write_stamp(copied, "Python {}.{}".format(*sys.version_info), str(copied.folder))
    if not is_complete:
        (copied.folder / ".venv/.installed").unlink()
    other = copied.folder / "other python"
    other.write_text("#!/bin/sh\necho Python 3.99\n", encoding="utf-8")
    other.chmod(0o755)
    _, said, errors = copied.make("install", environment={"PYTHON": str(other)})
    assert len(errors) == 1, said
    assert errors[0].startswith("error: .venv: expected Python 3.99, as PYTHON says, got Python 3.")


def test_a_python_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    _, said, errors = Project(tmp_path / "project").make("install", "PYTHON=/nonexistent/python3")
    assert len(errors) == 1, said
    assert errors[0].startswith("error: PYTHON: expected Python 3.11 or newer, got /nonexistent/python3 (")
