import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.modules.leases import lease

# Takes one of two devices, marks it as busy by a file that must not be there yet, and says which and when.
JOB = """
import sys, time
from pathlib import Path
from bnpipe.modules.leases import lease
folder = Path(sys.argv[1])
with lease(["gpu-0", "gpu-1"], folder / "leases", limit=30) as index:
    busy, begin = folder / f"busy-{index}", time.monotonic()
    busy.touch(exist_ok=False)
    time.sleep(0.3)
    busy.unlink()
    print(index, begin, time.monotonic())
"""
HOLDER = """
import sys, time
from pathlib import Path
from bnpipe.modules.leases import lease
with lease(["gpu-0"], Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def start(code: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)


def test_six_jobs_on_two_devices_never_share_one(tmp_path: Path) -> None:
    jobs = [start(JOB, tmp_path) for _ in range(6)]
    said = [job.communicate(timeout=30)[0].split() for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 6  # all finish, and none finds its device busy
    spans = sorted((float(begin), float(end), index) for index, begin, end in said)
    for begin, _, _ in spans:
        at_once = [index for first, last, index in spans if first <= begin < last]
        assert len(at_once) == len(set(at_once)) <= 2
    assert {index for _, _, index in spans} == {"0", "1"}


def test_a_killed_holder_frees_its_device(tmp_path: Path) -> None:
    holder = start(HOLDER, tmp_path)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
        expected = rf"^gpu-0: expected one to become free within 0 s, got none; .* \(process {holder.pid}\), or try "
        with pytest.raises(InputError, match=expected), lease(["gpu-0"], tmp_path, limit=0):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=10)
    with lease(["gpu-0"], tmp_path, limit=0) as index:
        assert index == 0


def test_a_lease_ends_with_its_block_even_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lease(["a"], tmp_path, limit=0):
        raise ZeroDivisionError
    with lease(["a"], tmp_path, limit=0):
        pass


def test_leases_in_one_process_differ_and_tell_their_holder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with lease(["a", "b"], tmp_path, limit=0) as first, lease(["a", "b"], tmp_path, limit=0) as second:
        assert (first, second) == (0, 1)
        assert not caplog.messages
        own = os.getpid()
        with (
            pytest.raises(InputError, match=rf"^a, b: expected one to .* end what holds them \(process {own}, {own}\)"),
            lease(["a", "b"], tmp_path, limit=0.3),
        ):
            pass
        assert caplog.messages == ["waiting for one of a, b, for up to 0 s"]
