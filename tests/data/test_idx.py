import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnpipe.core.errors import InputError
from bnpipe.data.idx import peek_sizes, read_images, read_labels, read_payload
from tests.idx_files import REAL_MNIST, idx_bytes, idx_header, needs_real_mnist

Reader = Callable[[Path], NDArray[np.uint8]]

PIXELS: NDArray[Any] = np.random.default_rng(0).integers(0, 256, (2, 28, 28), dtype=np.uint8)
IMAGES = idx_bytes(PIXELS)
LABELS = idx_bytes(np.arange(10, dtype=np.uint8))
COMPRESSED = gzip.compress(IMAGES, mtime=0)  # without a time, because it is in the names of tests
MIDDLE = len(COMPRESSED) // 2
FLIPPED = COMPRESSED[:MIDDLE] + bytes(255 - byte for byte in COMPRESSED[MIDDLE : MIDDLE + 4]) + COMPRESSED[MIDDLE + 4 :]
BAD_CRC = COMPRESSED[:-8] + bytes(255 - byte for byte in COMPRESSED[-8:-4]) + COMPRESSED[-4:]  # CRC, then length
BAD_LENGTH = COMPRESSED[:-4] + b"\0\0\0\0"
BAD_BLOCK = COMPRESSED[:10] + b"\x07" + COMPRESSED[11:]  # 10 bytes of header, then a block of the reserved type 3

DAMAGED: dict[str, tuple[Reader, bytes, str]] = {
    "empty file": (read_images, b"", "truncated: expected at least 16 bytes, got 0;"),
    "empty labels file": (read_labels, b"", "truncated: expected at least 8 bytes, got 0;"),
    "truncated header": (read_images, IMAGES[:15], "truncated: expected at least 16 bytes, got 15;"),
    "truncated labels header": (read_labels, LABELS[:7], "truncated: expected at least 8 bytes, got 7;"),
    "header only": (read_images, IMAGES[:16], "truncated: expected 1584 bytes, as its header says, got 16;"),
    "truncated payload": (read_images, IMAGES[:-1], "truncated: expected 1584 bytes, as its header says, got 1583;"),
    "truncated labels": (read_labels, LABELS[:-1], "truncated: expected 18 bytes, as its header says, got 17;"),
    "trailing byte": (
        read_images,
        IMAGES + b"\0",
        "trailing bytes: expected 1584 bytes, as its header says, got 1585;",
    ),
    "promises more": (read_images, idx_header(3, 28, 28) + IMAGES[16:], "truncated: expected 2368 .*, got 1584;"),
    "promises less": (read_images, idx_header(1, 28, 28) + IMAGES[16:], "trailing bytes: expected 800 .*, got 1584;"),
    "promises the world": (read_images, idx_header(2**32 - 1, 28, 28) + IMAGES[16:], "truncated"),
    "wrong first byte": (read_images, b"\x01" + IMAGES[1:], "not an IDX file: .* start with 0000, got 0100;"),
    "wrong second byte": (read_labels, b"\x00\x01" + LABELS[2:], "not an IDX file: .* start with 0000, got 0001;"),
    "a web page": (
        read_labels,
        b"<!DOCTYPE html><html></html>",
        r"got 3c21 \(an HTML page, perhaps .*\);",
    ),
    "floats": (read_images, idx_header(2, 28, 28, value_type=0x0D) + IMAGES[16:], "type 0x08 .*, got 0x0d;"),
    "signed bytes": (read_labels, idx_header(10, value_type=0x09) + LABELS[8:], "type 0x08 .*, got 0x09;"),
    "labels for images": (read_images, LABELS, r"expected 3 dimensions \(images\), or 4 .*, got 1 "),
    "images for labels": (read_labels, IMAGES, r"expected 1 dimension \(labels\), got 3 "),
    "five dimensions": (read_images, idx_header(2, 28, 28, 1, 1) + IMAGES[16:], "expected 3 .*, or 4 .*, got 5 "),
    "channels first": (
        read_images,
        idx_header(2, 3, 8, 8) + bytes(2 * 3 * 8 * 8),
        "expected 1 to 4 channels, the last of 4 dimensions, got 8 .*; write images x rows x columns x channels",
    ),
    "truncated header of four dimensions": (
        read_images,
        idx_header(1, 1, 1, 1)[:18],
        "truncated: expected at least 20 bytes, got 18;",
    ),
    "no images": (read_images, idx_header(0, 28, 28), "empty: .*, got 0 x 28 x 28 in its header;"),
    "no labels": (read_labels, idx_header(0), "empty: .*, got 0 in its header;"),
    "no pixels": (read_images, idx_header(5, 0, 28), "empty: .*, got 5 x 0 x 28 in its header;"),
    "gzip cut off": (read_images, COMPRESSED[:-20], "cannot be read"),
    "gzip cut off in its last four bytes": (read_images, COMPRESSED[:-1], "cannot be read"),
    "gzip of two bytes": (read_images, COMPRESSED[:2], "cannot be read"),
    "gzip with flipped bytes": (read_images, FLIPPED, "cannot be read"),
    "gzip with an invalid block": (read_images, BAD_BLOCK, "cannot be read"),
    "gzip with a bad CRC": (read_images, BAD_CRC, "cannot be read"),
    "gzip with a bad length": (read_images, BAD_LENGTH, "cannot be read"),
    "gzip and then something else": (read_images, COMPRESSED + b"more", "cannot be read"),
    "gzip of nothing": (read_images, gzip.compress(b""), "truncated: expected at least 16 bytes, got 0;"),
    "gzip twice": (
        read_images,
        gzip.compress(COMPRESSED),
        r"got 1f8b \(a gzip file in a gzip file\);",
    ),
}


def error_line(read: Reader, path: Path) -> str:
    """Read a bad file; return its error, which is one line and names the file."""
    with pytest.raises(InputError) as raised:
        read(path)
    line = str(raised.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_good_files(tmp_path: Path, wrap: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "file"
    path.write_bytes(wrap(b"\x00\x00\x08\x01\x00\x00\x00\x03\x07\x00\x09"))
    labels = read_labels(path)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [7, 0, 9]
    path.write_bytes(wrap(IMAGES))
    images = read_images(path)
    assert images.dtype == np.uint8
    assert np.array_equal(images, PIXELS)


def test_images_in_colour_have_their_channels_last(tmp_path: Path) -> None:
    values = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)  # images, rows, columns, channels
    (tmp_path / "file").write_bytes(idx_bytes(values))
    images = read_images(tmp_path / "file")
    assert images.shape == (2, 2, 3, 3)
    assert images[0, :, :, 0].tolist() == [[0, 3, 6], [9, 12, 15]]  # all that is red
    assert images[1, :, :, 2].tolist() == [[20, 23, 26], [29, 32, 35]]


@pytest.mark.parametrize(
    ("content", "sizes"),
    [
        (idx_header(2, 28, 28) + b"more", (2, 28, 28)),
        (idx_header(5), (5,)),
        (idx_header(7, 3, 4, 3), (7, 3, 4, 3)),
        (idx_header(2, 28, 28)[:-1], None),
        (b"\0\0\x08", None),
        (b"\x01" + IMAGES[1:], None),
        (COMPRESSED[:10], None),
    ],
)
def test_sizes_are_seen_without_the_rest_of_the_file(
    tmp_path: Path, content: bytes, sizes: tuple[int, ...] | None
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert peek_sizes(tmp_path / "file") == sizes


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    read, content, fault = DAMAGED[name]
    path = tmp_path / "some-idx-ubyte.gz"
    path.write_bytes(content)
    assert error_line(read, path)
    with pytest.raises(InputError, match=fault):
        read(path)


@pytest.mark.parametrize("read", [read_images, read_labels])
def test_missing_file_and_folder_are_refused(tmp_path: Path, read: Reader) -> None:
    assert "cannot be read" in error_line(read, tmp_path / "missing")
    assert "cannot be read" in error_line(read, tmp_path)


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_payload_is_limited(tmp_path: Path, wrap: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(wrap(bytes(1000)))
    monkeypatch.setattr("bnpipe.data.idx.MAX_PAYLOAD_SIZE", 1000)
    assert read_payload(path) == bytes(1000)
    monkeypatch.setattr("bnpipe.data.idx.MAX_PAYLOAD_SIZE", 999)
    assert "expected at most 999 bytes" in error_line(lambda path: np.frombuffer(read_payload(path), np.uint8), path)


@needs_real_mnist
def test_real_mnist() -> None:
    images = read_images(REAL_MNIST / "t10k-images-idx3-ubyte.gz")
    labels = read_labels(REAL_MNIST / "t10k-labels-idx1-ubyte.gz")
    assert images.shape == (10_000, 28, 28)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]  # the well-known first five
