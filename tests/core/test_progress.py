import errno
import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write
from bnpipe.core.progress import Evaluation, job, training_progress


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> object:
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    logging.raiseExceptions = raises
    for handler in set(root.handlers) - set(handlers):
        with suppress(OSError):  # a log on a full disk
            handler.close()
    root.handlers[:], root.level = handlers, level


def test_bad_input_ends_a_job_with_a_line_on_terminal_and_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, job(tmp_path / "logs/a.log"):
        raise InputError("file.gz: truncated\nother.gz: empty")
    assert end.value.code == 1
    assert capsys.readouterr().err == "error: file.gz: truncated\nerror: other.gz: empty\n"
    assert "error: file.gz: truncated" in (tmp_path / "logs/a.log").read_text()


def test_ctrl_c_ends_a_job_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, job(tmp_path / "a.log"):
        raise KeyboardInterrupt
    assert end.value.code == 130
    assert capsys.readouterr().err == "ended by Ctrl-C\n"
    assert (tmp_path / "a.log").read_text().endswith(" ERROR ended by Ctrl-C\n")


def test_a_job_that_stops_by_itself_says_so_in_its_log(tmp_path: Path) -> None:
    with pytest.raises(SystemExit), job(tmp_path / "a.log"):
        raise SystemExit(143)
    assert (tmp_path / "a.log").read_text().endswith(" ERROR stopped (exit status 143)\n")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_a_job_that_is_told_to_stop_removes_what_it_was_writing_and_says_so(
    tmp_path: Path, stop: signal.Signals
) -> None:
    before = signal.getsignal(stop)
    with pytest.raises(SystemExit) as end, job(tmp_path / "a.log"), atomic_write(tmp_path / "table.csv") as partial:  # noqa: PT012
        partial.write_text("half")
        os.kill(os.getpid(), stop)
    assert end.value.code == 128 + stop
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]
    assert (tmp_path / "a.log").read_text().endswith(f" ERROR stopped (exit status {128 + stop})\n")
    assert signal.getsignal(stop) is before


def test_under_nohup_a_closed_terminal_does_not_end_a_job(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with job(tmp_path / "a.log"):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (tmp_path / "a.log").read_text().endswith(" INFO finished\n")


def test_a_job_keeps_writing_below_one_that_started_the_same_log_again(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("of a run before\n")
    with job(path):
        logging.info("lost with what stood there")
        path.write_text("of the other\n")
        logging.info("of the first")
    lines = [line.split(" INFO ")[-1] for line in path.read_text().splitlines()]
    assert lines == ["of the other", "of the first", "finished"]


def test_a_log_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("logging.FileHandler", read_only)
    with pytest.raises(SystemExit), job(tmp_path / "a.log"):
        raise AssertionError("the job began")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/a.log: cannot be written (Read-only file system); ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_line_that_finds_no_room_on_the_disk_is_lost_and_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.log").symlink_to("/dev/full")
    with job(tmp_path / "a.log"):
        logging.info("lost")
        logging.warning("seen on the terminal")
    assert capsys.readouterr().err == "seen on the terminal\n"


def test_a_defect_is_not_dressed_up_as_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), job(tmp_path / "a.log"):
        raise ZeroDivisionError("on\ntwo lines")
    assert (tmp_path / "a.log").read_text().endswith(r" ERROR ended by ZeroDivisionError('on\ntwo lines')" + "\n")


def test_every_evaluation_is_a_line_in_the_log(tmp_path: Path) -> None:
    with job(tmp_path / "a.log"):
        on_evaluation = training_progress("tanh vanilla 42-46", steps=121)
        for step in (0, 60, 120):
            on_evaluation(step, np.array([0.25, 0.5]))
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert len(lines) == 4
    assert lines[3].endswith(" INFO finished")
    assert "tanh vanilla 42-46: step 60 of 121, accuracy 0.2500 to 0.5000" in lines[1]
    assert lines[2].endswith(" 0 s left")


def test_what_a_log_says_is_read_as_it_was_written(tmp_path: Path) -> None:
    before = time.time()
    with job(tmp_path / "a.log"):
        on_evaluation = training_progress("tanh vanilla 42-46", steps=121)
        for step in (0, 60):
            on_evaluation(step, np.array([0.25, 0.5]))
    text = (tmp_path / "a.log").read_text()
    first, second = Evaluation.read_all(text)
    assert (first.step, second.step, second.lowest, second.highest) == (0, 60, 0.25, 0.5)
    assert before - 0.01 <= first.time <= second.time <= time.time()  # a log has milliseconds
    assert second.rate > 0
    assert Evaluation.read_all(text[5:]) == [second]  # a part that begins amid a line


def test_the_rate_is_that_of_the_job_if_it_resumes_from_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("bnpipe.core.progress.monotonic", lambda: clock[-1])
    with job(tmp_path / "a.log"):
        on_evaluation = training_progress("tanh", steps=10_001)
        for now, step in ((2.0, 8000), (20.0, 8199)):
            clock.append(now)
            on_evaluation(step, np.array([0.5]))
    assert (tmp_path / "a.log").read_text().splitlines()[1].endswith(" 10.0 steps/s, 180 s left")
