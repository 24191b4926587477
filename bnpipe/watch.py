"""Watch a running grid: `python -m bnpipe.watch` shows how far its training jobs are, on this machine or a cluster."""

import argparse
import heapq
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean

from bnpipe.core.errors import InputError
from bnpipe.data.sources import resolve
from bnpipe.grid.config import parse_configuration
from bnpipe.grid.given import read_given
from bnpipe.grid.narrator import duration
from bnpipe.grid.state import Job, JobStatus, State, planned_jobs, poll

REFRESH = 3.0  # seconds between two polls
TROUBLES_SHOWN = 5
STATES: tuple[State, ...] = ("done", "running", "waiting", "failed", "silent")
HEADER = ("condition", "arm", "jobs", *STATES, "steps", "accuracy", "steps/s")
_CLEAR = "\x1b[H\x1b[J"  # the terminal: cursor to the upper left corner, erase what follows

Statuses = Mapping[Job, JobStatus]


def steps_taken(job: Job, status: JobStatus) -> int:
    """Return how many steps of a job are done and need not be repeated; 0 if the job ended early."""
    if status.state == "running" and status.latest:
        return status.latest.step + 1
    return job.steps if status.state == "done" else 0


def seconds_left(statuses: Statuses) -> float | None:
    """Estimate how many seconds the running, waiting and silent jobs still take.

    The estimate assumes that as many jobs run at once as now (at least one), the longest first. Failed jobs are left
    out, because a person must look at them first. Returns None if work is left and nothing has been measured yet.
    """
    costs = _costs(statuses)
    left: dict[str, list[float]] = {"running": [], "waiting": [], "silent": []}
    for job, status in statuses.items():
        if status.state in left:
            seconds = _seconds_of(job, status, costs)
            if seconds is None:
                return None
            left[status.state].append(seconds)
    places = left["running"] or [0.0]  # seconds until each is free
    heapq.heapify(places)
    for seconds in sorted(left["waiting"] + left["silent"], reverse=True):
        heapq.heapreplace(places, places[0] + seconds)
    return max(places)


def _costs(statuses: Statuses) -> dict[tuple[str, ...], float]:
    """Return the mean seconds per step of one run, over the measured jobs that share each likeness."""
    measured: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    for job, status in statuses.items():
        if status.rate:
            for likeness in _likenesses(job):
                measured[likeness].append(1 / (status.rate * job.runs))
    return {likeness: fmean(costs) for likeness, costs in measured.items()}


def _likenesses(job: Job) -> tuple[tuple[str, ...], ...]:
    """Return what a job has in common with others, closest first: condition and arm, arm, nothing."""
    return (job.group, job.arm), (job.arm,), ()


def _seconds_of(job: Job, status: JobStatus, costs: Mapping[tuple[str, ...], float]) -> float | None:
    """Return how many seconds a job still takes, at its own rate or else at the rate of the jobs most like it.

    None if none of these rates is known.
    """
    steps = job.steps - steps_taken(job, status)
    if status.state == "running" and status.rate:
        return steps / status.rate
    cost = next((costs[likeness] for likeness in _likenesses(job) if likeness in costs), None)
    return None if cost is None else steps * job.runs * cost


def _rows(statuses: Statuses) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the lines of the table: the cells of a condition and arm, and whether any of its jobs needs to be seen.

    A job needs to be seen if it runs, failed or fell silent.
    """
    groups: defaultdict[tuple[str, str], dict[Job, JobStatus]] = defaultdict(dict)
    for job, status in statuses.items():
        groups[job.group, job.arm][job] = status
    for name, members in groups.items():
        yield (*name, *_cells(members)), any(status.state not in ("done", "waiting") for status in members.values())


def _cells(statuses: Statuses) -> tuple[str, ...]:
    """Return the cells of a line of the table that follow condition and arm."""
    states = Counter(status.state for status in statuses.values())
    counts = [str(states[state] or "") for state in STATES]
    steps = sum(job.steps * job.runs for job in statuses)
    taken = sum(steps_taken(job, status) * job.runs for job, status in statuses.items())
    rate = sum(status.rate for status in statuses.values() if status.state == "running" and status.rate)
    rate_text = f"{rate:.0f}" if rate else ""
    return str(len(statuses)), *counts, f"{100 * taken // steps}%", _accuracy(statuses.values()), rate_text


def _accuracy(statuses: Iterable[JobStatus]) -> str:
    """Return the range of the latest accuracies."""
    latest = [status.latest for status in statuses if status.latest]
    if not latest:
        return ""
    return f"{min(each.lowest for each in latest):.3f} to {max(each.highest for each in latest):.3f}"


def render(statuses: Statuses, now: float, height: int | None = None) -> str:
    """Return the text to show: the table, its total, the time left, and what needs attention.

    now: seconds since the epoch. height: lines of the terminal, or None if there is no limit. If the table does not
    fit, only lines with a job that runs, failed or fell silent are shown.
    """
    rows = list(_rows(statuses))
    below = [_forecast(statuses), *_troubles(statuses, now)]
    shown = [row for row, _ in rows]
    if height is not None and len(rows) + len(below) + 3 > height:  # the header, the total, and the cursor's line
        shown = [row for row, to_see in rows if to_see][: max(0, height - len(below) - 4)]
        below.insert(0, f"({len(rows) - len(shown)} lines are left out)")
    *counts, _, rate = _cells(statuses)
    return "\n".join([*_aligned([HEADER, *shown, ("total", "", *counts, "", rate)]), *below])


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Pad cells to the width of their columns: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<", "<", *[">"] * (len(HEADER) - 2)]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def _forecast(statuses: Statuses) -> str:
    states = Counter(status.state for status in statuses.values())
    if not states["running"] + states["waiting"] + states["silent"]:
        return "No training is left" + (", except for what failed." if states["failed"] else ".")
    seconds = seconds_left(statuses)
    if seconds is None:
        return "Time left: not known before the first evaluations."
    if not states["running"]:
        return f"Nothing is running; {duration(seconds)} of training is left, one job at a time."
    jobs = "1 job" if states["running"] == 1 else f"{states['running']} jobs"
    return f"Time left: about {duration(seconds)} of training with {jobs} at once."


def _troubles(statuses: Statuses, now: float) -> list[str]:
    """Return a line for each of the first jobs that failed or fell silent, and how many more there are."""
    lines = [f"failed: {job.log}: {status.error}" for job, status in statuses.items() if status.state == "failed"]
    lines += [
        f"silent for {duration(now - status.since)}, perhaps killed: {job.log}"
        for job, status in statuses.items()
        if status.state == "silent"
    ]
    more = len(lines) - TROUBLES_SHOWN
    return lines[:TROUBLES_SHOWN] + ([f"(and {more} more)"] if more > 0 else [])


def watch(jobs: Sequence[Job], follow: bool) -> None:
    """Print how far the jobs are: once, or with `follow` again and again until all are done."""
    on_terminal = sys.stdout.isatty()
    statuses: dict[Job, JobStatus] = {}
    while True:
        statuses = poll(jobs, before=statuses)
        text = render(statuses, time.time(), shutil.get_terminal_size().lines if on_terminal else None)
        print((_CLEAR if follow and on_terminal else "") + text, flush=True)
        if not follow or all(status.state == "done" for status in statuses.values()):
            return
        time.sleep(REFRESH)


def main() -> None:
    """Read the configuration from the same options as Snakemake, and watch."""
    parser = argparse.ArgumentParser(prog="python -m bnpipe.watch", description=__doc__)
    parser.add_argument("--follow", action="store_true", help="show it again every few seconds until all is done")
    add = parser.add_argument_group("configuration, as Snakemake takes it").add_argument
    add("--configfile", "--configfiles", metavar="FILE", type=Path, nargs="+", default=[], help="files that add to it")
    add("--config", "-C", metavar="KEY=VALUE", nargs="*", default=[], help="values that replace the files'")
    add("--replace-workflow-config", action="store_true", help="leave config.yaml out")
    options = parser.parse_args()
    try:
        given = read_given(options.configfile, options.config, options.replace_workflow_config)
        configuration = parse_configuration(given.values, given.files)
        with given.place_of("dataset"):
            source = resolve(configuration.dataset)
        watch(list(planned_jobs(configuration, source.name)), options.follow)
    except InputError as error:
        sys.exit(error.for_terminal())


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends this command, as it ends others
    with suppress(KeyboardInterrupt):
        main()
