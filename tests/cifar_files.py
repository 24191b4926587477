"""Files in CIFAR-10's format, with made-up images."""

import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torchvision.datasets import CIFAR10

BATCHES = {**{f"data_batch_{number}": 4 for number in range(1, 6)}, "test_batch": 6}  # images of each file


def images_of(name: str) -> NDArray[np.uint8]:
    """Return the images of a file, (images, 3, 32, 32), with random pixels."""
    return np.random.default_rng(sorted(BATCHES).index(name)).integers(0, 256, (BATCHES[name], 3, 32, 32), np.uint8)


def labels_of(name: str) -> list[int]:
    """Return the labels of a file. They count 0, 1, ... 9, 0, ... from one training file to the next."""
    first = 0 if name == "test_batch" else 4 * (int(name[-1]) - 1)
    return [label % 10 for label in range(first, first + BATCHES[name])]


def write_cifar10(root: Path) -> Path:
    """Write the unpacked files below a new folder, in the format of the authors' files, and return that folder.

    An image is a row of 3,072 bytes: 1,024 of red, row after row, then 1,024 of green and 1,024 of blue.
    """
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in BATCHES:
        batch = {"data": images_of(name).reshape(-1, 3072), "labels": labels_of(name)}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}, protocol=2))
    return root


def pack_cifar10(root: Path) -> Path:
    """Write the archive of the files below a folder, beside them, and return its path."""
    archive = root / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root / "cifar-10-batches-py", "cifar-10-batches-py")
    return archive


def known_as_cifar10(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Make the files below a folder, and its archive if there is one, pass for the real ones."""

    def md5(path: Path) -> str:
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()

    folder = root / "cifar-10-batches-py"
    sums = [[name, md5(folder / name)] for name in BATCHES]
    monkeypatch.setattr(CIFAR10, "train_list", sums[:-1])
    monkeypatch.setattr(CIFAR10, "test_list", sums[-1:])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5(folder / "batches.meta")})
    archive = root / "cifar-10-python.tar.gz"
    if archive.exists():
        monkeypatch.setattr(CIFAR10, "tgz_md5", md5(archive))
