"""Leases: a process holds one of several things, such as the GPUs of a machine, to itself for a while."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

from filelock import FileLock, Timeout

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
        try:
            held.enter_context(FileLock(path, blocking=False, fallback_to_soft=False, on_acquired=_sign))
        except Timeout:
            continue
        return position
    return None


def _sign(descriptor: int) -> None:
    """Write into a locked file who holds it."""
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())


def _holder(path: Path) -> str:
    return path.read_text() or "unknown"
