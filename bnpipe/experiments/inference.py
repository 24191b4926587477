"""Inference with batch normalization: which mean and variance stand in for the mini-batch's, and what comes of it.

moving_biased, moving_unbiased  the moving averages of training, with either convention for the variance
population                      the training set's, with the weights frozen (Ioffe & Szegedy 2015, algorithm 2)
batch                           those of the evaluation batch itself, validation images in file order
single_class                    the same for batches of one class each

Everything is tried on a probe: a second stack of networks, which takes over the state of the one in training.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import TrainingSettings, VarianceConvention
from bnpipe.data.packed import Dataset, Images, open_dataset
from bnpipe.networks.kernels import one_thread
from bnpipe.networks.network import StackedNetwork
from bnpipe.training.train import OnEvaluation, Training, build_network, evaluate, preprocess, training_subset

# With weight 0.01 the moving averages still hold 99%, 90%, 74%, 54%, 30%, 9% and 0.2% of their start.
MEASURED_STEPS = (0, 9, 29, 60, 120, 240, 600)  # and the last
BATCH_SIZES = tuple(2**power for power in range(11))  # 1 to 1024
INFERENCE_COLUMNS = ["seed", "step", "statistics", "batch_size", "accuracy"]

Statistics = dict[str, Tensor]  # mean and variance of every normalized layer, by their names in a network's state


class Measured(NamedTuple):
    """Accuracies under one kind of statistics."""

    statistics: str
    batch_size: int | None  # images normalized together; None: each for itself
    accuracy: Tensor  # (runs,), float64


def make_inference(
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    packed: Path,
    table: Path,
    on_evaluation: OnEvaluation = lambda *_: None,
) -> None:
    """Train one network for each seed, measure it along training, and write the table.

    settings: the fields of TrainingSettings. packed: the packed data set. on_evaluation: see `inference_table`.
    Raises InputError where the packed file cannot be used.
    """
    chosen = TrainingSettings.from_plain(settings)
    write_table(inference_table(chosen, seeds, open_dataset(packed), on_evaluation), table)


def inference_table(
    settings: TrainingSettings,
    seeds: Sequence[int],
    dataset: Dataset,
    on_evaluation: OnEvaluation = lambda *_: None,
) -> pd.DataFrame:
    """Train one network for each seed and take validation accuracies under every kind of statistics.

    After the update of each of MEASURED_STEPS evaluation batches are as large as those of training; after the last
    they also have every size in BATCH_SIZES, as far as there are images. Columns INFERENCE_COLUMNS, sorted by them;
    `batch_size` is empty where each image is normalized for itself. ``on_evaluation(step, accuracy)`` is called after
    each measurement with the accuracies (runs,) under the biased moving averages.
    """
    train = training_subset(settings, dataset.train)
    seen = replace(dataset, train=train, validation=preprocess(settings, dataset.validation))
    tables = []
    with torch.inference_mode(), one_thread(), np.errstate(over="ignore", invalid="ignore"):
        training, probe = Training(settings, seeds, dataset.train), build_probe(settings, seeds)
        for begin, end in pairwise([0, *(step + 1 for step in measured_steps(settings.steps))]):
            training.advance(end - begin)
            sizes = {settings.batch_size}
            if end == settings.steps:
                sizes |= {size for size in BATCH_SIZES if size <= len(seen.validation)}
            measured = list(measure(training.network, probe, settings, end, seen, sizes))
            tables += [_tabulated(kind, seeds, step=end - 1) for kind in measured]
            on_evaluation(end - 1, measured[0].accuracy)
    return pd.concat(tables).sort_values(INFERENCE_COLUMNS[:-1], ignore_index=True)


def measured_steps(steps: int) -> list[int]:
    """Return those of MEASURED_STEPS that a training of so many steps has, and its last step."""
    return [*(step for step in MEASURED_STEPS if step < steps - 1), steps - 1]


def measure(
    network: StackedNetwork,
    probe: StackedNetwork,
    settings: TrainingSettings,
    updates: int,
    dataset: Dataset,
    batch_sizes: Iterable[int],
) -> Iterator[Measured]:
    """Measure a network after so many updates under every kind of statistics, the moving averages first.

    batch_sizes: of the evaluation batches whose own statistics are tried. The network is left as it is.
    """
    take_over(probe, network)
    m, validation = settings.batch_size, dataset.validation
    for convention in get_args(VarianceConvention):
        statistics = moving_statistics(network, settings, updates, convention)
        yield Measured(f"moving_{convention}", None, accuracy_under(statistics, probe, validation))
    statistics = population_statistics(probe, dataset.train, m)
    yield Measured("population", None, accuracy_under(statistics, probe, validation))
    for size in batch_sizes:  # last, since a batch of one image leaves 0 / 0 in the probe's averages
        yield Measured("batch", size, accuracy_in_batches(probe, validation, size))
    yield Measured("single_class", m, accuracy_by_class(probe, validation, m))


def build_probe(settings: TrainingSettings, seeds: Sequence[int]) -> StackedNetwork:
    """Build networks whose moving averages are the mean and the unbiased variance of the newest batch alone."""
    newest_only = replace(settings, moving_average_weight=1.0, moving_variance="unbiased")
    return build_network(newest_only, [np.random.RandomState(seed) for seed in seeds])


def take_over(probe: StackedNetwork, network: StackedNetwork) -> None:
    """Copy the state of a network into the probe."""
    for tensor, source in zip(probe.state().values(), network.state().values(), strict=True):
        tensor.copy_(source)


def moving_statistics(
    network: StackedNetwork, settings: TrainingSettings, updates: int, convention: VarianceConvention
) -> Statistics:
    """Return the moving averages after so many updates, with the variance in either convention."""
    m = settings.batch_size
    factor = (m - 1) / m if settings.moving_variance == "biased" else 1.0  # of what BatchNorm stores
    return {
        name: in_convention(tensor * factor, settings, updates, convention) if name.endswith("variance") else tensor
        for name, tensor in averages(network).items()
    }


def in_convention(variance: Tensor, settings: TrainingSettings, updates: int, convention: VarianceConvention) -> Tensor:
    """Turn a moving variance in the settings' convention into one in another, of the same shape.

    After t updates of weight w it is s + b, where s = (1 - w)^t is what is left of its start, 1, and b what the
    batches brought. Of the unbiased variance b is m / (m - 1) times that of the biased one, and s is the same.
    """
    if convention == settings.moving_variance:
        return variance
    m = settings.batch_size
    ratio = m / (m - 1) if convention == "unbiased" else (m - 1) / m
    left = (1 - settings.moving_average_weight) ** updates
    return left + (variance - left) * ratio


def population_statistics(probe: StackedNetwork, images: Images, batch_size: int) -> Statistics:
    """Return the mean of batch means and the mean of unbiased batch variances over images in file order.

    This is algorithm 2 of the paper, E[x] = E_B[mean_B] and Var[x] = m / (m - 1) * E_B[variance_B], in training mode:
    every layer sees what the layers below make of the same batch. Images that do not fill a batch are left out.
    """
    batches = len(images) // batch_size
    totals = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in averages(probe).items()}
    for pixels, _ in islice(images.chunks(batch_size, probe.precision), batches):
        in_training_mode(probe, pixels)
        for name, tensor in averages(probe).items():
            totals[name] += tensor
    return {name: total / batches for name, total in totals.items()}


def averages(network: StackedNetwork) -> Statistics:
    """Return the moving averages as a network stores them. They are no copies."""
    return {name: tensor for name, tensor in network.state().items() if "moving_" in name}


def accuracy_under(statistics: Statistics, probe: StackedNetwork, images: Images) -> Tensor:
    """Accuracy in inference mode, with these means and variances."""
    for name, tensor in averages(probe).items():
        tensor.copy_(statistics[name])
    return evaluate(probe, images)[0]


def accuracy_in_batches(probe: StackedNetwork, images: Images, batch_size: int) -> Tensor:
    """Accuracy where each batch is normalized by its own mean and (biased) variance, as in training."""
    return correct_in_batches(probe, images, batch_size) / len(images)


def accuracy_by_class(probe: StackedNetwork, images: Images, batch_size: int) -> Tensor:
    """Accuracy where each batch is normalized by its own statistics and holds images of one class only."""
    classes = [images.labels == label for label in torch.unique(images.labels)]
    correct = [
        correct_in_batches(probe, Images(images.pixels[chosen], images.labels[chosen]), batch_size)
        for chosen in classes
    ]
    return torch.stack(correct).sum(dim=0) / len(images)


def correct_in_batches(probe: StackedNetwork, images: Images, batch_size: int) -> Tensor:
    """Count every run's right predictions, (runs,) float64, where each batch is normalized by its own statistics.

    Batches are in file order. All are full: the last one takes in images of the one before, which are not counted
    again. Too few images for one batch are one.
    """
    size = min(batch_size, len(images))
    correct = torch.zeros((), dtype=torch.float64)
    for start in range(0, len(images), size):
        first = min(start, len(images) - size)
        batch = Images(images.pixels[first : first + size], images.labels[first : first + size])
        ((pixels, labels),) = batch.chunks(size, probe.precision)
        hits = in_training_mode(probe, pixels).argmax(dim=2) == labels.unsqueeze(1)
        correct = correct + hits[start - first :].sum(dim=0)
    return correct


def in_training_mode(network: StackedNetwork, pixels: Tensor) -> Tensor:
    """Logits (batch, runs, classes) of one batch of pixels (batch, 784), the same for all runs."""
    runs = len(network.layers[0][0])
    return network.forward(pixels.unsqueeze(1).expand(-1, runs, -1))


def _tabulated(measured: Measured, seeds: Sequence[int], step: int) -> pd.DataFrame:
    columns = {"seed": seeds, "step": step, **measured._asdict(), "accuracy": measured.accuracy.numpy()}
    return pd.DataFrame(columns, columns=INFERENCE_COLUMNS).astype({"batch_size": "Int64"})
