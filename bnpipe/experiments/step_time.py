"""How long a training step takes in each arm: a measured time, so the one table that is not the same bytes every time.

The arms take turns in one process, on one thread: whatever else the machine does affects all of them. Networks are
trained one after the other, as in a training job on a CPU.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pandas as pd

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Images, open_dataset
from bnpipe.training.trainer import Training, network_arithmetic, training_subset

ROUNDS = 25
STEPS = 20  # of each network in a turn: with two arms, two nonlinearities, ten seeds, all turns take about 20 s
STEP_TIME_COLUMNS = ["activation", "arm", "seconds"]


def make_step_time(settings: Sequence[Mapping[str, Any]], seeds: Sequence[int], packed: Path, table: Path) -> None:
    """Measure the time of a training step under each of the settings, and write the table.

    settings: each the fields of TrainingSettings. packed: the packed data set. Raises InputError if the packed file
    cannot be used.
    """
    groups = [Runs.from_plain(fields, seeds) for fields in settings]
    write_table(step_time_table(groups, open_dataset(packed).train), table)


def step_time_table(groups: Sequence[Runs], images: Images) -> pd.DataFrame:
    """Measure the seconds that a training step takes, on average over the networks of a group.

    Columns STEP_TIME_COLUMNS, a row for each group: the median over rounds of training alone, without evaluation.
    """
    with network_arithmetic():
        trainings = [_networks(runs, images) for runs in groups]
        _take_turns(trainings)  # to warm up
        rounds = [_take_turns(trainings) for _ in range(ROUNDS)]
    rows = [
        (runs.settings.activation, runs.settings.arm, median(seconds) / (STEPS * len(runs)))
        for runs, seconds in zip(groups, zip(*rounds, strict=True), strict=True)
    ]
    return pd.DataFrame(rows, columns=STEP_TIME_COLUMNS)


def _networks(runs: Runs, images: Images) -> list[Training]:
    """Build the networks of a group, which share their images."""
    shown = training_subset(runs.settings, images)
    return [
        Training(replace(settings, binarize=False, training_images=None), seed, shown)
        for settings, seed in zip(runs.each, runs.seeds, strict=True)
    ]


def _take_turns(groups: Sequence[Sequence[Training]]) -> list[float]:
    """Let each group take a turn; return the seconds that each took."""
    return [_seconds_of_turn(trainings) for trainings in groups]


def _seconds_of_turn(trainings: Sequence[Training]) -> float:
    start = perf_counter()
    for training in trainings:
        training.advance(STEPS)
    return perf_counter() - start
