import fcntl
import io
import logging
import os
import pty
import struct
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from bnpipe.grid import narrator
from bnpipe.grid.narrator import Narrator, Progress, Running, duration, job_name

EVALUATION = "2026-11-25 10:00:00,000 INFO tanh: step {} of 2000, accuracy 0.1 to 0.2, 9.0 steps/s, 3 s left\n"


def running(rule: str = "train", since: float = 0, log: Path | None = None) -> Running:
    return Running(rule, f"{rule} tanh", log, since)


@pytest.mark.parametrize(
    ("rule", "wildcards", "name"),
    [
        (
            "train",
            {"condition": "tanh", "arm": "vanilla", "chunk": "42-2008-350e47c6e375"},
            "train tanh, vanilla, seeds 42 to 2008",
        ),
        ("train", {"condition": "relu", "arm": "batchnorm", "chunk": "7-7"}, "train relu, batchnorm, seeds 7 to 7"),
        ("train_study", {"study": "depth", "stack": "layernorm-0ab1"}, "train study depth, layernorm"),
        ("claims_figure", {}, "claims figure"),
    ],
)
def test_jobs_are_named_by_what_they_do(rule: str, wildcards: dict[str, str], name: str) -> None:
    assert job_name(rule, wildcards) == name


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5340, "89 min"), (5400, "1 h 30 min"), (93_600, "26 h 00 min")],
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_how_far_a_job_is_comes_from_the_last_evaluation_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    assert running(log=None).share_done() is None
    assert running(log=log).share_done() is None
    log.write_text(EVALUATION.format(0) * 100 + EVALUATION.format(499) + "2026-11-25 10:00:01,000 INFO else\n")
    assert running(log=log).share_done() == 500 / 2000
    assert running(log=log, since=log.stat().st_mtime + 1).share_done() is None  # an earlier job wrote it


def test_a_finished_job_is_counted_and_timed() -> None:
    progress = Progress()
    progress.plan({"train": 9, "tables": 1})
    progress.start(3, running(since=100))
    assert progress.finish(3, now=124) == "[ 1/10] train tanh: 24 s"
    assert progress.finish(4, now=130) is None  # it did not run in this process
    assert progress.done == 2


def test_nothing_is_known_of_the_rest_before_anything_is_measured() -> None:
    progress = Progress()
    progress.plan({"train": 2})
    assert progress.seconds_left(0) is None
    progress.start(1, running())
    assert progress.seconds_left(5) is None


def test_the_rest_takes_as_long_as_jobs_of_the_same_rule_did_with_as_many_at_once(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text(EVALUATION.format(499), encoding="utf-8")
    progress = Progress()
    progress.plan({"train": 4, "tables": 1, "claims": 1})
    progress.start(1, running("tables"))
    progress.finish(1, now=2)
    progress.start(2, running(since=0))
    progress.finish(2, now=20)
    progress.start(3, running(since=20, log=log))  # a quarter done after 10 s: 30 s left
    progress.start(4, running(since=25))  # usually 20 s, of which 5 are over
    # and one more to train, 20 s, and the claims, of a rule that has not run: 2 s, as the shortest job
    assert progress.seconds_left(30) == pytest.approx((30 + 15 + 20 + 2) / 2)
    assert progress.now_running(30) == "train tanh 25%; train tanh (about 34 s left)"


def test_of_many_running_jobs_some_are_named() -> None:
    progress = Progress()
    progress.plan({"train": 6})
    for number in range(6):
        progress.start(number, running(since=number))
    assert progress.now_running(9) == "; ".join(["train tanh"] * 4 + ["2 more"])


@pytest.fixture
def told() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    logger = logging.Logger("snakemake")
    logger.addHandler(Narrator(logging.StreamHandler(stream)))
    return logger, stream


def say(logger: logging.Logger, event: str, **values: Any) -> None:
    class Event:
        value = event

    logger.info("a line of Snakemake's", extra={"event": Event, **values})


def test_a_run_is_told_by_what_jobs_do(told: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = told
    say(logger, "run_info", stats={"train": 2, "total": 2})
    logger.info("Select jobs to execute...")
    say(logger, "job_started", jobs=[0])
    say(logger, "resources_info", cores=2)
    for number, arm in enumerate(("vanilla", "batchnorm")):
        say(
            logger,
            "job_info",
            jobid=number,
            rule_name="train",
            wildcards={"condition": "tanh", "arm": arm, "chunk": "1-3"},
            log=["a"],
        )
        say(logger, "job_finished", job_id=number)
        say(logger, "progress", done=number + 1, total=2)
    logger.warning("something else")
    assert stream.getvalue().splitlines() == [
        "2 jobs to run",
        "[1/2] train tanh, vanilla, seeds 1 to 3: 0 s",
        "[2/2] train tanh, batchnorm, seeds 1 to 3: 0 s",
        "something else",
    ]


def test_what_snakemake_is_to_be_quiet_about_is_not_told(told: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = told
    handler = logger.handlers[0]
    assert isinstance(handler, Narrator)
    handler.before.addFilter(lambda record: getattr(record, "event", None) is None)
    say(logger, "run_info", stats={"train": 1, "total": 1})
    say(logger, "job_info", jobid=0, rule_name="train", wildcards={}, log=[])
    say(logger, "job_finished", job_id=0)
    assert stream.getvalue() == ""
    assert handler.progress.total == 0  # so nothing says either what is running


def start(logger: logging.Logger, log: Path) -> None:
    say(logger, "run_info", stats={"train": 1, "tables": 1, "total": 2})
    say(logger, "job_info", jobid=1, rule_name="train", wildcards={"condition": "tanh"}, log=[log])
    sleep(0.05)  # the clock of file times ticks every 10 ms at the latest, and a log older than its job does not count
    log.write_text(EVALUATION.format(499), encoding="utf-8")


def wait_for(text: str, read: Callable[[], str]) -> str:
    limit, seen = monotonic() + 30, ""
    while text not in seen:
        assert monotonic() < limit, seen
        seen += read()
        sleep(0.01)
    return seen


def test_on_a_terminal_a_bar_says_what_is_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrator, "REFRESH", 0.01)
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    os.set_blocking(terminal, False)

    def read() -> str:
        with suppress(BlockingIOError):
            return os.read(terminal, 100_000).decode()
        return ""

    with open(inside, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a file that is open already
        logger = logging.Logger("snakemake")
        logger.addHandler(Narrator(logging.StreamHandler(stream)))
        start(logger, tmp_path / "log")
        seen = wait_for("train tanh 25% (about ", read)
        assert "0/2 |" in seen
        say(logger, "job_finished", job_id=1)
        seen = wait_for("1/2 |", read)
        assert "[1/2] train tanh: 0 s\r\n" in seen
        say(logger, "job_finished", job_id=2)  # the last one, so the bar goes and the thread ends
        wait_for("\r", read)
        wait_until_it_ends()
    os.close(terminal)


def wait_until_it_ends() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("narrator"):
            thread.join(30)
            assert not thread.is_alive()


def test_in_a_pipe_a_long_silence_ends_with_a_line_that_says_what_is_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: tuple[logging.Logger, io.StringIO]
) -> None:
    monkeypatch.setattr(narrator, "REFRESH", 0.01)
    monkeypatch.setattr(narrator, "SILENCE", 0.05)
    logger, stream = told
    start(logger, tmp_path / "log")
    wait_for("running: train tanh 25% (about ", stream.getvalue)
    say(logger, "job_finished", job_id=1)
    say(logger, "job_finished", job_id=2)
    wait_until_it_ends()
