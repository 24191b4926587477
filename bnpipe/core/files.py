"""Files that appear whole or not at all, and have one writer at a time."""

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from time import monotonic, sleep

from bnpipe.core.errors import InputError

WAIT_LIMIT = 7200.0  # seconds; as long as a training job is given
_INTERVAL = 0.2  # seconds between attempts: the kernel queues too, but without a limit
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP)  # what file systems answer that do not synchronize folders
_CANNOT_WRITE = (errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EPERM, errno.EROFS)  # not a defect of ours
_held: set[Path] = set()  # what this process is the writer of

log = logging.getLogger(__name__)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; rename it to ``path`` once the block has ended well.

    Whatever interrupts the writing, ``path`` holds its old content or all of the new one. Raises InputError where
    the disk is full or takes no writes, or another process writes the file for too long, see `exclusive_lock`.
    """
    with exclusive_lock(path), explaining(path):
        partial = path.with_name(f".{path.name}.partial")  # what a killed writer left there is overwritten
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

    (Safetensors' own `save_file` leaves a file under a random name where it is killed, and hides why it failed.)
    """
    with atomic_write(path) as partial:
        partial.write_bytes(content)


@contextmanager
def exclusive_lock(path: Path, limit: float = WAIT_LIMIT) -> Iterator[None]:
    """Be the only process that writes ``path`` within the block; make its folder.

    Where another process is, say whom one waits for, and wait for up to ``limit`` seconds. The lock is the kernel's
    (flock) on a file beside it, so that it ends with its holder, however that dies. Over NFS it holds between hosts
    too (Linux; not where mounted with `nolock` or `local_lock`). A file system without locks is a warning. Blocks of
    one process may be nested. Raises InputError, saying who holds it, where it is still taken then, and where the
    folder takes no files.
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
    """Raise InputError, naming the file, where a disk is full, read-only, not permitted or broken."""
    try:
        yield
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        fault = os.strerror(error.errno)
        raise InputError(f"{path}: cannot be written ({fault}); mend that, then run the same command again") from error


@contextmanager
def _locked(path: Path, limit: float) -> Iterator[None]:
    """Hold the lock of a file; the lock's own file says who holds it."""
    lock = path.with_name(f".{path.name}.lock")
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _wait_for(lock, path, limit)
    with file:
        try:
            with explaining(path):
                file.truncate(0)  # what a killed holder left
                now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
                file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}".encode())
            yield
        finally:
            with suppress(OSError):  # one that cannot be removed does no harm
                lock.unlink()  # before it is released: after that it may be another's


def _wait_for(lock: Path, path: Path, limit: float) -> FileIO:
    """Open a lock's file and lock it once its holder has ended; path: what it is the lock of."""
    deadline, awaited = monotonic() + limit, ""
    while not (file := _try(lock, path)):
        holder = _holder(lock)
        if monotonic() >= deadline:
            raise InputError(f"{path}: is being written by {holder}, waited for {limit:g} s; end it, or try later")
        if holder != awaited:
            log.warning("waiting for %s, which writes %s, for up to %g s", holder, path, limit)
        awaited = holder
        sleep(_INTERVAL)
    return file


def _try(lock: Path, path: Path) -> FileIO | None:
    """Open a lock's file and lock it; return None where another process holds it."""
    while True:
        file = lock.open("ab", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as error:
            log.warning("%s: cannot be locked (%s); a second writer would not be noticed", path, error.strerror)
        if _is(file, lock):
            return file
        file.close()  # its last holder has removed it


def _holder(lock: Path) -> str:
    """Return what a lock's file says of its holder, who may be about to write it, or to go."""
    try:
        return lock.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"


def _is(file: FileIO, path: Path) -> bool:
    """Say whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:  # no such file; over NFS the open one may be stale
        return False


def _sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk: without it a rename may be undone by a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)
