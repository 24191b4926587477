"""A small disk that a test fills, or makes read-only: a tmpfs, which only root can mount."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND_LIMIT = 60  # seconds


class Unavailable(Exception):  # noqa: N818 - not an error: a machine where no disk can be mounted
    """No disk can be mounted. The message says why, in one line."""


class Disk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Use up all free space."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                return

    def free(self) -> None:
        """Release the space again."""
        self._filler.unlink()

    def write_protect(self, protected: bool) -> None:
        """Make the disk read-only, or writable again."""
        mount("-o", f"remount,{'ro' if protected else 'rw'}", str(self.folder))


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Mount a new disk at a folder, and unmount it in the end. Raises Unavailable if that is impossible."""
    folder.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], timeout=COMMAND_LIMIT, check=True)


def mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, timeout=COMMAND_LIMIT, check=False)
    except FileNotFoundError as error:
        raise Unavailable("no disk can be mounted: the command `mount` is missing") from error
    if done.returncode:
        raise Unavailable(f"no disk can be mounted: {(done.stderr.strip() or 'mount failed').splitlines()[-1]}")
