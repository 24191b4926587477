"""How long a training step takes in each arm: a measured time, so the one table that is not the same bytes every time.

The arms take turns in one process, on one thread: whatever else the machine does affects all of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pandas as pd

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Images, open_dataset
from bnpipe.networks.kernels import network_arithmetic
from bnpipe.training.trainer import Training

ROUNDS = 25
STEPS = 20  # in a turn: with two arms, two nonlinearities and ten seeds, all turns together take about 20 s
STEP_TIME_COLUMNS = ["activation", "arm", "seconds"]


def make_step_time(settings: Sequence[Mapping[str, Any]], seeds: Sequence[int], packed: Path, table: Path) -> None:
    """Measure the time of a training step under each of the settings, and write the table.

    settings: each the fields of TrainingSettings. packed: the packed data set. Raises InputError if the packed file
    cannot be used.
    """
    stacks = [Runs.from_plain(fields, seeds) for fields in settings]
    write_table(step_time_table(stacks, open_dataset(packed).train), table)


def step_time_table(stacks: Sequence[Runs], images: Images) -> pd.DataFrame:
    """Measure the seconds that a training step takes per network of a stack.

    Columns STEP_TIME_COLUMNS, a row for each stack: the median over rounds of training alone, without evaluation. The
    ratio of two arms depends on the size of the stack, over which the cost of normalization is spread.
    """
    with network_arithmetic():
        trainings = [Training(runs, images) for runs in stacks]
        _take_turns(trainings)  # to warm up
        rounds = [_take_turns(trainings) for _ in range(ROUNDS)]
    rows = [
        (runs.settings.activation, runs.settings.arm, median(seconds) / (STEPS * len(runs)))
        for runs, seconds in zip(stacks, zip(*rounds, strict=True), strict=True)
    ]
    return pd.DataFrame(rows, columns=STEP_TIME_COLUMNS)


def _take_turns(trainings: Sequence[Training]) -> list[float]:
    """Let each training take a turn; return the seconds that each took."""
    return [_seconds_of_turn(training) for training in trainings]


def _seconds_of_turn(training: Training) -> float:
    start = perf_counter()
    training.advance(STEPS)
    return perf_counter() - start
