"""Curves as TensorBoard reads them: an event file for each run. Writing them does not need TensorBoard.

An event file is a sequence of records. A record is the length of its data (8 bytes, little-endian), a checksum of these
8 bytes, the data, and a checksum of the data. The data is an `Event` in the encoding of Protocol Buffers; fields and
their numbers are from `event.proto` and `summary.proto` in TensorBoard's folder `compat/proto`:

    Event    wall_time = 1 (double), step = 2 (integer), file_version = 3 (text), summary = 5 (message)
    Summary  value = 1 (messages)
    Value    tag = 1 (text), simple_value = 2 (float)
"""

import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bnpipe.core.csv_files import read_table
from bnpipe.core.files import atomic_write_bytes

TAGS = {  # by column of the table `accuracy`
    "accuracy": "validation/accuracy",
    "loss": "validation/loss",
    "training_set_accuracy": "training_set/accuracy",
    "training_set_loss": "training_set/loss",
}
FILE = "events.out.tfevents.0.bnpipe"  # TensorBoard looks for "tfevents" in a name
WALL_TIME = 0.0  # of all events, so that equal curves are equal bytes; choose "step" as TensorBoard's axis
INTEGER, EIGHT_BYTES, WITH_LENGTH, FOUR_BYTES = 0, 1, 2, 5  # how a field is encoded


def make_events(accuracy: Path, folder: Path) -> None:
    """Write the curves of every run as an event file.

    accuracy: the table of this name, of the conditions or of a study. folder: the files are written below it, as
    `<condition>/<arm>/seed-<seed>/events.out.tfevents.0.bnpipe`; for a study, a folder for each swept value, such as
    `learning_rate=0.1`, takes the place of the condition's. Values that are unknown or not finite are left out.
    """
    table = read_table(accuracy)
    settings = list(table.columns[: list(table.columns).index("arm")])  # the condition, or what a study sweeps
    for keys, curves in table.groupby([*settings, "arm", "seed"], sort=False, dropna=False):
        *values, arm, seed = keys
        names = [
            str(value) if name == "condition" else f"{name}={value}"
            for name, value in zip(settings, values, strict=True)
        ]
        atomic_write_bytes(folder.joinpath(*names, str(arm), f"seed-{seed}", FILE), events_of(curves))


def events_of(curves: pd.DataFrame) -> bytes:
    """Return the content of the event file of one run. curves: its rows of the table `accuracy`."""
    columns = [name for name in TAGS if name in curves]
    events = [_event(_text(3, "brain.Event:2"))]
    for step, *values in curves[["step", *columns]].itertuples(index=False, name=None):
        known = {TAGS[name]: value for name, value in zip(columns, values, strict=True) if math.isfinite(value)}
        events.append(_event(_integer(2, step) + _message(5, b"".join(_values(known)))))
    return b"".join(map(_record, events))


def _values(scalars: Mapping[str, float]) -> Iterator[bytes]:
    for tag, value in scalars.items():
        yield _message(1, _text(1, tag) + _key(2, FOUR_BYTES) + struct.pack("<f", value))


def _event(content: bytes) -> bytes:
    return _key(1, EIGHT_BYTES) + struct.pack("<d", WALL_TIME) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _message(field: int, content: bytes) -> bytes:
    return _key(field, WITH_LENGTH) + _varint(len(content)) + content


def _integer(field: int, value: Any) -> bytes:
    return _key(field, INTEGER) + _varint(int(value))


def _key(field: int, encoding: int) -> bytes:
    return _varint(field << 3 | encoding)


def _varint(value: int) -> bytes:
    """Encode a whole number from 0: seven bits per byte, the lowest first, and a bit that says if more follow."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return b"".join((length, struct.pack("<I", masked(crc32c(length))), data, struct.pack("<I", masked(crc32c(data)))))


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli's polynomial, lowest bit first
    return byte


_REMAINDERS = [_remainder(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    """Return the checksum CRC-32C of RFC 3720, appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _REMAINDERS[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """Return a checksum as record files store it: rotated right by 15 bits, plus a constant, in 32 bits."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
