"""Strict decoding of IDX files, the format of MNIST and its relatives.

The format: two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit integer, then
the values. Here the values are unsigned bytes. They are labels (1 dimension: images), grey images (3: images, rows,
columns) or images in colour (4: images, rows, columns, channels).
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.errors import InputError
from bnpipe.data.contents import describe

GZIP_MAGIC = b"\x1f\x8b"
IDX_MAGIC = b"\0\0\x08"  # of unsigned bytes
UNSIGNED_BYTE = 0x08
MAX_PAYLOAD_SIZE = 1 << 30  # bytes; a larger file is considered damaged
MAX_CHANNELS = 4
KINDS = {(1,): "1 dimension (labels)", (3, 4): "3 dimensions (images), or 4 (images in colour)"}


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of images, plain or gzip; returns (images, rows, columns), or (images, rows, columns, channels).

    Raises InputError if the file does not hold images, if it does not hold exactly as many as its header says, or if
    the last of four dimensions is larger than MAX_CHANNELS.
    """
    images = _read(path, dimensions=(3, 4))
    if images.ndim == 4 and images.shape[3] > MAX_CHANNELS:
        raise InputError(
            f"{path}: expected 1 to {MAX_CHANNELS} channels, the last of 4 dimensions, got {images.shape[3]} in its "
            "header; write images x rows x columns x channels"
        )
    return images


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of labels, plain or gzip; returns (labels,).

    Raises InputError if the file does not hold labels, or not exactly as many as its header says.
    """
    return _read(path, dimensions=(1,))


def peek_sizes(path: Path) -> tuple[int, ...] | None:
    """Return the size of every dimension of a file according to its header, or None if it has no such header."""
    try:
        start = _read_bytes(path, 4 + 4 * 255)  # the longest header
    except InputError:
        return None
    if len(start) < 4 or start[:2] != b"\0\0" or len(start) < 4 + 4 * start[3]:
        return None
    return struct.unpack_from(f">{start[3]}I", start, 4)


def read_payload(path: Path) -> bytes:
    """Read a file, decompressed if it is gzip. Raises InputError if it cannot be read or is too large."""
    payload = _read_bytes(path, MAX_PAYLOAD_SIZE + 1)
    if len(payload) > MAX_PAYLOAD_SIZE:
        raise InputError(f"{path}: expected at most {MAX_PAYLOAD_SIZE} bytes, got more; replace the file")
    return payload


def _read_bytes(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == GZIP_MAGIC
        with gzip.open(path) if compressed else path.open("rb") as file:
            return file.read(most)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}); replace the file") from error


def _read(path: Path, dimensions: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read a file that has one of these numbers of dimensions. dimensions: a key of KINDS."""
    payload = read_payload(path)
    _check_header(path, payload, dimensions[0])
    zeros, value_type, found_dimensions = struct.unpack_from(">HBB", payload)
    if zeros != 0:
        kind = describe(payload)
        found = f"{payload[:2].hex()} ({kind})" if kind else payload[:2].hex()
        raise InputError(f"{path}: not an IDX file: expected it to start with 0000, got {found}; replace it")
    if value_type != UNSIGNED_BYTE:
        raise InputError(f"{path}: expected values of type 0x08 (unsigned bytes), got 0x{value_type:02x}; convert them")
    if found_dimensions not in dimensions:
        kind = KINDS[dimensions]
        raise InputError(f"{path}: expected {kind}, got {found_dimensions} in its header; replace the file")
    header_size = _check_header(path, payload, found_dimensions)
    shape = struct.unpack_from(f">{found_dimensions}I", payload, 4)
    expected = header_size + math.prod(shape)
    if len(payload) != expected:
        fault = "truncated" if len(payload) < expected else "trailing bytes"
        raise InputError(
            f"{path}: {fault}: expected {expected} bytes, as its header says, got {len(payload)}; replace the file"
        )
    if 0 in shape:
        counts = " x ".join(map(str, shape))
        raise InputError(f"{path}: empty: expected at least one value, got {counts} in its header; replace the file")
    return np.frombuffer(payload, np.uint8, offset=header_size).reshape(shape)


def _check_header(path: Path, payload: bytes, dimensions: int) -> int:
    """Return how many bytes a header with this many dimensions has. Raises InputError if the file has fewer."""
    size = 4 + 4 * dimensions
    if len(payload) < size:
        raise InputError(f"{path}: truncated: expected at least {size} bytes, got {len(payload)}; replace the file")
    return size
