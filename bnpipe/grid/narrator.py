"""What a person sees while the workflow runs: a line for each finished job, and what is running now.

Snakemake's own lines name jobs by number. These name them by what they do, and say how long the rest will take.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from threading import Lock, Thread
from time import sleep, time
from typing import Any

from tqdm import tqdm

from bnpipe.core.progress import Evaluation, read_tail

SILENCE = 30.0  # seconds without a line, in a pipe, after which a line says what is running
REFRESH = 1.0  # seconds between two looks at the logs of running jobs, on a terminal
SHOWN = 4  # running jobs named in a line
NOISE = (  # beginnings of Snakemake's lines that tell nothing about this run
    "Assuming unrestricted shared filesystem usage",
    "Conda environments: ignored",
    "Config file ",
    "Select jobs to execute",
    "Using shell: ",
)
UNTOLD = ("job_started", "progress", "resources_info")  # events that add nothing to our own lines
_CHUNK = re.compile(r"(\d+)(?:-(\d+))?(?:-[0-9a-f]{12})?$")  # see `bnpipe.grid.stacks.chunk_name`
_STACK = re.compile(r"([a-z]+)-[0-9a-f]+$")


def job_name(rule: str, wildcards: Mapping[str, str]) -> str:
    """Return what a job does, in words: "train tanh, vanilla, seeds 42 to 2008"."""
    values = [_value(name, value) for name, value in wildcards.items()]
    return " ".join(filter(None, [rule.replace("_", " "), ", ".join(values)]))


def _value(name: str, value: str) -> str:
    if name == "chunk" and (chunk := _CHUNK.match(value)):
        return f"seeds {chunk[1]} to {chunk[2]}" if chunk[2] else f"seed {chunk[1]}"
    if name == "stack" and (stack := _STACK.match(value)):
        return stack[1]
    return value


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


@dataclass(frozen=True)
class Running:
    """A job that runs."""

    rule: str
    name: str
    log: Path | None
    since: float  # seconds since the epoch

    def share_done(self) -> float | None:
        """Return how far the job is, from the last evaluation in its log; None if there is none."""
        if self.log is None:
            return None
        with suppress(OSError):
            tail, written = read_tail(self.log)
            evaluations = Evaluation.read_all(tail)
            if evaluations and written >= self.since:  # not of an earlier job
                return (evaluations[-1].step + 1) / evaluations[-1].steps
        return None


class Progress:
    """The jobs of a run: how many there are, which are running, and how long the finished ones took."""

    def __init__(self) -> None:
        """Begin with no jobs."""
        self.left: Counter[str] = Counter()  # jobs that have not started, by rule
        self.running: dict[int, Running] = {}
        self.took: defaultdict[str, list[float]] = defaultdict(list)  # seconds, by rule
        self.total = self.done = 0

    def plan(self, counts: Mapping[str, int]) -> None:
        """Set how many jobs of each rule there will be."""
        self.left = Counter(counts)
        self.total = sum(counts.values())

    def start(self, number: int, job: Running) -> None:
        """Take note of a job that starts."""
        if number not in self.running:  # a job that is tried again is started again
            self.left[job.rule] -= 1
        self.running[number] = job

    def finish(self, number: int, now: float) -> str | None:
        """Take note of a job that has finished; return the line that says so. None for a job that did not start."""
        self.done += 1
        job = self.running.pop(number, None)
        if job is None:
            return None
        self.took[job.rule].append(now - job.since)
        count = f"{self.done:{len(str(self.total))}}/{self.total}"
        return f"[{count}] {job.name}: {duration(now - job.since)}"

    def seconds_left(self, now: float) -> float | None:
        """Estimate how long the rest takes, with as many jobs at once as run now. None if nothing is measured yet.

        A training job is assumed to continue at its speed so far. Any other job is assumed to take as long as the
        finished jobs of its rule. If there are none of its rule, it is assumed to take as long as the shortest job so
        far, because training comes early and what follows is short.
        """
        shortest = min((seconds for took in self.took.values() for seconds in took), default=None)
        means = {rule: fmean(took) for rule, took in self.took.items()}
        seconds = 0.0
        for job in self.running.values():
            elapsed, share = now - job.since, job.share_done()
            if share:
                means.setdefault(job.rule, elapsed / share)
                seconds += elapsed * (1 - share) / share
            elif shortest is not None:
                seconds += max(0.0, means.get(job.rule, shortest) - elapsed)
        if not means:
            return None
        usual = min(means.values()) if shortest is None else shortest
        seconds += sum(max(0, count) * means.get(rule, usual) for rule, count in self.left.items())
        return seconds / max(1, len(self.running))

    def now_running(self, now: float) -> str:
        """Return what is running, how far it is, and how long the rest takes."""
        jobs = sorted(self.running.values(), key=lambda job: job.since)
        names = [job.name + (f" {share:.0%}" if (share := job.share_done()) else "") for job in jobs[:SHOWN]]
        if len(jobs) > SHOWN:
            names.append(f"{len(jobs) - SHOWN} more")
        left = self.seconds_left(now)
        return "; ".join(names) + (f" (about {duration(left)} left)" if left is not None else "")


class Narrator(logging.Handler):
    """Replaces Snakemake's handler for lines on a terminal or in a pipe, which still formats all other messages."""

    def __init__(self, before: logging.StreamHandler[Any]) -> None:
        """Take Snakemake's handler."""
        super().__init__()
        self.before = before
        self.stream = before.stream
        self.progress = Progress()
        self._lines = Lock()
        self._last_line = time()
        self._bar: tqdm[Any] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Print what one of Snakemake's log records says."""
        try:
            event = getattr(getattr(record, "event", None), "value", None)
            if event == "job_info":  # even if Snakemake is told to be quiet about rules, as `make` tells it
                self._start(record)
            elif event not in UNTOLD and self.before.filter(record) and (line := self._line(record, event)):
                self._say(line)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
        super().close()

    def _line(self, record: logging.LogRecord, event: str | None) -> str | None:
        if event == "run_info":
            self._plan(record)
            return f"{self.progress.total} jobs to run"
        if event == "job_finished":
            return self._finish(record)
        text = self.before.format(record)
        if text in ("", "None") or (event is None and text.startswith(NOISE)):
            return None
        decorate = getattr(self.before, "decorate", lambda _, text: text)
        return str(decorate(record, text))

    def _plan(self, record: logging.LogRecord) -> None:
        counts = {rule: count for rule, count in vars(record)["stats"].items() if rule != "total"}
        with self._lines:
            if not self.progress.total and counts:
                self.progress.plan(counts)
                Thread(target=self._follow, name="narrator", daemon=True).start()

    def _start(self, record: logging.LogRecord) -> None:
        job, now = vars(record), time()
        name = job_name(job["rule_name"], job["wildcards"] or {})
        log = Path(str(job["log"][0])) if job["log"] else None
        with self._lines:
            self.progress.start(job["jobid"], Running(job["rule_name"], name, log, now))

    def _finish(self, record: logging.LogRecord) -> str | None:
        with self._lines:
            line = self.progress.finish(vars(record)["job_id"], time())
            if self._bar is not None:
                self._bar.n = self.progress.done
        return line

    def _say(self, line: str) -> None:
        tqdm.write(line, file=self.stream)
        self.stream.flush()
        self._last_line = time()

    def _follow(self) -> None:
        """Show what is running: on a terminal in a bar, otherwise in a line after each long silence."""
        if self.stream.isatty():
            form = "{n_fmt}/{total_fmt} |{bar:10}| {desc}"
            self._bar = tqdm(
                total=self.progress.total, file=self.stream, leave=False, bar_format=form, dynamic_ncols=True
            )
        while self.progress.done < self.progress.total:
            sleep(REFRESH)
            with self._lines:
                text = self.progress.now_running(time())
            if self._bar is not None:
                self._bar.set_description_str(text)
            elif text and time() - self._last_line > SILENCE:
                self._say(f"running: {text}")
        if self._bar is not None:
            self._bar.close()
