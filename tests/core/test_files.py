import errno
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write, atomic_write_text, exclusive_lock

REPOSITORY = Path(__file__).resolve().parents[2]


def test_creates_folders_and_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "file.txt"
    with atomic_write(path) as partial:
        partial.write_text("content")
        assert partial.parent == path.parent  # a rename within a folder cannot be half done
        assert not path.exists()
    assert path.read_text() == "content"
    assert list(path.parent.iterdir()) == [path]


def test_readers_see_the_old_content_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("fault", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("old", ["old", None])
def test_interrupted_writing_changes_nothing(tmp_path: Path, fault: BaseException, old: str | None) -> None:
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)
    with pytest.raises(type(fault)), atomic_write(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise fault
    assert [file.read_text() for file in tmp_path.iterdir()] == ([] if old is None else [old])


def test_block_that_writes_nothing_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_write(path):
        pass
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_text_is_utf8(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.txt"
    atomic_write_text(path, "σ² ü\n")
    assert path.read_bytes() == b"\xcf\x83\xc2\xb2 \xc3\xbc\n"
    assert list(path.parent.iterdir()) == [path]


HOLD = """
import sys, time
from pathlib import Path
from bnpipe.core.files import atomic_write
with atomic_write(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_writer(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start another process that writes tmp_path / "file.txt" and is not done."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "file.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process
        process.kill()


def test_a_second_writer_waits_and_then_ends_and_is_told_who_holds_the_file(
    tmp_path: Path, other_writer: "subprocess.Popen[str]", caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file.txt"
    with pytest.raises(InputError) as error, exclusive_lock(path, limit=0.5):
        pass
    who = re.escape(f"process {other_writer.pid} on {socket.gethostname()}")
    since = r" since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00"
    line = re.escape(f"{path}: ") + f"still being written by {who}{since} after 0.5 s; .*"
    assert re.fullmatch(line, str(error.value))
    (warning,) = [record.getMessage() for record in caplog.records]  # one, however often it looked
    assert re.fullmatch(f"waiting for {who}{since}, which is writing {re.escape(str(path))}, for up to 0.5 s", warning)
    assert other_writer.poll() is None
    assert not path.exists()
    atomic_write_text(tmp_path / "other.txt", "another file is free")


def test_a_second_writer_goes_on_when_the_first_has_ended(
    tmp_path: Path, other_writer: "subprocess.Popen[str]", caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file.txt"
    killing = threading.Timer(0.5, other_writer.kill)
    killing.start()
    started = time.monotonic()
    atomic_write_text(path, "second")
    assert 0.4 < time.monotonic() - started < 10
    killing.join()
    assert [file.read_text() for file in tmp_path.iterdir()] == ["second"]
    assert f"waiting for process {other_writer.pid} on" in caplog.text
    assert "for up to 7200 s" in caplog.text


def test_a_lock_ends_with_its_holder_and_its_leftovers_with_the_next(
    tmp_path: Path, other_writer: "subprocess.Popen[str]"
) -> None:
    other_writer.kill()
    other_writer.wait()
    assert {file.name for file in tmp_path.iterdir()} == {".file.txt.lock", ".file.txt.partial"}
    atomic_write_text(tmp_path / "file.txt", "second")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["second"]


def test_a_job_may_hold_a_file_while_it_works_and_then_write_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with exclusive_lock(path):
        atomic_write_text(path, "one")
        atomic_write_text(path, "two")
        assert (path.parent / ".file.txt.lock").is_file()
    assert [file.read_text() for file in path.parent.iterdir()] == ["two"]


COUNT = """
import sys, time
from pathlib import Path
from bnpipe.core.errors import InputError
from bnpipe.core.files import exclusive_lock
path = Path(sys.argv[1])
done = 0
while done < 100:
    try:
        with exclusive_lock(path, limit=0):
            path.write_text(str(int(path.read_text()) + 1))
        done += 1
    except InputError:
        pass
"""


def test_there_is_never_more_than_one_holder(tmp_path: Path) -> None:
    # Even if a lock file is removed by one process, opened by another and made again by a third.
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path / "count")]
    processes = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "300"


def test_a_file_system_without_locks_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", no_locks)
    atomic_write_text(tmp_path / "file.txt", "content")
    assert (tmp_path / "file.txt").read_text() == "content"
    assert f"{tmp_path / 'file.txt'}: cannot be locked (Function not implemented)" in caplog.text


def test_the_name_reaches_the_disk_after_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []
    path = tmp_path / "file.txt"
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append((kind, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", watched)
    atomic_write_text(path, "content")
    assert synced == [("file", False), ("folder", True)]


@pytest.mark.parametrize(("fault", "is_raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_synchronized_is_no_fault_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int, is_raised: bool
) -> None:
    def no_sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr("os.fsync", no_sync)
    with pytest.raises(InputError, match=os.strerror(fault)) if is_raised else nullcontext():
        atomic_write_text(tmp_path / "file.txt", "content")
    assert (tmp_path / "file.txt").read_text() == "content"


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES], ids=errno.errorcode.get)
@pytest.mark.parametrize("old", ["old", None])
def test_a_disk_that_takes_no_file_is_one_line_and_changes_nothing(tmp_path: Path, fault: int, old: str | None) -> None:
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)
    with pytest.raises(InputError) as error, atomic_write(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise OSError(fault, os.strerror(fault))  # as `write` has it: without a name
    assert str(error.value).startswith(f"{path}: cannot be written ({os.strerror(fault)}); ")
    assert len(str(error.value).splitlines()) == 1
    assert [file.read_text() for file in tmp_path.iterdir()] == ([] if old is None else [old])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".file.txt.partial").symlink_to("/dev/full")  # every write there finds a full disk
    with pytest.raises(InputError) as error:
        atomic_write_text(tmp_path / "file.txt", "content")
    assert str(error.value).startswith(f"{tmp_path / 'file.txt'}: cannot be written (No space left on device); ")
    assert list(tmp_path.iterdir()) == []


def test_another_fault_is_not_taken_for_one_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError), atomic_write(tmp_path / "file.txt"):
        raise TimeoutError("a mirror that is silent")
