"""Checkpoints: the state of a training on disk, from which the next job resumes if this one is stopped."""

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
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bnpipe.core.files import atomic_write_bytes
from bnpipe.core.records import Arrays
from bnpipe.core.signals import STOPS, handling

STOPPED = 128 + signal.SIGTERM  # exit status of a job that was told to stop, as shells report it

log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of a job, one for each of its stacks, next to the record that it will write.

    A checkpoint is read only if the same code wrote it for the same work.
    """

    def __init__(self, record: Path, work: Mapping[str, Any], seconds: float) -> None:
        """Take the record's path, the work, and the interval in seconds.

        work: everything that the numbers of the record depend on, as plain values.
        """
        self._record = record
        self._work = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
        self._seconds = seconds
        self._due = monotonic() + seconds
        self._told_to_stop = False
        self._finished: list[tuple[slice, Arrays]] = []  # stacks whose last state is not on disk yet

    def path(self, runs: slice) -> Path:
        """Return where the checkpoint of a stack is; runs: those of the job's runs that the stack holds."""
        return self._record.with_name(f"{self._record.stem}.runs-{runs.start}-{runs.stop}.checkpoint")

    def finish(self, runs: slice, state: Arrays) -> None:
        """Take the last state of a stack, which is written together with the next state that is."""
        self._finished.append((runs, state))

    def keep(self, runs: slice, state: Callable[[], Arrays]) -> None:
        """Write the state of a stack if the interval is over. If the job was told to stop, write it and exit."""
        if self._told_to_stop or monotonic() >= self._due:
            for finished in self._finished:
                self.write(*finished)
            self._finished.clear()
            self.write(runs, state())
            self._due = monotonic() + self._seconds
        if self._told_to_stop:
            log.warning("told to stop: the state is kept in %s; the same command resumes from it", self.path(runs))
            sys.exit(STOPPED)

    def stop(self) -> None:
        """Make the job end at the next call of `keep`."""
        self._told_to_stop = True

    def write(self, runs: slice, state: Arrays) -> None:
        """Write the state of a stack as a safetensors file."""
        arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
        atomic_write_bytes(self.path(runs), save(arrays, {"work": self._work, "content": _digest(arrays)}))

    def read(self, runs: slice) -> Arrays | None:
        """Return the state of a stack, or None if there is none.

        A checkpoint that is damaged, or that belongs to other work or code, is renamed, with a warning.
        """
        path = self.path(runs)
        try:
            return self._arrays(path)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            aside = path.with_name(f"{path.name}.unusable")
            path.replace(aside)
            log.warning("%s: not used (%s); renamed to %s, training starts over", path, error, aside.name)
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
    """Yield the checkpoints of a job, or None if the interval is 0; arguments: see `Checkpoints`.

    Within the block, a signal makes the job keep its state and exit: SIGTERM (it is preempted or its time is over),
    SIGINT (Ctrl-C) or SIGHUP (its terminal was closed).
    """
    if not seconds:
        yield None
        return
    checkpoints = Checkpoints(record, work, seconds)
    with handling([*STOPS, signal.SIGINT], lambda *_: checkpoints.stop()):
        yield checkpoints


def remove_checkpoints(record: Path) -> None:
    """Remove the checkpoints of a job that has written its record."""
    for path in record.parent.glob(f"{record.stem}.runs-*.checkpoint"):
        path.unlink()


def _digest(arrays: Arrays) -> str:
    """Return a SHA-256 over the contents of arrays; names and shapes are in a header, which safetensors checks."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
