"""Strict decoding of IDX files, the format of MNIST and its relatives.

The format: two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit
integer, then the values. Here the values are unsigned bytes, of images (3 dimensions) or labels (1).
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.errors import InputError
from bnpipe.core.settings import CLASSES, IMAGE_SIZE

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
MAX_PAYLOAD_SIZE = 1 << 30  # bytes; a header that promises more is taken for damaged


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of images, plain or gzip; returns (images, rows, columns).

    Raises InputError where the file is anything but 28 x 28 images, exactly as many as its header says.
    """
    images = _read(path, dimensions=3)
    if images.shape[1:] != IMAGE_SIZE:
        rows, columns = images.shape[1:]
        raise InputError(f"{path}: found images of {rows} x {columns} pixels; permitted is 28 x 28")
    return images


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of labels, plain or gzip; returns (labels,).

    Raises InputError where the file is anything but labels 0 to 9, exactly as many as its header says.
    """
    labels = _read(path, dimensions=1)
    if labels.max() >= CLASSES:
        where = int(np.argmax(labels >= CLASSES))
        raise InputError(f"{path}: found label {labels[where]} at position {where}; permitted are 0 to 9")
    return labels


def peek_count(path: Path) -> int | None:
    """Return how many images or labels the header of a file promises, or None where it has no such header."""
    try:
        start = _read_bytes(path, 8)
    except InputError:
        return None
    return int(struct.unpack_from(">I", start, 4)[0]) if len(start) == 8 and start[:2] == b"\0\0" else None


def read_payload(path: Path) -> bytes:
    """Read a file, decompressed where it is gzip. Raises InputError where it cannot be read or is too large."""
    payload = _read_bytes(path, MAX_PAYLOAD_SIZE + 1)
    if len(payload) > MAX_PAYLOAD_SIZE:
        raise InputError(f"{path}: holds more than {MAX_PAYLOAD_SIZE} bytes, the most permitted; replace the file")
    return payload


def _read_bytes(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == GZIP_MAGIC
        with gzip.open(path) if compressed else path.open("rb") as file:
            return file.read(most)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); replace the file") from error


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    payload = read_payload(path)
    header_size = 4 + 4 * dimensions
    if len(payload) < header_size:
        raise InputError(f"{path}: truncated: found {len(payload)} bytes; its header alone takes {header_size}")
    zeros, value_type, found_dimensions = struct.unpack_from(">HBB", payload)
    if zeros != 0:
        raise InputError(f"{path}: not an IDX file: starts with {payload[:2].hex()}; an IDX file starts with 0000")
    if value_type != UNSIGNED_BYTE:
        raise InputError(f"{path}: values of type 0x{value_type:02x}; permitted is 0x08, unsigned bytes")
    if found_dimensions != dimensions:
        kind = "images have 3" if dimensions == 3 else "labels have 1"
        raise InputError(f"{path}: found {found_dimensions} dimensions in the header; {kind}")
    shape = struct.unpack_from(f">{dimensions}I", payload, 4)
    expected = header_size + math.prod(shape)
    if len(payload) != expected:
        fault = "truncated" if len(payload) < expected else "trailing bytes"
        raise InputError(f"{path}: {fault}: found {len(payload)} bytes; its header promises {expected}")
    if 0 in shape:
        raise InputError(f"{path}: empty: its header says {' x '.join(map(str, shape))}; at least one is needed")
    return np.frombuffer(payload, np.uint8, offset=header_size).reshape(shape)
