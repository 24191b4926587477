"""The same bytes wherever and however the workflow runs."""

import filecmp
from pathlib import Path

import pytest

from tests.workflow.conftest import MakeOnce
from tests.workplace import Workplace


@pytest.fixture(scope="session")
def elsewhere(make_once: MakeOnce) -> Workplace:
    """Return a workplace that was made on one core. Tests only read it."""

    def make(folder: Path) -> None:
        Workplace.create(folder).run("--cores", "1")

    return Workplace(make_once("elsewhere", make))


def test_another_folder_and_one_core_give_the_same_bytes(elsewhere: Workplace, finished: Workplace) -> None:
    assert elsewhere.contents() == finished.contents()


def test_jobs_of_other_sizes_give_the_same_bytes(workplace: Workplace, finished: Workplace) -> None:
    names = ("tables/accuracy", "tables/summary", "tables/comparison", "studies/precision/accuracy")
    made = [workplace.results / f"{name}.csv" for name in names]
    workplace.configure(chunk_size=3, runs_per_job=2)
    workplace.run(*(str(path.relative_to(workplace.folder)) for path in made))
    for path in made:
        assert filecmp.cmp(path, finished.results / path.relative_to(workplace.results), shallow=False)
