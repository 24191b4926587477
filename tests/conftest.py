import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from benchmarks.made_up import make_dataset
from bnpipe.analysis.tables import LAYER_COLUMNS, PROBE_ACCURACIES
from bnpipe.core.records import Curves, Origin, Record
from bnpipe.core.settings import Arm, Runs, TrainingSettings
from bnpipe.data.packed import Dataset
from bnpipe.grid.plan import RUN_TABLES
from tests.workplace import Workplace

MakeOnce = Callable[[str, Callable[[Path], None]], Path]
SLOW = ("finished_studies", "finished")  # fixtures
TANH = TrainingSettings(
    arm="batchnorm",
    activation="tanh",
    learning_rate=0.01,
    init_std=0.1,
    steps=130,
    hidden_sizes=(100,) * 9,
    batch_size=60,
    evaluation_interval=60,
    epsilon=1e-3,
    moving_average_weight=0.01,
    moving_variance="biased",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow tests first. At the end, a worker without tests takes over quick ones from another worker."""

    def place(item: pytest.Item) -> int:
        fixtures = getattr(item, "fixturenames", [])
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


def make_settings(**changes: Any) -> TrainingSettings:
    """Return the settings of the tutorial's first condition, with changes."""
    return replace(TANH, **changes)


def make_runs(seeds: Sequence[int], **changes: Any) -> Runs:
    """Return one run of these settings for each seed. `learning_rate` and `init_std` may be lists by run."""
    return Runs.of_seeds(TANH, seeds).change(**changes)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Return a small made-up data set. The number of training images is not a multiple of the batch size, 60."""
    return make_dataset(train=1000, validation=700, test=333)


def run_tables(results: Path) -> dict[str, Path]:
    """Return the paths of the tables that `make_tables` writes below a folder of results."""
    return {name: results / f"tables/{name}.csv" for name in RUN_TABLES}


def make_record(
    condition: str = "tanh",
    arm: Arm = "vanilla",
    seeds: Sequence[int] = (42,),
    accuracy: Sequence[float] = (0.1, 0.5, 0.9),
    diverged: bool = False,
    steps: int = 130,
    diagnostics: bool = True,
) -> Record:
    """Return a made-up record. Run r has `accuracy` minus r hundredths, and is evaluated at steps 0, 60, 120.

    It has three layers. Half of the last layer's units are saturated and none is dead. Diverged runs broke down in the
    second layer.
    """
    runs = len(seeds)
    seen = {name: np.ones((runs, len(accuracy), 3), np.float32) for name in LAYER_COLUMNS[5:]}
    seen["saturated"] = seen["saturated"] * np.array([0, 0.25, 0.5], np.float32)
    seen["dead"] = seen["dead"] * 0
    seen |= {name: np.full((runs, len(accuracy)), 0.5, np.float32) for name in PROBE_ACCURACIES}
    nowhere = (1, 1, 0) if diverged else (-1, -1, -1)
    values = np.array(accuracy) - 0.01 * np.arange(runs)[:, np.newaxis]
    training_loss = np.full((runs, steps), 0.5, np.float32)
    if diverged:
        training_loss[:, 1:] = np.nan
    return Record(
        condition=condition,
        settings=(make_settings(arm=arm, steps=steps),) * runs,
        origin=Origin("mnist", "d" * 64, "c" * 64, "cpu", {"python": "3.11.7", "numba": "0.68.1", "numpy": "2.4.6"}),
        curves=Curves(
            seeds=np.array(seeds, np.int64),
            steps=np.arange(len(accuracy), dtype=np.int64) * 60,
            accuracy=values,
            loss=1 - values,
            training_loss=training_loss,
            test_accuracy=values[:, -1] - 0.001,
            test_loss=1 - values[:, -1],
            finite_weights=np.full(runs, not diverged, np.uint8),
            diagnostics=seen if diagnostics else {},
            failure=np.array([nowhere] * runs, np.int64) if diagnostics else None,
        ),
    )
