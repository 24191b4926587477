import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnpipe.core.progress import TAIL, Evaluation
from bnpipe.grid.config import Configuration, parse_configuration
from bnpipe.grid.state import INTERVALS, PATIENCE, Job, JobStatus, classify, planned_jobs, poll, recent_rate

REPOSITORY = Path(__file__).resolve().parents[2]
CONDITION = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 100}
STUDY = {"about": "How deep?", "arms": ["vanilla"], "condition": CONDITION, "sweep": {"hidden_sizes": [[5], [5, 5]]}}
LATE = 10.0**9


def configuration(**changes: object) -> Configuration:
    values = {"conditions": {"tanh": CONDITION}, "seeds": 2, "chunk_size": 2, **changes}
    return parse_configuration(values)


def line(second: int, step: int, rate: float = 9.0) -> str:
    """Return a line of a log, written in that second of a minute."""
    progress = f"step {step} of 100, accuracy 0.2500 to 0.5000, {rate} steps/s, 5 s left"
    return f"2026-11-22 19:17:{second:02},000 INFO tanh vanilla 42-43: {progress}\n"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make_job() -> Job:
    return Job("tanh", "vanilla", 2, 100, Path("a.safetensors"), Path("a.log"))


def test_every_stack_is_a_job_with_the_paths_of_the_workflow() -> None:
    jobs = list(planned_jobs(configuration(), "digits"))
    assert [(job.group, job.arm, job.runs, job.steps) for job in jobs] == [
        ("tanh", "vanilla", 2, 100),
        ("tanh", "vanilla", 1, 100),
        ("tanh", "batchnorm", 2, 100),
        ("tanh", "batchnorm", 1, 100),
    ]
    assert jobs[0].record == Path("results/digits/runs/tanh/vanilla/seeds-42-2000-5884f2a46b32.safetensors")
    assert jobs[0].log == Path("logs/digits/train/tanh/vanilla/seeds-42-2000-5884f2a46b32.log")


def test_a_study_is_planned_by_default_or_once_it_has_begun() -> None:
    studies = {"a": STUDY, "b": {**STUDY, "default": True}}
    planned = configuration(studies=studies)
    jobs = [job for job in planned_jobs(planned, "digits") if job.group.startswith("study")]
    assert [(job.group, job.arm, job.runs) for job in jobs] == [("study b", "vanilla", 3)] * 2
    log = Path(str(jobs[1].log).replace("studies/b", "studies/a"))
    log.parent.mkdir(parents=True)
    log.touch()
    groups = [job.group for job in planned_jobs(planned, "digits")]
    assert groups == ["tanh"] * 4 + ["study a"] * 2 + ["study b"] * 2


def test_what_a_log_says_while_the_record_is_missing() -> None:
    running = classify(False, line(10, 0) + line(14, 20), since=LATE, now=LATE + 3)
    assert (running.state, running.rate) == ("running", 5)
    assert running.latest is not None
    assert (running.latest.step, running.latest.lowest, running.latest.highest) == (20, 0.25, 0.5)
    assert classify(False, "", since=LATE, now=LATE + 3).state == "running"  # it loads
    failed = classify(False, line(10, 0) + "2026-11-22 19:17:11,000 ERROR error: a.gz: empty\n", LATE, LATE)
    assert (failed.state, failed.error) == ("failed", "error: a.gz: empty")
    finished = line(10, 99) + "2026-11-22 19:17:11,000 INFO finished\n"
    assert classify(False, finished, LATE, LATE) == JobStatus("waiting")  # its record was deleted
    assert classify(True, finished, LATE, LATE).state == "done"


def test_a_job_is_silent_after_its_patience() -> None:
    def state(tail: str, idle: float) -> str:
        return classify(False, tail, LATE, LATE + idle).state

    assert (state("", PATIENCE), state("", PATIENCE + 1)) == ("running", "silent")
    apart = PATIENCE + INTERVALS * 40  # evaluations that are far apart
    assert (state(line(10, 0) + line(50, 20), apart), state(line(10, 0) + line(50, 20), apart + 1)) == (
        "running",
        "silent",
    )


def test_a_rate_is_measured_between_evaluations_not_from_the_start() -> None:
    # A job that resumed at step 60 states 600 steps per second at first.
    assert recent_rate(Evaluation.read_all(line(10, 60, 600.0) + line(14, 80, 300.0))) == 5
    assert recent_rate(Evaluation.read_all(line(10, 60, 600.0))) == 600
    assert recent_rate(Evaluation.read_all(line(10, 60) + line(14, 0, 7.0))) == 7  # the next part of a stack


def test_looks_at_files_alone_and_reads_the_log_of_a_done_job_once() -> None:
    job = make_job()
    assert poll([job], {}) == {job: JobStatus("waiting")}
    job.log.write_text("x" * 2 * TAIL + "\n" + line(10, 0) + line(14, 20))
    seen = poll([job], {job: JobStatus("waiting")})[job]
    assert (seen.state, seen.rate) == ("running", 5)
    assert abs(seen.since - time.time()) < 60
    os.utime(job.log, (LATE, LATE))
    assert poll([job], {})[job].state == "silent"
    job.record.touch()
    done = poll([job], {job: seen})
    assert done[job].state == "done"
    job.log.unlink()
    assert poll([job], done) == done
    job.record.unlink()  # it is to be made again
    assert poll([job], done) == {job: JobStatus("waiting")}


def test_starts_without_torch_pandas_or_snakemake() -> None:
    code = "import sys, bnpipe.watch; print({'torch', 'pandas', 'snakemake', 'scipy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "set()\n"
