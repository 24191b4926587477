"""Finished workplaces. The first worker that needs one makes it, and then it is only copied during the session."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.workplace import ALL_STUDIES, Workplace

MakeOnce = Callable[[str, Callable[[Path], None]], Path]
HERE = Path(__file__).parent
SLOW = ("elsewhere", "finished_studies", "finished")  # fixtures


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow tests first. At the end, a worker without tests takes over quick ones from another worker."""

    def place(item: pytest.Item) -> int:
        fixtures = getattr(item, "fixturenames", []) if item.path.is_relative_to(HERE) else []
        return next((index for index, name in enumerate(SLOW) if name in fixtures), len(SLOW))

    items.sort(key=place)


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """Return a function that fills a new folder with the given name, or waits until another worker has done so."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # the common folder of all workers

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, finished = shared / name, shared / f"{name}.finished"
        with FileLock(shared / f"{name}.lock"):
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)  # left by a worker that failed
                folder.mkdir()
                make(folder)
                finished.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def finished(make_once: MakeOnce) -> Workplace:
    """Return a workplace with the default target. Tests only read it."""
    return Workplace(make_once("finished", lambda folder: Workplace.create(folder).run()))


@pytest.fixture(scope="session")
def one_study(make_once: MakeOnce, finished: Workplace) -> Workplace:
    """Return a workplace with the default target and one study. Tests only read it."""
    return Workplace(make_once("one_study", lambda folder: finished.copy(folder).run("study_regularization")))


@pytest.fixture(scope="session")
def finished_studies(make_once: MakeOnce, one_study: Workplace) -> Workplace:
    """Return a workplace with the default target and everything that claims need. Tests only read it."""

    def make(folder: Path) -> None:
        workplace = one_study.copy(folder)
        workplace.configure(**ALL_STUDIES)
        workplace.run("all", "studies")

    return Workplace(make_once("finished_studies", make))


@pytest.fixture
def workplace(finished: Workplace, tmp_path: Path) -> Workplace:
    """Return a copy of the finished workplace, which the test may change."""
    return finished.copy(tmp_path / "workplace")
