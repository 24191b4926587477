"""How long a training step takes in each arm: a measured time, and so the one table that no run repeats to the byte.

The arms take turns in one process, on one thread: whatever else the machine does meets them alike.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.networks.kernels import one_thread
from bnpipe.training.train import Training

ROUNDS = 25
STEPS = 20  # in a turn: of two arms, two nonlinearities and ten seeds all turns take about 20 s
STEP_TIME_COLUMNS = ["activation", "arm", "seconds"]


def make_step_time(settings: Sequence[Mapping[str, Any]], seeds: Sequence[int], packed: Path, table: Path) -> None:
    """Measure the time of a training step under each of the settings, and write the table.

    settings: each the fields of TrainingSettings. packed: the packed data set. Raises InputError where the packed
    file cannot be used.
    """
    each = [TrainingSettings.from_plain(fields) for fields in settings]
    write_table(step_time_table(each, seeds, open_dataset(packed).train), table)


def step_time_table(settings: Sequence[TrainingSettings], seeds: Sequence[int], images: Images) -> pd.DataFrame:
    """Measure the seconds that a training step takes per network, in a stack of as many as there are seeds.

    Columns STEP_TIME_COLUMNS, a row for each of the settings: the median over rounds of training alone, without
    evaluation. The ratio of two arms depends on the size of the stack: what normalization adds is spread over it.
    """
    with torch.inference_mode(), one_thread(), np.errstate(over="ignore", invalid="ignore"):
        trainings = [Training(each, seeds, images) for each in settings]
        _take_turns(trainings)  # to warm up
        rounds = [_take_turns(trainings) for _ in range(ROUNDS)]
    rows = [
        (each.activation, each.arm, median(seconds) / (STEPS * len(seeds)))
        for each, seconds in zip(settings, zip(*rounds, strict=True), strict=True)
    ]
    return pd.DataFrame(rows, columns=STEP_TIME_COLUMNS)


def _take_turns(trainings: Sequence[Training]) -> list[float]:
    """Let each training take a turn; return the seconds of each."""
    return [_seconds_of_turn(training) for training in trainings]


def _seconds_of_turn(training: Training) -> float:
    start = perf_counter()
    training.advance(STEPS)
    return perf_counter() - start
