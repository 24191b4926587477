"""Leases: a process holds one of several things, such as the GPUs of a machine, to itself for a while."""

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

from bnpipe.core.errors import InputError

WAIT_LIMIT = 3600.0  # seconds; one Snakemake starts no more jobs than devices, so a wait is for somebody else's job
_INTERVAL = 0.2  # seconds between attempts: the kernel lets a process wait for one file, but not for any of several

log = logging.getLogger(__name__)


@contextmanager
def lease(names: Sequence[str], folder: Path, limit: float = WAIT_LIMIT) -> Iterator[int]:
    """Wait until one of the named things is free; yield its position in ``names`` and hold it while the block runs.

    folder: the same for all who share the things; it has a small file for each, which the holder locks. The kernel
    releases a lock when its process ends, however it ends, so there is never anything to clean up. limit: seconds to
    wait. Raises InputError, with the holders' process ids, if none becomes free in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.lock" for name in names]
    started = monotonic()
    with ExitStack() as held:
        position = _lock_any(paths, held)
        if position is None:
            log.info("waiting for one of %s, for up to %.0f s", ", ".join(names), limit)
        while position is None:
            if monotonic() - started >= limit:
                raise InputError(
                    f"{', '.join(names)}: expected one to become free within {limit:.0f} s, got none; end what holds "
                    f"them (process {', '.join(map(_holder, paths))}), or try again later"
                )
            sleep(_INTERVAL)
            position = _lock_any(paths, held)
        yield position


def _lock_any(paths: Sequence[Path], held: ExitStack) -> int | None:
    """Lock the first file that nobody has locked, until ``held`` closes; return its position, or None."""
    for position, path in enumerate(paths):
        with ExitStack() as attempt:
            file = attempt.enter_context(path.open("a"))  # without emptying it: another process may have locked it
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            held.enter_context(attempt.pop_all())
            return position
    return None


def _holder(path: Path) -> str:
    return path.read_text() or "unknown"
