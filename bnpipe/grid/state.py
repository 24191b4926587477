"""How far the training jobs of a grid are, according to their records and logs, wherever the jobs run."""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bnpipe.core.progress import FINISHED, Evaluation, read_tail
from bnpipe.grid.config import Configuration
from bnpipe.grid.layout import Layout
from bnpipe.grid.stacks import Stack, condition_stacks, study_stacks

State = Literal["done", "running", "silent", "failed", "waiting"]

PATIENCE = 120.0  # seconds without a line after which a job may be dead; loading and locating failures take less
INTERVALS = 10  # in addition, this many times the interval between a job's evaluations may pass

_ERROR = re.compile(r"^\S+ \S+ ERROR (.*)$", re.MULTILINE)
_FINISHED = re.compile(rf"^\S+ \S+ INFO {FINISHED}$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A planned training job, and the files that show how far it is."""

    group: str  # its condition or study
    arm: str
    runs: int
    steps: int  # of each run
    record: Path
    log: Path


@dataclass(frozen=True)
class JobStatus:
    """What a job's record and log say about it."""

    state: State
    since: float = 0.0  # seconds since the epoch: when its log last grew
    latest: Evaluation | None = None
    rate: float | None = None  # steps per second, over its latest evaluations
    error: str = ""  # first line of what ended it


def planned_jobs(configuration: Configuration, dataset: str) -> Iterator[Job]:
    """Yield the training jobs that a configuration plans, in its order.

    dataset: the name in paths. A study is included if the default target makes it or one of its jobs has begun.
    """
    layout = Layout(dataset)
    for name in configuration.conditions:
        yield from (_job_of(stack, name, layout) for stack in condition_stacks(configuration, name))
    for name, study in configuration.studies.items():
        jobs = [_job_of(stack, f"study {name}", layout) for stack in study_stacks(configuration, name)]
        if study.default or any(job.log.exists() for job in jobs):
            yield from jobs


def _job_of(stack: Stack, group: str, layout: Layout) -> Job:
    record, log = Path(layout.record(stack)), Path(layout.training_log(stack))
    return Job(group, stack.arm, len(stack.runs), stack.runs.settings.steps, record, log)


def poll(jobs: Iterable[Job], before: dict[Job, JobStatus]) -> dict[Job, JobStatus]:
    """Return the status of every job. before: the last statuses, so that the logs of done jobs are read only once."""
    return {job: _poll_one(job, before.get(job)) for job in jobs}


def _poll_one(job: Job, before: JobStatus | None) -> JobStatus:
    done = job.record.exists()
    if done and before and before.state == "done":
        return before
    try:
        tail, written = read_tail(job.log)
    except FileNotFoundError:
        return JobStatus("done" if done else "waiting")
    return classify(done, tail, written, time.time())


def classify(done: bool, tail: str, since: float, now: float) -> JobStatus:
    """Return the status of a job, given whether its record exists, the end of its log, and when that was written.

    since, now: seconds since the epoch.
    """
    evaluations = Evaluation.read_all(tail)
    latest, rate = (evaluations[-1], recent_rate(evaluations)) if evaluations else (None, None)
    error = _ERROR.search(tail)
    if done:
        return JobStatus("done", since, latest, rate)
    if error:
        return JobStatus("failed", since, latest, rate, error[1])
    if _FINISHED.search(tail):  # the record has been deleted since, and will be made again
        return JobStatus("waiting")
    return JobStatus("silent" if now - since > _patience(evaluations) else "running", since, latest, rate)


def recent_rate(evaluations: list[Evaluation]) -> float:
    """Return the steps per second between the first and the last of some evaluations of a job.

    A log states the rate since the job began. At first that is the rate of its start, and for a job that resumed it is
    wrong. So it is returned only if there is no other, after a single evaluation.
    """
    first, last = evaluations[0], evaluations[-1]
    steps, seconds = last.step - first.step, last.time - first.time
    return steps / seconds if steps > 0 and seconds > 0 else last.rate


def _patience(evaluations: list[Evaluation]) -> float:
    if len(evaluations) < 2:
        return PATIENCE
    return PATIENCE + INTERVALS * (evaluations[-1].time - evaluations[-2].time)
