from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from bnpipe import runs
from bnpipe.data.packed import Dataset
from bnpipe.errors import InputError
from bnpipe.gpus import granted_device
from bnpipe.runs import train_and_record
from tests.conftest import make_settings


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dataset: Dataset) -> dict[str, Any]:
    """Return the arguments of a job on one of two pretended GPUs."""
    monkeypatch.setattr(runs, "open_dataset", lambda _: dataset)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    paths = {"packed": tmp_path / "packed", "record": tmp_path / "record"}
    settings = asdict(make_settings(steps=1))
    return {"condition": "tanh", "settings": settings, "seeds": [42], "dataset": "mnist", "device": "cuda", **paths}


def test_a_job_on_a_gpu_has_it_to_itself_while_it_trains(job: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*arguments: Any) -> None:
        assert arguments[-1] == torch.device("cuda", 0)
        with granted_device("cuda", tf32=False, gpus=1) as other:
            assert other == torch.device("cuda", 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train_stack", train)
    with pytest.raises(KeyboardInterrupt):
        train_and_record(**job, gpus=1)
    with granted_device("cuda", tf32=False, gpus=1) as free_again:
        assert free_again == torch.device("cuda", 0)


def test_a_job_that_was_granted_no_gpu_does_not_train(job: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"device: found cuda, but the job was granted no GPU .*; permitted is cpu"):
        train_and_record(**job, gpus=0)
    assert not job["record"].exists()


def test_on_the_cpu_a_record_is_made_and_no_lease_taken(job: dict[str, Any], tmp_path: Path) -> None:
    train_and_record(**{**job, "device": "cpu"}, gpus=0)
    assert [path.name for path in tmp_path.iterdir()] == ["record"]
