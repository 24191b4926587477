"""Checkpoints: a training on disk as it stands, so that a job that was stopped goes on from there."""

import hashlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bnpipe.core.files import atomic_write_bytes

Arrays = Mapping[str, NDArray[Any]]
STOPPED = 128 + signal.SIGTERM  # exit status of a job that was told to stop, as a shell has it
_STOPS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of a job, beside the record that it is to write: one for each of its stacks.

    Only what was written by the same code for the same work is ever read.
    """

    def __init__(self, record: Path, work: Mapping[str, Any], seconds: float) -> None:
        """Take the record's path, all that its numbers depend on as plain values, and the interval in seconds."""
        self._record = record
        self._work = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
        self._seconds = seconds
        self._due = monotonic() + seconds
        self._told_to_stop = False

    def path(self, runs: slice) -> Path:
        """Return where the checkpoint of a stack stands, given which of the job's runs it takes."""
        return self._record.with_name(f"{self._record.stem}.runs-{runs.start}-{runs.stop}.checkpoint")

    def keep(self, runs: slice, state: Callable[[], Arrays]) -> None:
        """Write the state of a stack if the interval is over; if the job was told to stop, write it and exit."""
        if self._told_to_stop or monotonic() >= self._due:
            self.write(runs, state())
            self._due = monotonic() + self._seconds
        if self._told_to_stop:
            log.warning("told to stop: all is kept in %s, the same command goes on from there", self.path(runs))
            sys.exit(STOPPED)

    def stop(self) -> None:
        """Let the job end the next time that its state may be kept."""
        self._told_to_stop = True

    def write(self, runs: slice, state: Arrays) -> None:
        """Write the state of a stack as a safetensors file."""
        arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
        atomic_write_bytes(self.path(runs), save(arrays, {"work": self._work, "content": _digest(arrays)}))

    def read(self, runs: slice) -> Arrays | None:
        """Return the state of a stack, or None where there is none.

        What is damaged, or of other work or code, is set aside under another name, with a warning.
        """
        path = self.path(runs)
        try:
            return self._arrays(path)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            aside = path.with_name(f"{path.name}.unusable")
            path.replace(aside)
            log.warning("%s: not used (%s); it is now %s, training begins anew", path, error, aside.name)
            return None

    def _arrays(self, path: Path) -> Arrays:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if about["work"] != self._work:
            raise ValueError("written by other code or for other settings")
        if about["content"] != _digest(arrays):
            raise ValueError("damaged")
        return arrays


@contextmanager
def keeping_checkpoints(record: Path, work: Mapping[str, Any], seconds: float) -> Iterator[Checkpoints | None]:
    """Yield the checkpoints of a job, or None where the interval is 0; arguments: see `Checkpoints`.

    Within the block SIGTERM, which announces that a job is preempted or its time over, and Ctrl-C let it keep its state
    and exit.
    """
    if not seconds:
        yield None
        return
    checkpoints = Checkpoints(record, work, seconds)
    before = {number: signal.signal(number, lambda *_: checkpoints.stop()) for number in _STOPS}
    try:
        yield checkpoints
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def remove_checkpoints(record: Path) -> None:
    """Remove the checkpoints of a job that has written its record."""
    for path in record.parent.glob(f"{record.stem}.runs-*.checkpoint"):
        path.unlink()


def _digest(arrays: Arrays) -> str:
    """SHA-256 over the contents of arrays; their names and shapes stand in a header that is checked by itself."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
