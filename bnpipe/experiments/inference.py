"""Inference with batch normalization: which mean and variance replace the mini-batch's, and with what accuracy.

moving_biased, moving_unbiased  the moving averages of training, in either convention for the variance
population                      the training set's, with frozen weights (Ioffe & Szegedy 2015, algorithm 2)
batch                           those of the evaluation batch itself, validation images in file order
single_class                    the same for batches of one class each
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Runs, TrainingSettings, VarianceConvention
from bnpipe.data.packed import Dataset, Images, open_dataset
from bnpipe.networks.network import Network
from bnpipe.training.trainer import (
    OnEvaluation,
    Training,
    network_arithmetic,
    on_all,
    preprocess,
    training_subset,
)

# If their weight is 0.01, the moving averages still hold 99%, 90%, 74%, 54%, 30%, 9% and 0.2% of their start.
MEASURED_STEPS = (0, 9, 29, 60, 120, 240, 600)  # and the last step
BATCH_SIZES = tuple(2**power for power in range(11))  # 1 to 1024
INFERENCE_COLUMNS = ["seed", "step", "statistics", "batch_size", "accuracy"]


class Statistics(NamedTuple):
    """What a network normalizes with, for all layers, first layer first; not used where nothing is normalized."""

    mean: NDArray[np.floating]  # (units,)
    variance: NDArray[np.floating]  # (units,)


class Measured(NamedTuple):
    """An accuracy under one kind of statistics."""

    statistics: str
    batch_size: int | None  # images normalized together; None: each alone
    accuracy: float


def make_inference(
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    packed: Path,
    table: Path,
    on_evaluation: OnEvaluation = lambda *_: None,
) -> None:
    """Train one network for each seed, measure it along training, and write the table.

    settings: the fields of TrainingSettings. packed: the packed data set. on_evaluation: see `inference_table`.
    Raises InputError if the packed file cannot be used.
    """
    write_table(inference_table(Runs.from_plain(settings, seeds), open_dataset(packed), on_evaluation), table)


def inference_table(runs: Runs, dataset: Dataset, on_evaluation: OnEvaluation = lambda *_: None) -> pd.DataFrame:
    """Train one network for each run and measure validation accuracies under every kind of statistics.

    After each of MEASURED_STEPS, evaluation batches are as large as those of training; after the last step they also
    have every size in BATCH_SIZES up to the number of images. Columns INFERENCE_COLUMNS, sorted by them; `batch_size`
    is empty if each image is normalized alone. ``on_evaluation(step, accuracy)`` is called after each measurement with
    the run's accuracy (1,) under the biased moving averages, and the step that the runs have reached on average.
    """
    settings = runs.settings
    train = training_subset(settings, dataset.train)
    seen = replace(dataset, train=train, validation=preprocess(settings, dataset.validation))
    rows: list[tuple[Any, ...]] = []
    with network_arithmetic():
        for run, (own, seed) in enumerate(zip(runs.each, runs.seeds, strict=True)):
            report = on_all(on_evaluation, runs, slice(run, run + 1))
            for step, measured in _measured_along(Training(own, seed, dataset.train), own, seen):
                rows += [(seed, step, *kind) for kind in measured]
                report(step, np.array([measured[0].accuracy]))
    table = pd.DataFrame(rows, columns=INFERENCE_COLUMNS).astype({"batch_size": "Int64"})
    return table.sort_values(INFERENCE_COLUMNS[:-1], ignore_index=True)


def _measured_along(
    training: Training, settings: TrainingSettings, dataset: Dataset
) -> Iterator[tuple[int, list[Measured]]]:
    """Train a network; yield each of its measured steps, and what is measured after it."""
    for begin, end in pairwise([0, *(step + 1 for step in measured_steps(settings.steps))]):
        training.advance(end - begin)
        sizes = {settings.batch_size}
        if end == settings.steps:
            sizes |= {size for size in BATCH_SIZES if size <= len(dataset.validation)}
        yield end - 1, list(measure(training.network, settings, end, dataset, sizes))


def measured_steps(steps: int) -> list[int]:
    """Return the steps of MEASURED_STEPS that a training of this many steps has, and its last step."""
    return [*(step for step in MEASURED_STEPS if step < steps - 1), steps - 1]


def measure(
    network: Network, settings: TrainingSettings, updates: int, dataset: Dataset, batch_sizes: Iterable[int]
) -> Iterator[Measured]:
    """Measure a network after this many updates under every kind of statistics, the moving averages first.

    dataset: images as the network sees them. batch_sizes: of the evaluation batches that are normalized by their own
    statistics. The network is not changed.
    """
    m, validation = settings.batch_size, dataset.validation
    for convention in get_args(VarianceConvention):
        statistics = moving_statistics(network, settings, updates, convention)
        yield Measured(f"moving_{convention}", None, accuracy_under(statistics, network, validation))
    statistics = population_statistics(network, dataset.train, m)
    yield Measured("population", None, accuracy_under(statistics, network, validation))
    for size in batch_sizes:
        yield Measured("batch", size, accuracy_in_batches(network, validation, size))
    yield Measured("single_class", m, accuracy_by_class(network, validation, m))


def moving_statistics(
    network: Network, settings: TrainingSettings, updates: int, convention: VarianceConvention
) -> Statistics:
    """Return the moving averages after this many updates, with the variance in either convention."""
    numbers = network.numbers
    return Statistics(numbers.mean, in_convention(numbers.variance, settings, updates, convention))


def in_convention(
    variance: NDArray[np.floating], settings: TrainingSettings, updates: int, convention: VarianceConvention
) -> NDArray[np.floating]:
    """Convert a moving variance, of any shape, from the convention of the settings to the given one.

    After t updates of weight w it is s + b, where s = (1 - w)^t is what is left of its start, 1, and b comes from the
    batches. The unbiased variance has the same s as the biased one, and m / (m - 1) times its b.
    """
    if convention == settings.moving_variance:
        return variance
    m = settings.batch_size
    ratio = m / (m - 1) if convention == "unbiased" else (m - 1) / m
    left = (1 - settings.moving_average_weight) ** updates
    return left + (variance - left) * ratio


def population_statistics(network: Network, images: Images, batch_size: int) -> Statistics:
    """Return the mean of batch means and the mean of unbiased batch variances over images in file order, float64.

    This is algorithm 2 of the paper, E[x] = E_B[mean_B] and Var[x] = m / (m - 1) * E_B[variance_B], in training mode:
    the input of every layer is the output of the layers below for the same batch. Images that do not fill a batch are
    left out.
    """
    batches = len(images) // batch_size
    indices = np.arange(batches * batch_size, dtype=np.int32)
    surveyed = network.survey(images.pixels, indices.reshape(batches, batch_size))
    return Statistics(surveyed.mean, surveyed.variance)


def accuracy_under(statistics: Statistics, network: Network, images: Images) -> float:
    """Return the accuracy in inference mode, with these means and variances."""
    accuracy, _ = network.with_averages(*statistics).evaluate(images.pixels, images.labels)
    return accuracy


def accuracy_in_batches(network: Network, images: Images, batch_size: int) -> float:
    """Return the accuracy if each batch is normalized by its own mean and biased variance, as in training."""
    return correct_in_batches(network, images, np.arange(len(images)), batch_size) / len(images)


def accuracy_by_class(network: Network, images: Images, batch_size: int) -> float:
    """Return the accuracy if each batch is normalized by its own statistics and holds one class only."""
    classes = [np.flatnonzero(images.labels == label) for label in np.unique(images.labels)]
    return sum(correct_in_batches(network, images, chosen, batch_size) for chosen in classes) / len(images)


def correct_in_batches(network: Network, images: Images, chosen: NDArray[np.int64], batch_size: int) -> int:
    """Count the right predictions for some of the images if each batch is normalized by its own statistics.

    chosen: their indices. Batches are in this order. All are full: the last one repeats images of the one before, which
    are not counted again. If there are too few images for one batch, all of them form one.
    """
    size = min(batch_size, len(chosen))
    starts = np.arange(0, len(chosen), size)
    filled = np.minimum(starts, len(chosen) - size)
    batches = chosen[filled[:, np.newaxis] + np.arange(size)].astype(np.int32)
    right = network.survey(images.pixels, batches).guesses == images.labels[batches]
    right[-1, : starts[-1] - filled[-1]] = False
    return int(right.sum())
