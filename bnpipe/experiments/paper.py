"""The paper's own experiment on MNIST: accuracy, and what enters a sigmoid, along training.

Ioffe & Szegedy (2015), section 4.1 and figure 1. They show accuracy on the test images; here it is measured on the
validation images, since the test images are used only once.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Dataset, open_dataset
from bnpipe.networks.kernels import network_arithmetic, product
from bnpipe.networks.network import StackedNetwork
from bnpipe.networks.nonlinearities import NONLINEARITIES, Nonlinearity
from bnpipe.training.diagnostics import restored_afterwards
from bnpipe.training.trainer import OnEvaluation, Training, evaluate, preprocess

PERCENTILES = (15, 50, 85)  # the paper's
PROBE_IMAGES = 1000  # of the training images, from the front
UNIT = 0  # of the last hidden layer: instead of the paper's "typical" one, the first, whatever it shows
ACCURACY_COLUMNS = ["arm", "seed", "step", "accuracy"]
PERCENTILE_COLUMNS = ["arm", "seed", "step", "percentile", "value"]


def make_paper(
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    packed: Path,
    accuracy: Path,
    percentiles: Path,
    on_evaluation: OnEvaluation = lambda *_: None,
) -> None:
    """Train one network of an arm for each seed, and write the two tables of `paper_tables`.

    settings: the fields of TrainingSettings. packed: the packed data set. on_evaluation: see `paper_tables`. Raises
    InputError if the packed file cannot be used.
    """
    tables = paper_tables(Runs.from_plain(settings, seeds), open_dataset(packed), on_evaluation)
    for table, path in zip(tables, (accuracy, percentiles), strict=True):
        write_table(table, path)


def paper_tables(
    runs: Runs, dataset: Dataset, on_evaluation: OnEvaluation = lambda *_: None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train one network for each run and measure it after every evaluated step and the last.

    Returns two tables, sorted by their columns: ACCURACY_COLUMNS, accuracies on the validation images in inference
    mode; PERCENTILE_COLUMNS, the 15th, 50th and 85th percentile over the probe of the input of one sigmoid, see
    `inputs_of_last_hidden`. ``on_evaluation(step, accuracy)`` is called each time with the accuracies (runs,).
    """
    settings = runs.settings
    validation, training_images = (preprocess(settings, images) for images in (dataset.validation, dataset.train))
    nonlinearity = NONLINEARITIES[settings.activation]
    steps = sorted({*settings.evaluated_steps, settings.steps - 1})
    accuracies, percentiles = [], []
    with network_arithmetic():
        training = Training(runs, training_images)
        probe, _ = next(training_images.chunks(PROBE_IMAGES, training.network.precision))
        for begin, end in pairwise([0, *(step + 1 for step in steps)]):
            training.advance(end - begin)
            accuracy, _ = evaluate(training.network, validation)
            entering = inputs_of_last_hidden(training.network, probe, nonlinearity)[:, :, UNIT]
            accuracies.append(accuracy.numpy())
            percentiles.append(np.percentile(entering.numpy(), PERCENTILES, axis=0).T)
            on_evaluation(end - 1, accuracy)
    keys = [[settings.arm], runs.seeds, steps]
    return (
        _tabulated(accuracies, keys, ACCURACY_COLUMNS),
        _tabulated(percentiles, [*keys, PERCENTILES], PERCENTILE_COLUMNS),
    )


def inputs_of_last_hidden(network: StackedNetwork, images: Tensor, nonlinearity: Nonlinearity) -> Tensor:
    """Return the inputs of the last hidden layer's nonlinearities, (batch, runs, units), for images (batch, pixels).

    They are those of training mode, since figure 1 is about training: batch normalization takes mean and variance from
    these images. The network is not changed.
    """
    *below, (weight, transform), _ = network.layers
    with restored_afterwards(network):
        out = images.unsqueeze(1)
        for lower_weight, lower_transform in below:
            out = nonlinearity.forward(lower_transform.forward(product(out, lower_weight)))
        return transform.forward(product(out, weight))


def _tabulated(
    values: Sequence[NDArray[np.floating]], keys: Sequence[Iterable[Any]], columns: list[str]
) -> pd.DataFrame:
    """Lay out values by their keys; values: of each step (runs, ...); keys: arm, seeds, steps, then the rest."""
    index = pd.MultiIndex.from_product(keys, names=columns[:-1])
    return pd.DataFrame({columns[-1]: np.stack(values, axis=1).ravel()}, index=index).reset_index()
