from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bnpipe.data.packed import Dataset, Images
from bnpipe.settings import TrainingSettings

TANH = TrainingSettings(
    arm="batchnorm",
    activation="tanh",
    learning_rate=0.01,
    init_std=0.1,
    steps=130,
    hidden_sizes=(100,) * 9,
    batch_size=60,
    evaluation_interval=60,
    epsilon=1e-3,
    moving_average_weight=0.01,
    moving_variance="biased",
)


def make_settings(**changes: Any) -> TrainingSettings:
    """Return the settings of the tutorial's first condition, with changes."""
    return replace(TANH, **changes)


def _images(rng: np.random.Generator, count: int) -> Images:
    labels = rng.integers(0, 10, count)
    pixels = rng.integers(0, 60, (count, 784))
    pixels[np.arange(count), labels * 70] += 190  # something to learn
    return Images(torch.from_numpy(pixels.astype(np.uint8)), torch.from_numpy(labels))


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Return a small made-up data set; the training images do not divide into batches of 60."""
    rng = np.random.default_rng(0)
    return Dataset(train=_images(rng, 1000), validation=_images(rng, 700), test=_images(rng, 333), sha256="0" * 64)
