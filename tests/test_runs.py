import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from bnpipe import runs
from bnpipe.checkpoints import STOPPED
from bnpipe.data.packed import Dataset
from bnpipe.data.prepare import prepare
from bnpipe.errors import InputError
from bnpipe.files import sole_writer
from bnpipe.gpus import granted_device
from bnpipe.records import read_record
from bnpipe.runs import train_and_record
from tests.conftest import make_settings

SETTINGS = asdict(make_settings(hidden_sizes=(20, 20), steps=150, evaluation_interval=25, diagnostics=True))
OFTEN = 1e-9  # seconds


class StoppedError(Exception):
    """What a test stops a job with."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    prepare("digits", [], 300, folder, folder / "packed.safetensors")
    return folder / "packed.safetensors"


def job(packed: Path, record: Path, **changes: Any) -> None:
    arguments = {"settings": SETTINGS, "seeds": [42, 43], "dataset": "digits", "checkpoint_seconds": OFTEN}
    train_and_record("tanh", packed=packed, record=record, **{**arguments, **changes})


def at(stop: int, act: Callable[[], None]) -> Callable[[int, Any], None]:
    return lambda step, _: act() if step == stop else None


def fail() -> None:
    raise StoppedError


@pytest.fixture(scope="module")
def undisturbed(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    record = tmp_path_factory.mktemp("undisturbed") / "record.safetensors"
    job(packed, record, checkpoint_seconds=0)
    assert read_record(record).condition == "tanh"
    return record.read_bytes()


@pytest.mark.parametrize("stops", [(0,), (75,), (125,), (25, 100)], ids=str)
def test_a_job_that_was_stopped_writes_the_same_record(
    packed: Path, undisturbed: bytes, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    record = tmp_path / "record.safetensors"
    for stop in stops:
        with pytest.raises(StoppedError):
            job(packed, record, on_evaluation=at(stop, fail))
        assert [path.name for path in tmp_path.iterdir()] == ["record.runs-0-2.checkpoint"]
    job(packed, record)
    assert record.read_bytes() == undisturbed
    assert list(tmp_path.iterdir()) == [record]


def test_sigterm_keeps_the_state_and_the_next_job_goes_on(packed: Path, undisturbed: bytes, tmp_path: Path) -> None:
    record, seen = tmp_path / "record.safetensors", []
    with pytest.raises(SystemExit) as end:
        job(packed, record, checkpoint_seconds=60, on_evaluation=at(50, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert end.value.code == STOPPED
    job(packed, record, on_evaluation=lambda step, _: seen.append(step))
    assert seen == [75, 100, 125]
    assert record.read_bytes() == undisturbed


def test_a_short_job_never_writes_one(packed: Path, tmp_path: Path) -> None:
    found: list[Path] = []
    record = tmp_path / "record.safetensors"
    job(packed, record, checkpoint_seconds=60, on_evaluation=lambda *_: found.extend(tmp_path.glob("*.checkpoint")))
    assert found == []


@pytest.mark.parametrize(
    "changes",
    [{"seeds": [42, 44]}, {"settings": {**SETTINGS, "learning_rate": 0.02}}, {"dataset": "other"}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_job_of_other_work_begins_anew(packed: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    record, seen = tmp_path / "record.safetensors", []
    with pytest.raises(StoppedError):
        job(packed, record, on_evaluation=at(75, fail))
    job(packed, record, **changes, on_evaluation=lambda step, _: seen.append(step))
    assert seen == [0, 25, 50, 75, 100, 125]
    assert (tmp_path / "record.runs-0-2.checkpoint.unusable").is_file()


def test_a_second_job_on_the_same_record_ends_before_it_trains(packed: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.safetensors"
    program = f"from tests.test_runs import *; job(Path({str(packed)!r}), Path({str(record)!r}), on_evaluation=print)"
    with sole_writer(record):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"{InputError.__module__}.InputError: {record}: is being written by")


@pytest.fixture
def gpu_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dataset: Dataset) -> dict[str, Any]:
    """Return the arguments of a job on one of two pretended GPUs."""
    monkeypatch.setattr(runs, "open_dataset", lambda _: dataset)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "pretended")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    paths = {"packed": tmp_path / "packed", "record": tmp_path / "record"}
    settings = asdict(make_settings(steps=1))
    return {"condition": "tanh", "settings": settings, "seeds": [42], "dataset": "mnist", "device": "cuda", **paths}


def test_a_job_on_a_gpu_has_it_to_itself_while_it_trains(
    gpu_job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*arguments: Any) -> None:
        assert arguments[4] == torch.device("cuda", 0)
        with granted_device("cuda", tf32=False, gpus=1) as other:
            assert other == torch.device("cuda", 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train_stack", train)
    with pytest.raises(KeyboardInterrupt):
        train_and_record(**gpu_job, gpus=1)
    with granted_device("cuda", tf32=False, gpus=1) as free_again:
        assert free_again == torch.device("cuda", 0)


def test_a_job_that_was_granted_no_gpu_does_not_train(gpu_job: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"device: found cuda, but the job was granted no GPU .*; permitted is cpu"):
        train_and_record(**gpu_job, gpus=0)
    assert not gpu_job["record"].exists()


def test_on_the_cpu_a_record_is_made_and_no_lease_taken(gpu_job: dict[str, Any], tmp_path: Path) -> None:
    train_and_record(**{**gpu_job, "device": "cpu"}, gpus=0)
    assert [path.name for path in tmp_path.iterdir()] == ["record"]
