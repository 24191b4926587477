"""IDX files and small data sets for tests, and the place of the real MNIST files."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bnpipe.data.checksums import PAYLOADS
from bnpipe.data.layouts import FILES

REAL_MNIST = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"

needs_real_mnist = pytest.mark.skipif(
    not all((REAL_MNIST / f"{name}.gz").is_file() for name in FILES),
    reason=f"the files of MNIST are not in {REAL_MNIST}",
)


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """Write an array of any shape in the IDX format."""
    return idx_header(*values.shape) + values.tobytes()


def idx_header(*shape: int, value_type: int = 0x08) -> bytes:
    """Write the header of an IDX file of any shape."""
    return struct.pack(f">HBB{len(shape)}I", 0, value_type, len(shape), *shape)


def some_images(count: int, first: int = 0) -> NDArray[np.uint8]:
    """Return images (count, 28, 28). Every pixel of image i is first + i."""
    values = np.arange(first, first + count, dtype=np.uint8)
    return np.repeat(values, 28 * 28).reshape(count, 28, 28)


def some_labels(count: int) -> NDArray[np.uint8]:
    """Return labels (count,): 0, 1, ... 9, 0, 1, ..."""
    return (np.arange(count) % 10).astype(np.uint8)


def small_payloads(train: int = 20, test: int = 6) -> dict[str, bytes]:
    """Return the four files of a data set by name. Training images hold 0, 1, ... and test images 100, 101, ..."""
    contents = (some_images(train), some_labels(train), some_images(test, first=100), some_labels(test))
    return {name: idx_bytes(values) for name, values in zip(FILES, contents, strict=True)}


def known_as(monkeypatch: pytest.MonkeyPatch, dataset: str) -> None:
    """Make the small data set pass for a built-in one."""
    sums = {name: f"sha256:{hashlib.sha256(payload).hexdigest()}" for name, payload in small_payloads().items()}
    monkeypatch.setitem(PAYLOADS, dataset, sums)


def write_small_folder(folder: Path, *, compressed: bool = False) -> Path:
    """Write the four files of a small data set into a new folder."""
    folder.mkdir(parents=True)
    for name, payload in small_payloads().items():
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(payload))
        else:
            (folder / name).write_bytes(payload)
    return folder
