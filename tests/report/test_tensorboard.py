import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.core.csv_files import write_table
from bnpipe.report.tensorboard import FILE, crc32c, events_of, make_events, masked


@pytest.mark.parametrize(
    ("data", "checksum"),
    [(b"\0" * 32, 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E), (b"123456789", 0xE3069283)],
)
def test_checksums_are_those_of_the_standard(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum  # RFC 3720, appendix B.4; the last one is the usual check value


def test_a_masked_checksum_is_rotated_and_shifted() -> None:
    assert masked(0) == 0xA282EAD8
    assert masked(1 << 15) == 0xA282EAD9
    assert masked(1) == 0xA284EAD8  # the lowest bit goes to place 17
    assert masked(0xFFFFFFFF) == 0xA282EAD7


def records_in(content: bytes) -> Iterator[bytes]:
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        assert struct.unpack("<I", content[8:12])[0] == masked(crc32c(content[:8]))
        data, content = content[12 : 12 + length], content[12 + length :]
        assert struct.unpack("<I", content[:4])[0] == masked(crc32c(data))
        content = content[4:]
        yield data


def test_an_event_file_byte_by_byte() -> None:
    curves = pd.DataFrame({"step": [0, 300], "accuracy": [0.5, 0.25], "loss": [2.0, np.nan]})
    first, second, third = records_in(events_of(curves))
    no_time = b"\x09" + b"\0" * 8
    assert first == no_time + b"\x1a\x0dbrain.Event:2"
    accuracy, loss = b"\x0a\x13validation/accuracy", b"\x0a\x0fvalidation/loss"
    half, quarter, two = b"\x15\0\0\0\x3f", b"\x15\0\0\x80\x3e", b"\x15\0\0\0\x40"
    assert second == no_time + b"\x10\x00" + b"\x2a\x34" + b"\x0a\x1a" + accuracy + half + b"\x0a\x16" + loss + two
    assert third == no_time + b"\x10\xac\x02" + b"\x2a\x1c" + b"\x0a\x1a" + accuracy + quarter  # 300; no loss is known


def test_every_run_has_a_folder(tmp_path: Path) -> None:
    rows = [
        ("tanh", arm, seed, step, 0.5) for arm in ("vanilla", "batchnorm") for seed in (42, 2000) for step in (0, 60)
    ]
    write_table(pd.DataFrame(rows, columns=["condition", "arm", "seed", "step", "accuracy"]), tmp_path / "accuracy.csv")
    make_events(tmp_path / "accuracy.csv", tmp_path / "events")
    found = sorted(path.relative_to(tmp_path / "events").as_posix() for path in tmp_path.rglob(FILE))
    assert found == [f"tanh/{arm}/seed-{seed}/{FILE}" for arm in ("batchnorm", "vanilla") for seed in (2000, 42)]
    assert len([*records_in((tmp_path / "events" / found[0]).read_bytes())]) == 1 + 2


def test_the_runs_of_a_study_are_named_by_what_it_sweeps(tmp_path: Path) -> None:
    rows = [(rate, images, "vanilla", 42, 0, 0.5) for rate in (0.1, 1.0) for images in ("200", "all")]
    columns = ["learning_rate", "training_images", "arm", "seed", "step", "accuracy"]
    write_table(pd.DataFrame(rows, columns=columns), tmp_path / "accuracy.csv")
    make_events(tmp_path / "accuracy.csv", tmp_path / "events")
    names = {path.relative_to(tmp_path / "events").parts[:2] for path in tmp_path.rglob(FILE)}
    assert names == {
        (f"learning_rate={rate}", f"training_images={images}") for rate in ("0.1", "1.0") for images in ("200", "all")
    }
