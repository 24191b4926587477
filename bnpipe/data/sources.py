"""Where the images come from: the built-in data sets, or the user's own folder."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.core.settings import DIGITS_SPLIT, Shape
from bnpipe.data.idx import peek_sizes, read_labels
from bnpipe.data.layouts import find_own
from bnpipe.data.mirrors import existing_folder

TITLES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR-10",
    "digits": "scikit-learn's digits (not MNIST)",
}
TRAINING_FILE_IMAGES = {
    "mnist": 60_000,
    "fashion_mnist": 60_000,
    "kmnist": 60_000,
    "cifar10": 50_000,
    "digits": sum(DIGITS_SPLIT[:2]),
}
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Source:
    """A data set that can be named in the configuration."""

    name: str  # part of every path of its results
    title: str  # as figures and pages show it
    files: tuple[Path, ...] = ()  # the four files of the user's own folder; empty for a built-in data set


def resolve(dataset: str) -> Source:
    """Find what the configuration's ``dataset`` means.

    Raises InputError if it is neither a built-in name nor a folder that contains the four files.
    """
    if dataset in TITLES:
        return Source(dataset, TITLES[dataset])
    folder = existing_folder(dataset, "dataset")
    if folder is None:
        names = ", ".join(TITLES)
        raise InputError(f"dataset: expected one of {names}, or an existing folder, got {dataset!r}")
    name = folder.resolve().name
    if not SAFE_NAME.fullmatch(name):
        raise InputError(
            "dataset: expected a folder whose name has only letters, digits, '_' and '-' (at most 64; paths contain "
            f"it), got {name!r}; rename the folder"
        )
    if name.lower() in TITLES:  # keeps results apart from those of a built-in data set; some disks ignore case
        name = f"{name}-folder"
    try:
        return Source(name, f"{name} (own files)", find_own(folder))
    except InputError as error:
        raise InputError(f"dataset: {error}") from error


def split_sizes(source: Source, validation_images: int) -> tuple[int, int] | None:
    """Return how many images the training file holds, and how many of them are for validation.

    validation_images: as configured. None if the file is damaged: the job that reads it will say what is wrong.
    """
    if source.files:
        sizes = peek_sizes(source.files[0])
        return (sizes[0], validation_images) if sizes else None
    return TRAINING_FILE_IMAGES[source.name], DIGITS_SPLIT[1] if source.name == "digits" else validation_images


def shape_of(source: Source) -> Shape | None:
    """Return the size of a data set's images and the number of its classes, before it is packed.

    None if a file is damaged: the job that reads it will say what is wrong.
    """
    if not source.files:
        return Shape(3, 32, 32, classes=10) if source.name == "cifar10" else Shape(1, 28, 28, classes=10)
    sizes = peek_sizes(source.files[0])
    if sizes is None or len(sizes) not in (3, 4):
        return None
    try:
        labels = read_labels(source.files[1])
    except InputError:
        return None
    return Shape.of_images(sizes, classes=int(labels.max()) + 1)


if __name__ == "__main__":  # for the Makefile: the name of a data set in paths
    try:
        print(resolve(sys.argv[1]).name)
    except InputError as error:
        sys.exit(error.for_terminal())
