"""Batch normalization step by step: what one mini-batch becomes in a few units of a network's first hidden layer.

This experiment writes two tables.

mechanics          a row for each unit and image of the mini-batch; the stages of the transform from left to right
mechanics_summary  a row for each unit and stage: its formula, gamma and beta, mean and spread over the mini-batch

The product z = hW, pixels times weights, is the network's own, in single precision, before the first update. From there
on the network's own batch normalization works in double precision, so that zeros and the identity are exact to 1e-15.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import TrainingSettings
from bnpipe.data.packed import Images, open_dataset
from bnpipe.networks.compiled import Kept, Learned, transform_forward
from bnpipe.networks.network import draw_network, options_of
from bnpipe.networks.seeds import BatchOrder
from bnpipe.training.trainer import one_thread

EXAMPLE_GAMMA, EXAMPLE_BETA = 0.5, 1.0  # visibly different from their start, 1 and 0, and from the identity's

STAGES = ["before", "centred", "scaled", "gamma_beta", "identity"]
MECHANICS_COLUMNS = ["unit", "image", *STAGES]
SUMMARY_COLUMNS = [
    "unit",
    "chosen_for",
    "stage",
    "formula",
    "gamma",
    "beta",
    "mean",
    "variance",
    "standard_deviation",
]

Numbers = NDArray[np.float64]


class Stage(NamedTuple):
    """The mini-batch after a step of the transform, and the formula of the step."""

    name: str
    formula: str
    batch: Numbers  # (batch, units)
    gamma: Numbers | None = None  # (units,), in stages that have one
    beta: Numbers | None = None


def make_mechanics(settings: Mapping[str, Any], seed: int, packed: Path, mechanics: Path, summary: Path) -> None:
    """Follow the first mini-batch of a seed through the transform and write both tables.

    settings: the fields of TrainingSettings. packed: the packed data set. mechanics, summary: the tables' files.
    Raises InputError if the packed file cannot be used.
    """
    chosen = TrainingSettings.from_plain(settings)
    z, images = first_product(chosen, seed, open_dataset(packed).train)
    units = choose_units(z)
    stages = follow(z[:, list(units)], chosen)
    write_table(mechanics_table(stages, list(units), images), mechanics)
    write_table(stage_summary_table(stages, units), summary)


def first_product(settings: TrainingSettings, seed: int, images: Images) -> tuple[Numbers, NDArray[np.int32]]:
    """Multiply a seed's first mini-batch by its first weights, under the tutorial's contract.

    The mini-batch is drawn from all training images, in grey and in single precision, whatever the settings say.
    Returns z (batch, units) in float64, the same bits as the network computes, and the indices of the images among
    the training images, (batch,).
    """
    stream = np.random.RandomState(seed)
    network = draw_network(replace(settings, arm="batchnorm", precision="float32"), images.shape, stream)
    indices = BatchOrder([stream], len(images), settings.batch_size).next_batches(1)[0, :, 0]
    batch = images.take(indices)
    with one_thread():
        seen = network.step(batch.shown(), batch.labels, settings.learning_rate)
    return seen.z[0].astype(np.float64), indices


def choose_units(z: Numbers) -> dict[int, str]:
    """Choose four units of z (batch, units) that differ most; return them with the reasons.

    They have the smallest mean, the largest mean, the smallest and the largest standard deviation over the mini-batch,
    in this order, each among the units not chosen yet.
    """
    deviation, mean = z.std(axis=0), z.mean(axis=0)
    orders = {
        "smallest mean": mean,
        "largest mean": -mean,
        "smallest standard deviation": deviation,
        "largest standard deviation": -deviation,
    }
    units: dict[int, str] = {}
    for reason, order in orders.items():
        left = [unit for unit in order.argsort(kind="stable").tolist() if unit not in units]
        if left:
            units[left[0]] = reason
    return units


def follow(z: Numbers, settings: TrainingSettings) -> list[Stage]:
    """Take z (batch, units) through the stages of the transform, in the order of STAGES.

    The layer itself computes mean, variance, x_hat and y. With gamma = sqrt(variance + epsilon) and beta = mean it
    is the identity (Ioffe & Szegedy 2015, section 3).
    """
    # A moving average with weight 1 that starts at 0 is the mean or variance of the newest batch, to the last bit.
    newest = replace(settings, moving_average_weight=1.0, moving_variance="biased")
    options = options_of(replace(newest, arm="batchnorm", precision="float64"))
    m, units = z.shape
    ones, zeros = np.ones(units), np.zeros(units)
    mean, variance = np.zeros(units), np.zeros(units)
    kept = Kept(np.empty((m, units)), np.empty(units), np.empty(units))

    def stage(name: str, formula: str, gamma: Numbers, beta: Numbers) -> Stage:
        y = z.copy()
        transform_forward(options, Learned(gamma, beta, mean, variance), np.empty((0, units)), y, kept)
        return Stage(name, formula, y, gamma, beta)

    std = f"sqrt(variance + {settings.epsilon:g})"
    scaled = stage("scaled", f"x_hat = (z - mean) / {std}", ones, zeros)
    example = f"y = {EXAMPLE_GAMMA:g} * x_hat + {EXAMPLE_BETA:g}"
    return [
        Stage("before", "z = hW", z),
        Stage("centred", "z - mean", z - mean),
        scaled,
        stage("gamma_beta", example, EXAMPLE_GAMMA * ones, EXAMPLE_BETA * ones),
        stage("identity", f"y = {std} * x_hat + mean", np.sqrt(variance + settings.epsilon), mean.copy()),
    ]


def mechanics_table(stages: Sequence[Stage], units: Sequence[int], images: NDArray[np.int32]) -> pd.DataFrame:
    """Put the values of all stages side by side; columns MECHANICS_COLUMNS.

    units: their numbers in the layer, from 0. images: (batch,), indices among the training images; the rows are in
    their order.
    """
    columns = {stage.name: stage.batch.T.ravel() for stage in stages}
    return pd.DataFrame(
        {"unit": np.repeat(units, len(images)), "image": np.tile(images, len(units)), **columns},
        columns=MECHANICS_COLUMNS,
    )


def stage_summary_table(stages: Sequence[Stage], units: Mapping[int, str]) -> pd.DataFrame:
    """Summarize every unit at every stage; columns SUMMARY_COLUMNS.

    units: the reason why each was chosen. In a formula, `mean` and `variance` are those of the unit's stage `before`.
    The divisor of `variance` is m, the number of images in the mini-batch. After scaling the variance is less than 1,
    by epsilon / (variance + epsilon). Means of 0 are 0 up to rounding.
    """
    rows = []
    for place, (unit, reason) in enumerate(units.items()):
        for stage in stages:
            gamma, beta = (None if own is None else own[place].item() for own in (stage.gamma, stage.beta))
            values = stage.batch[:, place]
            spread = (values.mean(), values.var(), values.std())
            rows.append((unit, reason, stage.name, stage.formula, gamma, beta, *spread))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)
