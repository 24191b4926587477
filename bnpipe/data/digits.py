"""scikit-learn's embedded digits: 1,797 real ones of 8 x 8 pixels, for use when MNIST cannot be downloaded."""

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits


def read_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the images (1797, 28, 28) and labels (1797,), in scikit-learn's order.

    Every pixel becomes a square of 3 x 3 pixels, in the centre of the image (with a margin of 2). Its value, 0 to 16,
    is scaled to 0 to 255.
    """
    digits = load_digits()
    small = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    large = small.repeat(3, axis=1).repeat(3, axis=2)
    return np.pad(large, ((0, 0), (2, 2), (2, 2))), digits.target.astype(np.uint8)
