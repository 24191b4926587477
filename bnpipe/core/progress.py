"""What a person sees of a job: lines in its log, and errors of one line."""

import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, Self

from bnpipe.core.errors import InputError
from bnpipe.core.files import explaining
from bnpipe.core.signals import STOPS, handling

TAIL = 4096  # bytes of a log that are read
FINISHED = "finished"  # last line in the log of a job that has made its outputs
_EVALUATION = re.compile(
    r"^(?P<time>\d{4}-\S+ \S+) INFO .*: step (?P<step>\d+) of (?P<steps>\d+), "
    r"accuracy (?P<lowest>\S+) to (?P<highest>\S+), (?P<rate>\S+) steps/s",
    re.MULTILINE,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation, as a line in the log of a training job reports it."""

    time: float  # seconds since the epoch
    step: int
    steps: int  # of the whole training
    lowest: float  # accuracy of its runs
    highest: float
    rate: float  # steps per second since the job began

    @classmethod
    def read_all(cls, text: str) -> list[Self]:
        """Return the evaluations in a log, or in a part of it, which may begin within a line."""
        return [cls._read(line) for line in _EVALUATION.finditer(text)]

    @classmethod
    def _read(cls, line: re.Match[str]) -> Self:
        time = datetime.fromisoformat(line["time"]).timestamp()
        steps = (int(line[key]) for key in ("step", "steps"))
        return cls(time, *steps, *(float(line[key]) for key in ("lowest", "highest", "rate")))


def read_tail(log_file: Path) -> tuple[str, float]:
    """Return the end of a job's log, about 35 evaluations, and when it was last written, in seconds since the epoch.

    Raises OSError if there is no such file, or if it cannot be read.
    """
    with log_file.open("rb") as file:
        status = os.fstat(file.fileno())
        file.seek(max(0, status.st_size - TAIL))
        return file.read().decode("utf-8", errors="replace"), status.st_mtime


@contextmanager
def job(log_file: Path) -> Iterator[None]:
    """Send log lines to a file, and warnings and errors to the terminal too; on bad input, print it and exit.

    SIGTERM and SIGHUP end the block with SystemExit, so what it was writing is cleaned up. The last line of the log
    says how the job ended, unless it was killed. A job that outlived the command that started it may still be
    writing the same log; lines are appended so that neither job loses any.
    """
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_terminal], force=True)
    logging.raiseExceptions = False  # on a full disk, lose the line without a traceback
    try:
        logging.getLogger().addHandler(_to_file(log_file))
        with handling(STOPS, _exit):
            yield
    except InputError as error:
        log.error("%s", error.for_terminal())
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("ended by Ctrl-C")
        sys.exit(128 + signal.SIGINT)
    except SystemExit as stop:
        log.error("stopped (exit status %s)", stop.code)
        raise
    except BaseException as error:
        log.error("ended by %r", error)
        raise
    log.info(FINISHED)


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)  # as shells report it


def _to_file(log_file: Path) -> logging.Handler:
    """Empty a job's log and open it."""
    with explaining(log_file):
        log_file.parent.mkdir(parents=True, exist_ok=True)
        log_file.write_bytes(b"")
        to_file = logging.FileHandler(log_file, mode="a", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return to_file


def training_progress(label: str, steps: int) -> Callable[[int, Any], None]:
    """Return a function to call after each evaluation: it writes a line to the log, which the main process reads.

    The function takes the step and the accuracies (runs,), as a tensor or an array.
    """
    started, done_before = monotonic(), None

    def on_evaluation(step: int, accuracy: Any) -> None:
        nonlocal done_before
        if done_before is None:  # 0, unless the job resumes from a checkpoint
            done_before = step
        rate = (step + 1 - done_before) / (monotonic() - started)
        log.info(
            "%s: step %d of %d, accuracy %.4f to %.4f, %.1f steps/s, %.0f s left",
            label,
            step,
            steps,
            accuracy.min(),
            accuracy.max(),
            rate,
            (steps - step - 1) / rate,
        )

    return on_evaluation
