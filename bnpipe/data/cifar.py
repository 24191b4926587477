"""CIFAR-10 (Krizhevsky 2009): 60,000 images of 32 x 32 pixels in colour, from the files that torchvision reads."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # images (n, 32, 32, 3), labels (n,)


def read_cifar10(root: Path) -> tuple[Arrays, Arrays]:
    """Read the training and the test images. root: the parent of the files' folder; their MD5 sums must be right."""
    parts = (torchvision_cifar10()(root, train=train) for train in (True, False))
    training, test = ((part.data, np.array(part.targets, np.uint8)) for part in parts)
    return training, test


def torchvision_cifar10() -> Any:
    """Return torchvision's class: it reads the files, and knows their names, MD5 sums and where they are published."""
    from torchvision.datasets import CIFAR10  # takes seconds, so import it only if it is needed

    return CIFAR10
