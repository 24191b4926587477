"""Made-up images in the shape of MNIST, for machines without a data set."""

import numpy as np

from bnpipe.core.settings import Shape
from bnpipe.data.packed import Dataset, Images

SHAPE = Shape(channels=1, rows=28, columns=28, classes=10)  # MNIST's


def make_images(rng: np.random.Generator, count: int) -> Images:
    """Draw noisy images with one bright pixel that gives away their class."""
    labels = rng.integers(0, SHAPE.classes, count)
    pixels = rng.integers(0, 60, (count, SHAPE.pixels))
    pixels[np.arange(count), labels * 70] += 190  # so there is something to learn
    return Images(pixels.astype(np.uint8), labels, SHAPE)


def make_dataset(train: int, validation: int, test: int) -> Dataset:
    """Draw this many images for each split, always the same."""
    rng = np.random.default_rng(0)
    first, second, third = (make_images(rng, count) for count in (train, validation, test))
    return Dataset(first, second, third, sha256="0" * 64)
