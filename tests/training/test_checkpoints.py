import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.records import Arrays
from bnpipe.training.checkpoints import STOPPED, Checkpoints, keeping_checkpoints, remove_checkpoints

WORK = {"condition": "tanh", "seeds": [42, 43], "settings": {"steps": 130}}
RUNS = slice(0, 2)
STATE: Arrays = {
    "network.0.weight": np.arange(6, dtype=np.float32).reshape(3, 2).T,  # not contiguous
    "batches.keys": np.array([[2**32 - 1, 0]], dtype=np.uint32),
    "loss": np.array([np.nan, np.inf, -0.0]),
}
NEVER = 1e9  # seconds


def checkpoints(folder: Path, seconds: float = NEVER, **changes: object) -> Checkpoints:
    return Checkpoints(folder / "seeds-42-43.safetensors", {**WORK, **changes}, seconds)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    checkpoints(tmp_path).write(RUNS, STATE)
    found = checkpoints(tmp_path).read(RUNS)
    assert found is not None
    assert found.keys() == STATE.keys()
    for name, array in STATE.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["seeds-42-43.runs-0-2.checkpoint"]


def test_where_nothing_was_kept_there_is_nothing_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert checkpoints(tmp_path).read(RUNS) is None
    checkpoints(tmp_path).write(RUNS, STATE)
    assert checkpoints(tmp_path).read(slice(2, 4)) is None
    assert caplog.records == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_one_for_which_there_is_no_room_leaves_the_one_before(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    kept.write(RUNS, STATE)
    before = kept.path(RUNS).read_bytes()
    (tmp_path / f".{kept.path(RUNS).name}.partial").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"checkpoint: cannot be written \(No space left on device\)"):
        kept.write(RUNS, {**STATE, "loss": np.zeros(1)})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda whole: whole[:-5],
    "garbage": lambda _: b"\xff" * 100,
    "one bit": lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
    "pickled": lambda _: b"\x80\x04cos\nsystem\n(S'false'\ntR.",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_set_aside_with_a_line(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    path = checkpoints(tmp_path).path(RUNS)
    checkpoints(tmp_path).write(RUNS, STATE)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert checkpoints(tmp_path).read(RUNS) is None
    assert [file.name for file in tmp_path.iterdir()] == [f"{path.name}.unusable"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{path}: not used (")
    assert len(record.getMessage().splitlines()) == 1


def test_one_of_other_work_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints(tmp_path, settings={"steps": 131}).write(RUNS, STATE)
    assert checkpoints(tmp_path).read(RUNS) is None
    assert "other code or for other settings" in caplog.text
    assert (tmp_path / "seeds-42-43.runs-0-2.checkpoint.unusable").is_file()


def test_a_state_is_written_when_the_interval_is_over_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, asked = [1000.0], []
    monkeypatch.setattr("bnpipe.training.checkpoints.monotonic", lambda: clock[-1])

    def state() -> Arrays:
        asked.append(clock[-1])
        return STATE

    kept = checkpoints(tmp_path, seconds=60)
    for now in (1001.0, 1059.9, 1060.0, 1061.0, 1119.9, 1125.0, 1180.0):
        clock.append(now)
        kept.keep(RUNS, state)
    assert asked == [1060, 1125]  # the next interval begins when a state is written


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_job_that_is_told_to_stop_keeps_its_state_and_exits(
    tmp_path: Path, stop: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    before = signal.getsignal(stop)
    record = tmp_path / "seeds-42-43.safetensors"
    with pytest.raises(SystemExit) as end, keeping_checkpoints(record, WORK, NEVER) as kept:  # noqa: PT012
        assert kept is not None
        kept.keep(RUNS, lambda: STATE)
        assert not kept.path(RUNS).exists()
        os.kill(os.getpid(), stop)
        kept.keep(RUNS, lambda: STATE)
    assert end.value.code == STOPPED == 143
    assert checkpoints(tmp_path).read(RUNS) is not None
    assert signal.getsignal(stop) is before
    assert "told to stop" in caplog.text


def test_under_nohup_a_closed_terminal_does_not_stop_a_job(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with keeping_checkpoints(tmp_path / "seeds-42-43.safetensors", WORK, NEVER) as kept:
            assert kept is not None
            os.kill(os.getpid(), signal.SIGHUP)
            kept.keep(RUNS, lambda: STATE)
            assert not kept.path(RUNS).exists()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_an_interval_there_are_none_and_sigterm_is_left_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with keeping_checkpoints(tmp_path / "record", WORK, 0) as kept:
        assert kept is None
        assert signal.getsignal(signal.SIGTERM) is before


def test_those_of_a_record_are_removed_and_no_others(tmp_path: Path) -> None:
    for runs in (slice(0, 1), slice(1, 2)):
        checkpoints(tmp_path).write(runs, STATE)
    others = [
        "seeds-42-43.safetensors",
        "seeds-42-43-ab.runs-0-1.checkpoint",
        "seeds-42-43.runs-0-1.checkpoint.unusable",
    ]
    for name in others:
        (tmp_path / name).touch()
    remove_checkpoints(tmp_path / "seeds-42-43.safetensors")
    assert {path.name for path in tmp_path.iterdir()} == set(others)
