"""Files that appear whole or not at all, and have one writer at a time."""

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from bnpipe.errors import InputError

log = logging.getLogger(__name__)
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP)  # what file systems answer that do not synchronize folders
_held: set[Path] = set()  # what this process is the writer of


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; rename it to ``path`` once the block has ended well.

    Whatever interrupts the writing, ``path`` holds its old content or all of the new one. Raises InputError where
    another process writes it, see `sole_writer`.
    """
    with sole_writer(path):
        partial = path.with_name(f".{path.name}.partial")  # what a killed writer left there is overwritten
        try:
            partial.touch()
            mode = partial.stat().st_mode
            partial.unlink()
            yield partial
            partial.chmod(mode)  # safetensors makes files that only their owner can read
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            _sync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def write_text_whole(path: Path, text: str) -> None:
    """Write a text file, UTF-8, so that a reader never sees half of it."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Be the only process that writes ``path`` within the block; make its folder.

    The lock is the kernel's (flock) on a file beside it, so that it ends with its holder, however that dies. Over NFS
    it holds between hosts too (Linux; not where mounted with `nolock` or `local_lock`). A file system without locks
    is a warning. Blocks of one process may be nested. Raises InputError, saying who holds it, where it is taken.
    """
    path = path.absolute()
    if path in _held:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with _locked(lock, path) as file:
        _held.add(path)
        try:
            now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
            print(f"process {os.getpid()} on {socket.gethostname()} since {now}", file=file, end="", flush=True)
            yield
        finally:
            _held.remove(path)
            lock.unlink(missing_ok=True)  # before it is released: after that it may be another's


def _locked(lock: Path, path: Path) -> TextIO:
    """Open a lock's file, empty, and lock it; path: what it is the lock of."""
    while True:
        file = lock.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            with file:
                file.seek(0)
                holder = file.read() or "another process"
            raise InputError(f"{path}: is being written by {holder}; wait until that has ended, or end it") from error
        except OSError as error:
            log.warning("%s: cannot be locked (%s); a second writer would not be noticed", path, error.strerror)
        if _is(file, lock):
            file.truncate(0)
            return file
        file.close()  # its last holder has removed it


def _is(file: TextIO, path: Path) -> bool:
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
