"""One file per data set, split and packed, which every training job reads."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write_bytes
from bnpipe.core.settings import Shape
from bnpipe.data.header import HEADER, NOT_PACKED, REMEDY, read_header

SPLITS = ("train", "validation", "test")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Images:
    """Images of one split."""

    pixels: Bytes  # (images, pixels): row after row, the channels of a pixel side by side
    labels: NDArray[np.int64]  # (images,)
    shape: Shape

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: slice | NDArray[Any]) -> "Images":
        """Return the images of a slice, at some indices, or where a mask is true."""
        return replace(self, pixels=self.pixels[chosen], labels=self.labels[chosen])

    def first(self, count: int | None) -> "Images":
        """Return the first ``count`` images, or all if there are fewer or ``count`` is None."""
        return self.take(slice(count))

    def binarized(self) -> "Images":
        """Return the images in black and white: pixels of at least half of white become white."""
        return replace(self, pixels=(self.pixels >= 128).astype(np.uint8) * np.uint8(255))

    def shown(self, number: type[np.floating] = np.float32) -> NDArray[Any]:
        """Return the pixels (images, pixels) as numbers from 0 to 1."""
        shown: NDArray[Any] = self.pixels.astype(number) / number(255)
        return shown

    def chunks(self, rows: int) -> Iterator["Images"]:
        """Yield all images, ``rows`` at a time."""
        for start in range(0, len(self), rows):
            yield self.take(slice(start, start + rows))


@dataclass(frozen=True)
class Dataset:
    """A packed data set."""

    train: Images
    validation: Images
    test: Images
    sha256: str  # of all images and labels, in the order train, validation, test


def pack(train: tuple[Bytes, Bytes], test: tuple[Bytes, Bytes], validation_images: int, path: Path) -> None:
    """Split off the validation images, the first of the training file, and write the packed file.

    train, test: images (n, rows, columns), or (n, rows, columns, channels), and labels (n,). Raises InputError if there
    are not as many labels as images, if training and test images differ in size, if `classes_of` refuses the training
    labels, if a test label is larger than all of these, or if there are too few training images for
    ``validation_images``.
    """
    for name, (images, labels) in (("training", train), ("test", test)):
        if len(images) != len(labels):
            raise InputError(
                f"{name} files: expected as many labels as images, got {len(labels)} for {len(images)}; replace one"
            )
    if not 0 < validation_images < len(train[0]):
        raise InputError(
            f"validation_images: expected 1 to {len(train[0]) - 1} (the data set has {len(train[0])} training images), "
            f"got {validation_images}"
        )
    shape = _common_shape(train, test)
    tensors: dict[str, Bytes] = {}
    cut = validation_images
    parts = ((train[0][cut:], train[1][cut:]), (train[0][:cut], train[1][:cut]), test)
    digest = hashlib.sha256()
    for split, (images, labels) in zip(SPLITS, parts, strict=True):
        tensors[f"{split}_images"] = np.ascontiguousarray(images.reshape(-1, shape.pixels))
        tensors[f"{split}_labels"] = np.ascontiguousarray(labels)
        digest.update(tensors[f"{split}_images"].tobytes())
        digest.update(tensors[f"{split}_labels"].tobytes())
    if shape.channels > 1 or shape.rows != shape.columns:  # for square grey images the number of pixels is enough
        digest.update(str(shape).encode())
    about = {"sha256": digest.hexdigest(), "shape": asdict(shape)}
    atomic_write_bytes(path, save(tensors, {HEADER: json.dumps(about)}))


def classes_of(labels: Bytes) -> int:
    """Return the number of classes in labels (n,).

    Raises InputError if it is less than two, or if a label from 0 to the largest never occurs.
    """
    counts = np.bincount(labels)
    if len(counts) < 2:
        raise InputError("training files: expected labels of at least two classes, got only 0; replace the labels")
    if not counts.all():
        raise InputError(
            f"training files: expected every label from 0 to {len(counts) - 1}, the largest, got no {counts.argmin()}; "
            "number the classes from 0 without gaps"
        )
    return len(counts)


def _common_shape(train: tuple[Bytes, Bytes], test: tuple[Bytes, Bytes]) -> Shape:
    """Return the shape that training and test files share; images and labels as in `pack`.

    Raises InputError if they do not share one, or if the labels of either file are wrong.
    """
    classes = classes_of(train[1])
    shape, other = (Shape.of_images(images.shape, classes) for images, _ in (train, test))
    if other != shape:
        raise InputError(
            f"test files: expected images of {shape} pixels, as in the training files, got {other}; scale them"
        )
    if test[1].max() >= classes:
        where = int(np.argmax(test[1] >= classes))
        raise InputError(
            f"test files: expected labels 0 to {classes - 1}, as in the training files, got {test[1][where]} at "
            f"position {where}; correct it"
        )
    return shape


def open_dataset(path: Path) -> Dataset:
    """Read a packed data set. Raises InputError if the file is missing or is something else."""
    header = read_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            splits = {
                split: Images(
                    pixels=file.get_tensor(f"{split}_images"),
                    labels=file.get_tensor(f"{split}_labels").astype(np.int64),
                    shape=header.shape,
                )
                for split in SPLITS
            }
    except SafetensorError as error:
        raise InputError(f"{path}: {NOT_PACKED} ({error}); {REMEDY}") from error
    return Dataset(**splits, sha256=header.sha256)
