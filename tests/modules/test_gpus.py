from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from bnpipe.core.errors import InputError
from bnpipe.modules.gpus import granted_gpu, visible_gpus


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Pretend that there are two GPUs; return a list of those that become the current one."""
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return current


def test_jobs_at_once_each_get_a_gpu_of_their_own(pretended: list[int]) -> None:
    with granted_gpu(tf32=False, gpus=1) as first, granted_gpu(tf32=False, gpus=1) as second:
        assert (first, second) == (torch.device("cuda", 0), torch.device("cuda", 1))
    assert pretended == [0, 1]
    with granted_gpu(tf32=False, gpus=1) as third:
        assert third == torch.device("cuda", 0)


def test_a_job_that_was_granted_no_gpu_uses_none(pretended: list[int]) -> None:
    with pytest.raises(InputError, match="granted no GPU"), granted_gpu(tf32=False, gpus=0):
        pass
    assert not pretended


def test_leases_are_of_the_machines_gpus_whatever_their_numbers_here(
    pretended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as held:
        held.enter_context(granted_gpu(tf32=False, gpus=1))  # the machine's GPU 0
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 0")
        assert visible_gpus() == ["3", "0"]
        held.enter_context(granted_gpu(tf32=False, gpus=1))  # GPU 3, number 0 here
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        held.enter_context(granted_gpu(tf32=False, gpus=1))
    assert pretended == [0, 0, 1]


def test_the_one_gpu_that_slurm_gives_a_job_needs_no_lease(
    pretended: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with granted_gpu(tf32=False, gpus=1), granted_gpu(tf32=False, gpus=1):
        assert pretended == [0, 0]
    assert not list(tmp_path.iterdir())


def test_jobs_within_one_slurm_allocation_share_its_gpus_by_leases(
    pretended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as held:
        for job in ("7", "7", "8"):
            monkeypatch.setenv("SLURM_JOB_ID", job)
            held.enter_context(granted_gpu(tf32=False, gpus=1))
    assert pretended == [0, 1, 0]
