"""Files that appear whole or not at all, and that have one writer at a time."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from filelock import FileLock, Timeout

from bnpipe.core.errors import InputError

WAIT_LIMIT = 7200.0  # seconds; the time limit of a training job
_INTERVAL = 0.2  # seconds between attempts; the kernel could wait for us, but without a time limit
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP)  # from file systems that do not synchronize folders
_CANNOT_WRITE = (errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EPERM, errno.EROFS)  # not a bug of ours
_held: set[Path] = set()  # files whose lock this process holds

log = logging.getLogger(__name__)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; rename it to ``path`` when the block ends without an error.

    Whatever interrupts the writing, ``path`` has either its old content or all of the new one. Raises InputError if
    the disk is full or not writable, or if another process writes the file for too long (see `exclusive_lock`).
    """
    with exclusive_lock(path), explaining(path):
        partial = path.with_name(f".{path.name}.partial")  # overwrites what a killed writer left there
        try:
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            _sync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, so that a reader never sees half of it."""
    atomic_write_bytes(path, text.encode())


def atomic_write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader never sees half of it.

    (Safetensors' own `save_file` leaves a file with a random name if it is killed, and hides why it failed.)
    """
    with atomic_write(path) as partial:
        partial.write_bytes(content)


@contextmanager
def exclusive_lock(path: Path, limit: float = WAIT_LIMIT) -> Iterator[None]:
    """Be the only process that writes ``path`` within the block; create its folder.

    If another process holds the lock, log which one, and wait for up to ``limit`` seconds. The lock is a kernel lock on
    a file beside ``path``, so it is released when its holder ends, however that happens. Over NFS it also works between
    hosts (on Linux, unless mounted with `nolock` or `local_lock`). A file system without locks causes a warning.
    Blocks of one process may be nested. Raises InputError, naming the holder, if the lock is still held after the
    limit, and also if the folder is not writable.
    """
    path = path.absolute()
    if path in _held:
        yield
        return
    with _locked(path, limit):
        _held.add(path)
        try:
            yield
        finally:
            _held.remove(path)


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Raise InputError, naming the file, if the disk is full, read-only or broken, or access is denied."""
    try:
        yield
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        fault = os.strerror(error.errno)
        raise InputError(f"{path}: cannot be written ({fault}); fix that, then run the same command again") from error


@contextmanager
def _locked(path: Path, limit: float) -> Iterator[None]:
    """Hold the lock of a file; the lock file says who holds it."""
    lock = path.with_name(f".{path.name}.lock")
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _wait_for(lock, path, limit)
    try:
        yield
    finally:
        with suppress(OSError):  # a leftover lock file does no harm
            lock.unlink()  # before the release, because afterwards the file may belong to another process
        held.release()


def _wait_for(lock: Path, path: Path, limit: float) -> FileLock:
    """Lock a lock file as soon as its holder releases it, and write the new holder into it.

    path: the file that the lock protects.
    """

    def sign(descriptor: int) -> None:
        if not _is(descriptor, lock):
            raise _RemovedError
        os.ftruncate(descriptor, 0)  # removes what a killed holder left
        now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {now}".encode())

    # Without locks, filelock would fall back to files that stay behind when their holder is killed.
    held = FileLock(lock, fallback_to_soft=False, on_acquired=sign)
    deadline, awaited = monotonic() + limit, ""
    while True:
        try:
            held.acquire(blocking=False)
        except _RemovedError:
            continue
        except Timeout:
            holder = _holder(lock)
        except OSError as error:
            if error.errno in _CANNOT_WRITE:
                raise
            log.warning("%s: cannot be locked (%s); a second writer would go unnoticed", path, error.strerror)
            return held
        else:
            return held
        if monotonic() >= deadline:
            raise InputError(
                f"{path}: still being written by {holder} after {limit:g} s; end that process, or try again later"
            )
        if holder != awaited:
            log.warning("waiting for %s, which is writing %s, for up to %g s", holder, path, limit)
        awaited = holder
        sleep(_INTERVAL)


class _RemovedError(Exception):
    """The last holder of a lock file has removed it between its opening and its locking."""


def _holder(lock: Path) -> str:
    """Return what a lock file says about its holder, which may have only just taken or released the lock."""
    try:
        return lock.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"


def _is(descriptor: int, path: Path) -> bool:
    """Return whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:  # no such file; over NFS the open one may be stale
        return False


def _sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk: otherwise a power failure may undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)
