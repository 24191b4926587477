"""Inference with batch normalization: which mean and variance replace those of the mini-batch, and the accuracies.

moving_biased, moving_unbiased  the moving averages of training, in either convention for the variance
population                      the training set's, with frozen weights (Ioffe & Szegedy 2015, algorithm 2)
batch                           those of the evaluation batch itself, validation images in file order
single_class                    the same for batches of one class each

Everything is measured on a probe: a second stack of networks, which copies the state of the one in training.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pandas as pd
import torch
from torch import Tensor

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Runs, TrainingSettings, VarianceConvention
from bnpipe.data.packed import Dataset, Images, open_dataset
from bnpipe.networks.kernels import network_arithmetic
from bnpipe.networks.network import StackedNetwork
from bnpipe.networks.norms import batch_norms
from bnpipe.networks.seeds import streams_of
from bnpipe.training.trainer import OnEvaluation, Training, build_network, evaluate, preprocess, training_subset

# With weight 0.01, 99%, 90%, 74%, 54%, 30%, 9% and 0.2% of their start is left in the moving averages.
MEASURED_STEPS = (0, 9, 29, 60, 120, 240, 600)  # and the last
BATCH_SIZES = tuple(2**power for power in range(11))  # 1 to 1024
INFERENCE_COLUMNS = ["seed", "step", "statistics", "batch_size", "accuracy"]


class LayerStatistics(NamedTuple):
    """What a layer of a stack is normalized with."""

    mean: Tensor  # (runs * features,)
    variance: Tensor  # (runs * features,)


Statistics = list[LayerStatistics]  # of every layer with batch normalization, first layer first


class Measured(NamedTuple):
    """Accuracies under one kind of statistics."""

    statistics: str
    batch_size: int | None  # images normalized together; None: each alone
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
    Raises InputError if the packed file cannot be used.
    """
    write_table(inference_table(Runs.from_plain(settings, seeds), open_dataset(packed), on_evaluation), table)


def inference_table(runs: Runs, dataset: Dataset, on_evaluation: OnEvaluation = lambda *_: None) -> pd.DataFrame:
    """Train one network for each run and measure validation accuracies under every kind of statistics.

    After each of MEASURED_STEPS evaluation batches are as large as those of training; after the last step they also
    have every size in BATCH_SIZES up to the number of images. Columns INFERENCE_COLUMNS, sorted by them; `batch_size`
    is empty if each image is normalized alone. ``on_evaluation(step, accuracy)`` is called after each measurement with
    the accuracies (runs,) under the biased moving averages.
    """
    settings = runs.settings
    train = training_subset(settings, dataset.train)
    seen = replace(dataset, train=train, validation=preprocess(settings, dataset.validation))
    tables = []
    with network_arithmetic():
        training, probe = Training(runs, dataset.train), build_probe(runs)
        for begin, end in pairwise([0, *(step + 1 for step in measured_steps(settings.steps))]):
            training.advance(end - begin)
            sizes = {settings.batch_size}
            if end == settings.steps:
                sizes |= {size for size in BATCH_SIZES if size <= len(seen.validation)}
            measured = list(measure(training.network, probe, settings, end, seen, sizes))
            tables += [_tabulated(kind, runs.seeds, step=end - 1) for kind in measured]
            on_evaluation(end - 1, measured[0].accuracy)
    return pd.concat(tables).sort_values(INFERENCE_COLUMNS[:-1], ignore_index=True)


def measured_steps(steps: int) -> list[int]:
    """Return those of MEASURED_STEPS that a training of this many steps has, and its last step."""
    return [*(step for step in MEASURED_STEPS if step < steps - 1), steps - 1]


def measure(
    network: StackedNetwork,
    probe: StackedNetwork,
    settings: TrainingSettings,
    updates: int,
    dataset: Dataset,
    batch_sizes: Iterable[int],
) -> Iterator[Measured]:
    """Measure a network after this many updates under every kind of statistics, the moving averages first.

    dataset: images as the network sees them. batch_sizes: of the evaluation batches that are normalized by their own
    statistics. The network is not changed; the probe is overwritten.
    """
    copy_state(network, probe)
    m, validation = settings.batch_size, dataset.validation
    for convention in get_args(VarianceConvention):
        statistics = moving_statistics(network, settings, updates, convention)
        yield Measured(f"moving_{convention}", None, accuracy_under(statistics, probe, validation))
    statistics = population_statistics(probe, dataset.train, m)
    yield Measured("population", None, accuracy_under(statistics, probe, validation))
    for size in batch_sizes:  # last, since a batch of one image leaves 0 / 0 in the probe's averages
        yield Measured("batch", size, accuracy_in_batches(probe, validation, size))
    yield Measured("single_class", m, accuracy_by_class(probe, validation, m))


def build_probe(runs: Runs) -> StackedNetwork:
    """Build networks whose moving averages are the mean and the unbiased variance of the newest batch alone."""
    newest_only = runs.change(moving_average_weight=1.0, moving_variance="unbiased")
    return build_network(newest_only, streams_of(runs.seeds))


def copy_state(network: StackedNetwork, probe: StackedNetwork) -> None:
    """Copy the state of a network into a probe."""
    for source, tensor in zip(network.state().values(), probe.state().values(), strict=True):
        tensor.copy_(source)


def moving_statistics(
    network: StackedNetwork, settings: TrainingSettings, updates: int, convention: VarianceConvention
) -> Statistics:
    """Return the moving averages after this many updates, with the variance in either convention."""
    return [
        LayerStatistics(norm.moving_mean, in_convention(norm.moving_variance, settings, updates, convention))
        for norm in batch_norms(network.layers)
    ]


def in_convention(variance: Tensor, settings: TrainingSettings, updates: int, convention: VarianceConvention) -> Tensor:
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


def population_statistics(probe: StackedNetwork, images: Images, batch_size: int) -> Statistics:
    """Return the mean of batch means and the mean of unbiased batch variances over images in file order, float64.

    This is algorithm 2 of the paper, E[x] = E_B[mean_B] and Var[x] = m / (m - 1) * E_B[variance_B], in training mode:
    the input of every layer is the output of the layers below for the same batch. Images that do not fill a batch are
    left out. probe: see `build_probe`.
    """
    batches = len(images) // batch_size
    norms = batch_norms(probe.layers)
    totals = [LayerStatistics(_zeros_like(norm.moving_mean), _zeros_like(norm.moving_variance)) for norm in norms]
    for pixels, _ in islice(images.chunks(batch_size, probe.precision), batches):
        in_training_mode(probe, pixels)
        for norm, total in zip(norms, totals, strict=True):
            total.mean.add_(norm.moving_mean)
            total.variance.add_(norm.moving_variance)
    return [LayerStatistics(total.mean / batches, total.variance / batches) for total in totals]


def _zeros_like(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor, dtype=torch.float64)


def accuracy_under(statistics: Statistics, probe: StackedNetwork, images: Images) -> Tensor:
    """Return the accuracies (runs,) in inference mode, with these means and unbiased variances."""
    for norm, layer in zip(batch_norms(probe.layers), statistics, strict=True):
        norm.set_averages(layer.mean, layer.variance)
    return evaluate(probe, images)[0]


def accuracy_in_batches(probe: StackedNetwork, images: Images, batch_size: int) -> Tensor:
    """Return the accuracies (runs,) if each batch is normalized by its own mean and biased variance, as in training."""
    return correct_in_batches(probe, images, batch_size) / len(images)


def accuracy_by_class(probe: StackedNetwork, images: Images, batch_size: int) -> Tensor:
    """Return the accuracies (runs,) if each batch is normalized by its own statistics and holds one class only."""
    classes = [images.labels == label for label in torch.unique(images.labels)]
    correct = [
        correct_in_batches(probe, Images(images.pixels[chosen], images.labels[chosen]), batch_size)
        for chosen in classes
    ]
    return torch.stack(correct).sum(dim=0) / len(images)


def correct_in_batches(probe: StackedNetwork, images: Images, batch_size: int) -> Tensor:
    """Count every run's right predictions, (runs,) float64, if each batch is normalized by its own statistics.

    Batches are in file order. All are full: the last one repeats images of the one before, which are not counted
    again. If there are too few images for one batch, all of them form one.
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
    """Return the logits (batch, runs, classes) of one batch of pixels (batch, 784), the same for all runs."""
    runs = len(network.layers[0][0])
    return network.forward(pixels.unsqueeze(1).expand(-1, runs, -1))


def _tabulated(measured: Measured, seeds: Sequence[int], step: int) -> pd.DataFrame:
    columns = {"seed": seeds, "step": step, **measured._asdict(), "accuracy": measured.accuracy.numpy()}
    return pd.DataFrame(columns, columns=INFERENCE_COLUMNS).astype({"batch_size": "Int64"})
