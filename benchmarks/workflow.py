"""Measure where the time of the default grid goes, and how it grows with seeds and conditions."""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import yaml

from bnpipe.core.yaml_files import read_yaml

REPOSITORY = Path(__file__).parents[1]
CONFIGURATION: dict[str, Any] = read_yaml(REPOSITORY / "config.yaml")
SEEDS = (1, 10, 100)
CONDITIONS = (10, 100, 1000, 10_000)
SHORT = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 300}


class Job(NamedTuple):
    """A job that the workflow ran, in seconds since the epoch."""

    rule: str
    start: float
    end: float


class Run(NamedTuple):
    """The cost of a run of the workflow."""

    seconds: float
    jobs: list[Job]
    planned: int  # jobs in Snakemake's plan


def run(cores: int, changes: Mapping[str, Any], *options: str) -> Run:
    """Run the workflow in an empty folder with a changed configuration."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.yaml").write_text(yaml.safe_dump({**CONFIGURATION, **changes}, sort_keys=False))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        command += ["--workflow-profile", str(REPOSITORY / "profiles/default"), "--directory", folder]
        command += ["--cores", str(cores), "--quiet", "host", "rules", "reason", *options]
        start = perf_counter()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seconds = perf_counter() - start
        planned = re.findall(r"^total +(\d+)$", done.stdout, re.MULTILINE)
        return Run(seconds, jobs_of(Path(folder)), int(planned[0]))


def jobs_of(folder: Path) -> list[Job]:
    """Return which jobs ran when, from Snakemake's metadata, which has a file for every output."""
    jobs: dict[str, Job] = {}
    for path in (folder / ".snakemake/metadata").rglob("*"):
        if path.is_file():
            output = json.loads(path.read_text())
            log, found = output["log"][0], Job(output["rule"], output["starttime"], output["endtime"])
            known = jobs.get(log, found)
            jobs[log] = Job(found.rule, min(known.start, found.start), max(known.end, found.end))
    return sorted(jobs.values(), key=lambda job: job.start)


def shares_of_a_training_job(packed: Path, repeats: int = 5) -> dict[str, float]:
    """Return the share of each part of a training job, measured with one network of each arm of the default grid."""
    import numpy as np

    from benchmarks.default_grid import ARMS, settings_of
    from bnpipe.core.settings import Runs
    from bnpipe.data.packed import open_dataset
    from bnpipe.training.engines import engine_on_cpu
    from bnpipe.training.trainer import network_arithmetic

    data, parts = open_dataset(packed), defaultdict[str, list[float]](list)
    with network_arithmetic():
        for arm in ARMS:
            settings = settings_of("tanh", arm)
            stack = engine_on_cpu(settings).start(Runs.of_seeds(settings, [42]), data.train)
            work: dict[str, Callable[[], object]] = {
                "training": partial(stack.advance, settings.evaluation_interval),
                "evaluation": partial(stack.evaluate, data.validation),
                "diagnostics": partial(stack.diagnose, data.train, data.validation),
            }
            for part in work.values():
                part()  # warms up, compiles
            for _ in range(repeats):
                for name, part in work.items():
                    parts[name].append(seconds_of(part))
    medians = {part: float(np.median(seconds)) for part, seconds in parts.items()}
    return {part: median / sum(medians.values()) for part, median in medians.items()}


def seconds_of(work: Callable[[], object]) -> float:
    """Time one call."""
    start = perf_counter()
    work()
    return perf_counter() - start


def split_of(grid: Run, cores: int, shares: Mapping[str, float]) -> dict[str, float]:
    """Split the wall time of a run, in seconds.

    A job counts with its share of the cores. Start-up is the time outside jobs.
    """
    seconds: dict[str, float] = defaultdict(float)
    for job in grid.jobs:
        seconds[job.rule] += (job.end - job.start) / cores
    working = max(job.end for job in grid.jobs) - grid.jobs[0].start
    waiting = working - sum(seconds.values())
    trained = seconds.pop("train") + seconds.pop("train_study", 0)
    figures = sum(seconds.pop(rule) for rule in list(seconds) if rule.endswith(("figure", "figures")))
    tables = sum(seconds.pop(rule) for rule in ("tables", "study_tables", "claims") if rule in seconds)
    return {
        "start-up and end of Snakemake": grid.seconds - working,
        **{part: trained * share for part, share in shares.items()},
        "tables and claims": tables,
        "figures": figures,
        **seconds,
        "cores that wait": waiting,
    }


def measure(packed: Path, dataset: str, cores: int) -> dict[str, Any]:
    """Measure everything and return it, times in seconds."""
    data = {"dataset": dataset, "mirrors": [str(packed.parent.resolve())]}
    shares = shares_of_a_training_job(packed)
    result: dict[str, Any] = {"cores": cores, "split": split_of(run(cores, data), cores, shares)}
    for seeds in SEEDS:
        done = run(cores, {**data, "seeds": seeds, "conditions": {"short": SHORT}})
        result.setdefault("seeds", []).append({"seeds": seeds, "seconds": done.seconds})
    tiny = {f"c{number}": {**SHORT, "steps": 1} for number in range(10)}
    done = run(1, {**data, "seeds": 1, "conditions": tiny})
    idle = done.jobs[-1].end - done.jobs[0].start - sum(job.end - job.start for job in done.jobs)
    result["seconds_between_jobs"] = idle / len(done.jobs)
    for conditions in CONDITIONS:
        grid = {f"c{number}": {**SHORT, "init_std": 0.1 + number / 1e6} for number in range(conditions)}
        dry = run(cores, {**data, "conditions": grid}, "--dry-run")
        row = {"conditions": conditions, "jobs": dry.planned, "seconds": dry.seconds}
        result.setdefault("dry_run", []).append(row)
    return result


def table(result: Mapping[str, Any]) -> str:
    """Return the result as Markdown tables."""
    total = sum(result["split"].values())
    lines = [
        f"Default grid, {result['cores']} cores: {total:.0f} s",
        "",
        "| part | seconds | share |",
        "|---|---:|---:|",
    ]
    lines += [f"| {part} | {seconds:.1f} | {seconds / total:.1%} |" for part, seconds in result["split"].items()]
    lines += ["", "| seeds (1 condition, 300 steps) | seconds | seconds a run |", "|---:|---:|---:|"]
    for row in result["seeds"]:
        lines.append(f"| {row['seeds']} | {row['seconds']:.1f} | {row['seconds'] / (2 * row['seeds']):.2f} |")
    lines += ["", "| conditions | jobs | dry run | a job |", "|---:|---:|---:|---:|"]
    for row in result["dry_run"]:
        each = row["seconds"] / row["jobs"]
        lines.append(f"| {row['conditions']} | {row['jobs']} | {row['seconds']:.1f} s | {each * 1e3:.1f} ms |")
    lines += ["", f"Between two jobs on one core: {result['seconds_between_jobs'] * 1e3:.0f} ms"]
    return "\n".join(lines)


def main(packed: Path, dataset: str, cores: int, results: Path) -> None:
    """Measure, print the tables, write the JSON."""
    result = measure(packed, dataset, cores)
    results.mkdir(parents=True, exist_ok=True)
    (results / "workflow.json").write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(__file__).parent / "results")
