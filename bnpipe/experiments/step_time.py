"""How long a training step takes in each arm. Since times are measured, only this table differs from run to run.

The arms take turns in one process, on one thread, so that whatever else the machine does affects all of them. The
measurement is repeated in other processes, because chance decides for a whole process where its memory lies and how
fast its core runs.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pandas as pd

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.training.trainer import Training, network_arithmetic, training_subset

PROCESSES = 10  # the interval from the second to the ninth value covers the median in 97.9% of cases
ROUNDS = 15
STEPS = 50  # in a turn: with two arms and two nonlinearities, all turns of all processes take about 35 s
STEP_TIME_COLUMNS = ["activation", "arm", "process", "seconds"]


def make_step_time(settings: Sequence[Mapping[str, Any]], seed: int, packed: Path, table: Path) -> None:
    """Measure the time of a training step under each of the settings, in several processes, and write the table.

    settings: each the fields of TrainingSettings. seed: of the networks. packed: the packed data set. Raises InputError
    if the packed file cannot be used.
    """
    kinds = [TrainingSettings.from_plain(fields) for fields in settings]
    open_dataset(packed)  # so that a fault in it is reported once
    # Each process measures once and ends; none runs beside another.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        measured = [pool.submit(_seconds_in_process, kinds, seed, packed).result() for _ in range(PROCESSES)]
    rows = [
        (kind.activation, kind.arm, process, seconds)
        for process, of_kinds in enumerate(measured, 1)
        for kind, seconds in zip(kinds, of_kinds, strict=True)
    ]
    write_table(pd.DataFrame(rows, columns=STEP_TIME_COLUMNS), table)


def _seconds_in_process(kinds: Sequence[TrainingSettings], seed: int, packed: Path) -> list[float]:
    return step_seconds(kinds, seed, open_dataset(packed).train)


def step_seconds(kinds: Sequence[TrainingSettings], seed: int, images: Images) -> list[float]:
    """Return the seconds that a training step of each kind of network takes in this process.

    Each is the median over rounds of training alone, without evaluation.
    """
    with network_arithmetic():
        trainings = [_network(settings, seed, images) for settings in kinds]
        _take_turns(trainings)  # to warm up
        rounds = [_take_turns(trainings) for _ in range(ROUNDS)]
    return [median(seconds) / STEPS for seconds in zip(*rounds, strict=True)]


def _network(settings: TrainingSettings, seed: int, images: Images) -> Training:
    shown = training_subset(settings, images)
    return Training(replace(settings, binarize=False, training_images=None), seed, shown)


def _take_turns(trainings: Sequence[Training]) -> list[float]:
    """Let each network take a turn; return the seconds that each took."""
    return [_seconds_of_turn(training) for training in trainings]


def _seconds_of_turn(training: Training) -> float:
    start = perf_counter()
    training.advance(STEPS)
    return perf_counter() - start
