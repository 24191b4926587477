import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from bnpipe.core.errors import InputError
from bnpipe.core.parts import digests_of
from bnpipe.core.records import read_record
from bnpipe.data.packed import Dataset
from bnpipe.data.prepare import prepare
from bnpipe.modules.gpus import granted_gpu
from bnpipe.training import job as runs
from bnpipe.training.checkpoints import STOPPED
from bnpipe.training.job import train_and_record
from tests.conftest import make_settings

SETTINGS = asdict(make_settings(hidden_sizes=(20, 20), steps=150, evaluation_interval=25, diagnostics=True))
OFTEN = 1e-9  # seconds
REPORTED = [0, 12, 25, 37, 50, 62, 75, 87, 100, 112, 125, 137]  # steps of the two runs in the mean


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


@pytest.mark.parametrize("stops", [(12,), (75,), (137,), (25, 100)], ids=str)
def test_a_job_that_was_stopped_writes_the_same_record(
    packed: Path, undisturbed: bytes, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    record = tmp_path / "record.safetensors"
    for stop in stops:
        with pytest.raises(StoppedError):
            job(packed, record, on_evaluation=at(stop, fail))
        runs_there = {"record.runs-0-1.checkpoint", *(["record.runs-1-2.checkpoint"] if stop > 75 else [])}
        assert {path.name for path in tmp_path.iterdir()} == runs_there
    job(packed, record)
    assert record.read_bytes() == undisturbed
    assert list(tmp_path.iterdir()) == [record]


def test_a_record_has_the_digests_of_the_parts_of_ones_own(packed: Path, tmp_path: Path) -> None:
    part, record = "tests.modules.own_parts:OwnNorm", tmp_path / "record.safetensors"
    job(packed, record, settings={**SETTINGS, "arm": part, "steps": 9}, seeds=[42])
    assert read_record(record).origin.parts == digests_of([part])
    before = record.read_bytes()
    job(packed, record, settings={**SETTINGS, "arm": part, "steps": 9}, seeds=[42])
    assert record.read_bytes() == before  # kept, or made again to the same bytes


def test_sigterm_keeps_the_state_and_the_next_job_goes_on(packed: Path, undisturbed: bytes, tmp_path: Path) -> None:
    record, seen = tmp_path / "record.safetensors", []
    with pytest.raises(SystemExit) as end:
        job(packed, record, checkpoint_seconds=60, on_evaluation=at(87, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert end.value.code == STOPPED
    job(packed, record, on_evaluation=lambda step, _: seen.append(step))
    assert seen == [100, 112, 125, 137]
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
    assert seen == REPORTED
    assert (tmp_path / "record.runs-0-1.checkpoint.unusable").is_file()


def second_job(packed: Path, record: Path, on_evaluation: str = "print(step)") -> "subprocess.Popen[str]":
    """Start a job in another process, which logs to stderr; on_evaluation: an expression."""
    program = (
        "import logging; from tests.training.test_job import *; logging.basicConfig(level=logging.INFO);"
        f"job(Path({str(packed)!r}), Path({str(record)!r}), on_evaluation=lambda step, _: {on_evaluation})"
    )
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_job_waits_for_another_that_makes_the_same_record_and_keeps_it(
    packed: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    record = tmp_path / "record.safetensors"
    others: list[subprocess.Popen[str]] = []

    def start_another() -> None:
        other = second_job(packed, record)
        others.append(other)
        assert other.stderr is not None
        assert other.stderr.readline().startswith("WARNING:bnpipe.core.files:waiting for process ")

    job(packed, record, on_evaluation=at(75, start_another))
    inode = record.stat().st_ino
    printed, logged = others[0].communicate(timeout=60)
    assert (others[0].returncode, printed) == (0, "")
    assert f"{record}: made by another job meanwhile" in logged
    assert (record.read_bytes(), record.stat().st_ino) == (undisturbed, inode)
    assert list(tmp_path.iterdir()) == [record]


def test_a_job_that_waited_for_one_that_died_goes_on_where_that_was(
    packed: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    record = tmp_path / "record.safetensors"
    seen: list[int] = []
    with second_job(packed, record, "step == 75 and (print(step, flush=True), signal.pause())") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "75\n"
        killing = threading.Timer(0.5, first.kill)
        killing.start()
        job(packed, record, on_evaluation=lambda step, _: seen.append(step))
        killing.join()
    assert seen == [75, 87, 100, 112, 125, 137]
    assert record.read_bytes() == undisturbed


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [42, 44]},
        {"settings": {**SETTINGS, "learning_rate": 0.02}},
        {"dataset": "other"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_record_of_other_work_is_made_anew(
    packed: Path, undisturbed: bytes, tmp_path: Path, changes: dict[str, Any]
) -> None:
    record, seen = tmp_path / "record.safetensors", []
    record.write_bytes(undisturbed)
    job(packed, record, **changes, on_evaluation=lambda step, _: seen.append(step))
    assert seen == REPORTED
    assert record.read_bytes() != undisturbed


def test_a_damaged_record_is_made_anew(packed: Path, undisturbed: bytes, tmp_path: Path) -> None:
    record = tmp_path / "record.safetensors"
    record.write_bytes(undisturbed[:100])
    job(packed, record)
    assert record.read_bytes() == undisturbed


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
        assert arguments[3].description == "cuda (pretended, float32)"
        with granted_gpu(tf32=False, gpus=1) as other:
            assert other == torch.device("cuda", 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train_runs", train)
    with pytest.raises(KeyboardInterrupt):
        train_and_record(**gpu_job, gpus=1)
    with granted_gpu(tf32=False, gpus=1) as free_again:
        assert free_again == torch.device("cuda", 0)


def test_a_job_that_was_granted_no_gpu_does_not_train(gpu_job: dict[str, Any]) -> None:
    expected = r"^device: expected cpu \(the job was granted no GPU: .*\), got cuda; set device: cpu, or grant the job "
    with pytest.raises(InputError, match=expected):
        train_and_record(**gpu_job, gpus=0)
    assert not gpu_job["record"].exists()


def test_on_the_cpu_a_record_is_made_and_no_lease_taken(gpu_job: dict[str, Any], tmp_path: Path) -> None:
    train_and_record(**{**gpu_job, "device": "cpu"}, gpus=0)
    assert [path.name for path in tmp_path.iterdir()] == ["record"]
