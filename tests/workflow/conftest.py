"""Finished workplaces. The first worker that needs one makes it, and then it is only copied during the session."""

from pathlib import Path

import pytest

from tests.conftest import MakeOnce
from tests.workplace import ALL_STUDIES, Workplace


@pytest.fixture(scope="session")
def one_study(make_once: MakeOnce, finished: Workplace) -> Workplace:
    """Return a workplace with the default target and one study. Tests only read it."""
    return Workplace(make_once("one_study", lambda folder: finished.copy(folder).run("study_regularization")))


@pytest.fixture(scope="session")
def finished_studies(make_once: MakeOnce) -> Workplace:
    """Return a workplace with the default target and everything that claims need. Tests only read it."""

    def make(folder: Path) -> None:
        workplace = Workplace.create(folder)
        workplace.configure(**ALL_STUDIES)
        workplace.run("all", "studies")

    return Workplace(make_once("finished_studies", make))


@pytest.fixture
def workplace(finished: Workplace, tmp_path: Path) -> Workplace:
    """Return a copy of the finished workplace, which the test may change."""
    return finished.copy(tmp_path / "workplace")
