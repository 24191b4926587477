"""One file per data set, split and packed, which every training job reads."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write_bytes
from bnpipe.core.settings import PIXELS
from bnpipe.data.header import HEADER, NOT_PACKED, REMEDY, read_header

SPLITS = ("train", "validation", "test")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Images:
    """Images of one split."""

    pixels: Bytes  # (images, 784)
    labels: NDArray[np.int64]  # (images,)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: slice | NDArray[Any]) -> "Images":
        """Return the images of a slice, at some indices, or where a mask is true."""
        return Images(self.pixels[chosen], self.labels[chosen])

    def first(self, count: int | None) -> "Images":
        """Return the first ``count`` images, or all if there are fewer or ``count`` is None."""
        return self.take(slice(count))

    def binarized(self) -> "Images":
        """Return the images in black and white: pixels of at least half of white become white."""
        return Images((self.pixels >= 128).astype(np.uint8) * np.uint8(255), self.labels)

    def shown(self, number: type[np.floating] = np.float32) -> NDArray[Any]:
        """Return the pixels (images, 784) as numbers from 0 to 1."""
        shown: NDArray[Any] = self.pixels.astype(number) / number(255)
        return shown

    def chunks(self, rows: int) -> Iterator["Images"]:
        """Go through all images, ``rows`` at a time."""
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

    train, test: images (n, 28, 28) and labels (n,). Raises InputError if there are not as many labels as
    images, or too few training images for ``validation_images``.
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
    tensors: dict[str, Bytes] = {}
    cut = validation_images
    parts = ((train[0][cut:], train[1][cut:]), (train[0][:cut], train[1][:cut]), test)
    digest = hashlib.sha256()
    for split, (images, labels) in zip(SPLITS, parts, strict=True):
        tensors[f"{split}_images"] = np.ascontiguousarray(images.reshape(-1, PIXELS))
        tensors[f"{split}_labels"] = np.ascontiguousarray(labels)
        digest.update(tensors[f"{split}_images"].tobytes())
        digest.update(tensors[f"{split}_labels"].tobytes())
    atomic_write_bytes(path, save(tensors, {HEADER: json.dumps({"sha256": digest.hexdigest()})}))


def open_dataset(path: Path) -> Dataset:
    """Read a packed data set. Raises InputError if the file is missing or is something else."""
    header = read_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            splits = {
                split: Images(
                    pixels=file.get_tensor(f"{split}_images"),
                    labels=file.get_tensor(f"{split}_labels").astype(np.int64),
                )
                for split in SPLITS
            }
    except SafetensorError as error:
        raise InputError(f"{path}: {NOT_PACKED} ({error}); {REMEDY}") from error
    return Dataset(**splits, sha256=header.sha256)
