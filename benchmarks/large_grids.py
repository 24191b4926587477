"""Cost of large grids: measure how long reading and planning take, and simulate how long running would take.

The simulated cluster starts every submitted job as soon as it has a free slot. Some jobs fail.
"""

import heapq
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np

from benchmarks.workflow import REPOSITORY

SHORT: dict[str, Any] = {
    "activation": "tanh",
    "learning_rate": 0.01,
    "init_std": 0.1,
    "steps": 1501,
    "evaluation_interval": 300,
}
SEEDS = 10
ARMS = 2
NAMED = (100, 1000, 10_000)  # conditions
CELLS = (100, 1000, 10_000)  # of a study
MILLION = 50_000  # cells, of 10 seeds and 2 arms
RUNS_PER_JOB = (300, 100, 30, 10)
BATCHES = (1, 10, 100)
MAX_JOBS = 50_000  # planned at once
FILES_OF_A_JOB = 4  # record, log, benchmark, and Snakemake's metadata of the record


class Cluster(NamedTuple):
    """What is assumed of a cluster and of its users."""

    slots: int = 1000  # jobs that run at the same time, each on one core
    submission: float = 0.1  # seconds that a scheduler takes to submit a job and to notice its end
    overhead: float = 5.0  # seconds before a job trains, for the cluster and the start of Python processes
    failures: float = 0.01  # share of jobs that fail at a random moment and are submitted again
    schedulers: int = 1  # that work at the same time, each on its share of the batches and slots


class Cost(NamedTuple):
    """The cost of a command."""

    seconds: float  # of processor time, which is also the time on an otherwise idle machine
    megabytes: float  # peak memory
    jobs: int  # planned


def snakemake(configuration: Mapping[str, Any], *options: str) -> Cost:
    """Read the workflow in an empty folder and plan what the options ask for. Nothing is run."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.yaml").write_text(json.dumps(configuration))  # JSON is YAML, and quicker to read
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(REPOSITORY / "Snakefile"),
            "--directory",
            folder,
        ]
        command += ["--workflow-profile", str(REPOSITORY / "profiles/default"), "--cores", "1"]
        with subprocess.Popen(
            [*command, "--quiet", "host", "rules", "reason", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout
            said = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(said)
        planned = re.search(r"^total +(\d+)$", said, re.MULTILINE)
        return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, int(planned[1]) if planned else 0)


def named(conditions: int) -> dict[str, Any]:
    """Return a configuration with this many named conditions."""
    grid = {f"c{number}": {**SHORT, "init_std": 0.1 + number / 1e6} for number in range(conditions)}
    return {"dataset": "digits", "seeds": SEEDS, "conditions": grid}


def study(cells: int, runs_per_job: int) -> dict[str, Any]:
    """Return a configuration with a study of this many cells, in a map that is as square as possible."""
    rates = next(side for side in range(math.isqrt(cells), 0, -1) if cells % side == 0)
    sweep = {
        "learning_rate": [1e-3 * 1.02**number for number in range(rates)],
        "init_std": [1e-2 * 1.02**number for number in range(cells // rates)],
    }
    big = {"about": "Which of many?", "condition": SHORT, "sweep": sweep}
    return {**named(1), "studies": {"big": big}, "runs_per_job": runs_per_job}


def plans() -> list[dict[str, Any]]:
    """Measure reading and planning of a million runs (whole and in batches), smaller studies and named conditions."""
    grids = [("study", MILLION, runs, batches) for runs in RUNS_PER_JOB for batches in BATCHES]
    grids += [("study", cells, runs, 1) for cells in CELLS for runs in (30, 300)]
    grids += [("named", conditions, SEEDS, 1) for conditions in NAMED]
    return [plan(*grid) for grid in grids if ARMS * SEEDS * grid[1] <= MAX_JOBS * grid[2] * grid[3]]


def plan(what: str, conditions: int, runs_per_job: int, batches: int) -> dict[str, Any]:
    """Measure reading a grid and planning its first batch."""
    is_study = what == "study"
    configuration = study(conditions, runs_per_job) if is_study else named(conditions)
    batch = ["--batch", f"study_tables=1/{batches}"] if batches > 1 else []
    read = snakemake(configuration, "--list-rules")
    planned = snakemake(configuration, "--dry-run", "study_big" if is_study else "all", *batch)
    row = {"what": what, "conditions": conditions, "runs_per_job": runs_per_job, "batches": batches}
    row |= {"jobs": planned.jobs, "read": read.seconds, "plan": planned.seconds, "megabytes": planned.megabytes}
    print(row, file=sys.stderr)
    return row


def seconds_of_a_run(packed: Path, steps: int = 600) -> float:
    """Return the seconds of a run of the study on one thread, as the mean of both arms."""
    from benchmarks.default_grid import ARMS
    from benchmarks.training import tutorial
    from bnpipe.core.settings import Runs
    from bnpipe.data.packed import open_dataset
    from bnpipe.training.engines import engine_on_cpu
    from bnpipe.training.trainer import network_arithmetic

    data, total = open_dataset(packed), 0.0
    evaluations = len(range(0, SHORT["steps"], SHORT["evaluation_interval"]))
    with network_arithmetic():
        for arm in ARMS:
            settings = tutorial(arm)
            stack = engine_on_cpu(settings).start(Runs.of_seeds(settings, [0]), data.train)
            stack.advance(1)
            stack.evaluate(data.validation)
            start = process_time()
            stack.advance(steps)
            trained = process_time()
            stack.evaluate(data.validation)
            total += (trained - start) / steps * SHORT["steps"] + (process_time() - trained) * evaluations
    return total / len(ARMS)


def simulate(
    jobs: int, work: float, planning: float, batches: int, cluster: Cluster, seed: int = 0
) -> dict[str, float]:
    """Simulate jobs on a cluster. work: seconds of each job. planning: seconds before the first job of a batch.

    Returns the hours from start to end (of the slowest scheduler), the core hours of all jobs, the share of these that
    is not useful work, and the hours in which a scheduler is busy.
    """
    generator = np.random.default_rng(seed)
    slots, own_batches = cluster.slots // cluster.schedulers, -(-batches // cluster.schedulers)
    clock = busy = scheduler = 0.0
    for _ in range(own_batches):
        waiting, ends = -(-jobs // batches), list[tuple[float, bool]]()
        clock, scheduler = clock + planning, scheduler + planning
        while waiting or ends:
            if waiting and len(ends) < slots:
                clock, scheduler, waiting = clock + cluster.submission, scheduler + cluster.submission, waiting - 1
                fails = bool(generator.random() < cluster.failures)
                seconds = cluster.overhead + work * (generator.random() if fails else 1)
                heapq.heappush(ends, (clock + seconds, fails))
                busy += seconds
            else:
                end, failed = heapq.heappop(ends)
                clock, waiting = max(clock, end), waiting + failed
    useful = own_batches * -(-jobs // batches) * work
    of_all = cluster.schedulers / 3600
    return {
        "hours": clock / 3600,
        "core_hours": busy * of_all,
        "lost": 1 - useful / busy,
        "scheduler": scheduler / 3600,
    }


def million(rows: list[dict[str, Any]], run: float) -> list[dict[str, Any]]:
    """Simulate a million runs with several numbers of runs per job, batches and schedulers. rows: those of `plans`."""
    measured = {(row["runs_per_job"], row["batches"]): row for row in rows if row["conditions"] == MILLION}
    runs, simulated = MILLION * SEEDS * ARMS, []
    for size in RUNS_PER_JOB:
        for batches, schedulers in ((1, 1), (10, 1), (10, 10), (100, 10)):
            found = measured.get((size, batches))
            if found is None:
                continue
            jobs, cluster = -(-runs // size), Cluster(schedulers=schedulers)
            took = simulate(jobs, size * run, found["plan"], batches, cluster)
            row = {"runs_per_job": size, "jobs": jobs, "batches": batches, "schedulers": schedulers, **took}
            simulated.append({**row, "megabytes": found["megabytes"], "files": jobs * FILES_OF_A_JOB})
    return simulated


def table(result: Mapping[str, Any]) -> str:
    """Return the result as Markdown tables."""
    return "\n\n".join(
        [
            _table(result["plans"], ["jobs", "read", "plan", "megabytes"]),
            f"A run takes {result['seconds_of_a_run']:.2f} s. A million of them, on {Cluster().slots} slots:",
            _table(result["million"], ["hours", "core_hours", "lost", "scheduler", "megabytes", "files"]),
        ]
    )


FORMATS = {"read": ".1f", "plan": ".1f", "megabytes": ".0f", "hours": ".1f", "core_hours": ".0f", "lost": ".1%"}


def _table(rows: list[dict[str, Any]], measured: list[str]) -> str:
    """Return rows as a Markdown table. Chosen values come before measured ones; times of planning are in seconds."""
    columns = [name for name in rows[0] if name not in measured] + measured
    lines = [" | ".join(name.replace("_", " ") for name in columns), " | ".join(["---:"] * len(columns))]
    lines += [" | ".join(_cell(row[name], FORMATS.get(name, "")) for name in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _cell(value: Any, form: str) -> str:
    return value if isinstance(value, str) else format(value, form or (",.1f" if isinstance(value, float) else ","))


def main(packed: Path, results: Path) -> None:
    """Measure, simulate, print the tables, write the JSON."""
    rows, run = plans(), seconds_of_a_run(packed)
    result = {"plans": rows, "seconds_of_a_run": run, "cluster": Cluster()._asdict(), "million": million(rows, run)}
    results.mkdir(parents=True, exist_ok=True)
    (results / "large_grids.json").write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "results")
