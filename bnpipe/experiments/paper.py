"""The paper's own experiment on MNIST: accuracy, and what enters a sigmoid, along training.

This is the experiment in section 4.1 and figure 1 of Ioffe & Szegedy (2015). They show accuracy on the test images;
here it is measured on the validation images, since the test images are used only once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Runs, TrainingSettings
from bnpipe.data.packed import Dataset, open_dataset
from bnpipe.networks.compiled import Array
from bnpipe.networks.network import NUMBERS, Network
from bnpipe.training.trainer import OnEvaluation, Training, network_arithmetic, on_all, preprocess

PERCENTILES = (15, 50, 85)  # the paper's
PROBE_IMAGES = 1000  # of the training images, from the front
UNIT = 0  # of the last hidden layer: always the first one, in place of the paper's "typical" one
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
    `inputs_of_last_hidden`. ``on_evaluation(step, accuracy)`` is called each time with the run's accuracy (1,), and the
    step that the runs have reached on average.
    """
    settings = runs.settings
    validation, training_images = (preprocess(settings, images) for images in (dataset.validation, dataset.train))
    shown = training_images.first(PROBE_IMAGES).shown(NUMBERS[settings.precision])
    steps = sorted({*settings.evaluated_steps, settings.steps - 1})
    accuracies, percentiles = [], []  # run after run, step after step
    with network_arithmetic():
        for run, (own, seed) in enumerate(zip(runs.each, runs.seeds, strict=True)):
            training, report = Training(own, seed, training_images), on_all(on_evaluation, runs, slice(run, run + 1))
            for begin, end in pairwise([0, *(step + 1 for step in steps)]):
                training.advance(end - begin)
                accuracy, _ = training.network.evaluate(validation.pixels, validation.labels)
                entering = inputs_of_last_hidden(training.network, own, shown)[:, UNIT]
                accuracies.append(accuracy)
                percentiles.append(np.percentile(entering, PERCENTILES))
                report(end - 1, np.array([accuracy]))
    keys = [[settings.arm], runs.seeds, steps]
    return (
        _tabulated(accuracies, keys, ACCURACY_COLUMNS),
        _tabulated(percentiles, [*keys, PERCENTILES], PERCENTILE_COLUMNS),
    )


def inputs_of_last_hidden(network: Network, settings: TrainingSettings, images: Array) -> Array:
    """Return the inputs of the last hidden layer's nonlinearities, (images, units), for images (images, pixels).

    They are those of training mode, since figure 1 is about training: batch normalization takes mean and variance from
    these images. settings: the network's; normalization comes before the nonlinearity. The network is not changed.
    """
    # They are the logits of a network that ends there. The numbers of its layers are the front of each array.
    below = Network(network.weights[:-1], replace(settings, normalize_logits=settings.normalize_hidden))
    below.restore({name: network.state()[name][: len(own)] for name, own in below.state().items()})
    return below.forward(images)


def _tabulated(values: ArrayLike, keys: Sequence[Iterable[Any]], columns: list[str]) -> pd.DataFrame:
    """Return a table of values and their keys, of which the last changes fastest: arm, seeds, steps, then the rest."""
    index = pd.MultiIndex.from_product(keys, names=columns[:-1])
    return pd.DataFrame({columns[-1]: np.ravel(values)}, index=index).reset_index()
