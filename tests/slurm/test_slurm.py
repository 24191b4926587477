"""The workflow on a real Slurm cluster of two nodes, which `make test-slurm` installs and starts."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.slurm.cluster import COMMAND_LIMIT, Cluster, Unavailable, cluster, run, wait_until
from tests.workplace import REPOSITORY, Workplace

if not os.environ.get("BNPIPE_TEST_SLURM"):
    pytest.skip("`make test-slurm` asks for a Slurm cluster", allow_module_level=True)

PROFILE = "profiles/slurm-squeue"
TABLES = "results/digits/tables/accuracy.csv"
TABLES_OF_EXPERIMENTS = [
    f"results/digits/tables/{name}.csv" for name in ("claims", "histograms", "initialization", "inference", "mechanics")
]
RUN_LIMIT = 600  # seconds, as all limits here; a quiet machine takes a third
TRAINING_LIMIT = 300
CONFIGURATION: dict[str, object] = {
    "conditions": {
        "relu": {"activation": "relu", "learning_rate": 0.01, "init_std": 0.1, "steps": 501},
        "tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 15001},
    },
    "studies": {},
    "hidden_sizes": [20, 20, 20],
    "evaluation_interval": 500,
    "chunk_size": 3,
}
FAILS_ONCE = """import os

if os.path.exists("fails-once"):
    os.remove("fails-once")
    raise SystemExit(1)
"""


@dataclass(frozen=True)
class Job:
    """A job as squeue lists it: its number, what it is for, state, node, memory, first and last second."""

    number: str
    purpose: str
    state: str
    node: str
    memory: str
    start: str
    end: str


def all_jobs(folder: Path) -> list[Job]:
    """Return the jobs that were submitted from a folder, finished ones too, by number."""
    lines = run("squeue", "--states=all", "--sort=i", "--noheader", "--format=%Z|%i|%k|%T|%N|%m|%S|%e").splitlines()
    fields = [line.split("|") for line in lines]
    return [Job(*of_job) for place, *of_job in fields if place == str(folder)]


def long_training(folder: Path) -> list[Job]:
    """Return the jobs that train networks of the long condition at the moment."""
    if not list((folder / "logs/digits/train/tanh").glob("*/*.log")):
        return []
    return [job for job in training(folder) if "tanh" in job.purpose and job.state == "RUNNING"]


def training(folder: Path) -> list[Job]:
    return [job for job in all_jobs(folder) if "train_wildcards" in job.purpose]


def gpus_of(job: Job) -> list[str]:
    return [word for word in run("scontrol", "show", "job", job.number).split() if word.startswith("TresPer")]


def never_two_at_once(jobs: list[Job]) -> bool:
    """Return whether each job for a purpose ended before the next for the same one began."""
    in_order = sorted(jobs, key=lambda job: (job.purpose, int(job.number)))
    return all(a.purpose != b.purpose or a.end <= b.start for a, b in pairwise(in_order))


def copy_of_the_project(folder: Path) -> Workplace:
    workplace = Workplace(folder)
    workplace.configure(**CONFIGURATION)
    return workplace


@contextmanager
def running(workplace: Workplace, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the workflow on the cluster; in the end it is killed if it still runs, and so are its jobs."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", PROFILE, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(workplace.folder)}
    with (workplace.folder / "snakemake.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=workplace.folder, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def finish(workplace: Workplace, process: "subprocess.Popen[bytes]") -> None:
    assert process.wait(RUN_LIMIT) == 0, (workplace.folder / "snakemake.log").read_text(encoding="utf-8")[-5000:]


def cancelling_in_readme() -> str:
    """Return the command of README.md that cancels jobs whose main process is gone."""
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    return next(line.strip() for line in lines if line.strip().startswith("scancel "))


def tables(workplace: Workplace) -> dict[str, bytes]:
    return {name: content for name, content in workplace.contents().items() if name.startswith("tables/")}


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    try:
        with cluster() as started:
            yield started
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the tables of a local run."""
    workplace = copy_of_the_project(tmp_path_factory.mktemp("local"))
    workplace.run(TABLES, *TABLES_OF_EXPERIMENTS)
    return tables(workplace)


@pytest.fixture
def workplace(tmp_path: Path, slurm: Cluster) -> Iterator[Workplace]:  # noqa: ARG001 - it runs on the cluster
    """Return a workplace whose jobs are cancelled in the end."""
    yield copy_of_the_project(tmp_path)
    for job in all_jobs(tmp_path):
        if job.state in ("PENDING", "RUNNING"):
            run("scancel", job.number)


def test_a_small_grid_runs_on_both_nodes_and_gives_the_bytes_of_a_local_run(
    workplace: Workplace, undisturbed: dict[str, bytes]
) -> None:
    start = time.monotonic()
    with running(workplace) as process:
        finish(workplace, process)
    print(f"small grid: {time.monotonic() - start:.0f} s")
    jobs = all_jobs(workplace.folder)
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert {job.node for job in jobs} == {"bnpipe1", "bnpipe2"}
    assert len(training(workplace.folder)) == 2 * 2  # conditions, arms
    assert tables(workplace) == undisturbed


def test_a_job_that_fails_is_tried_again_with_more_memory(workplace: Workplace, undisturbed: dict[str, bytes]) -> None:
    script = workplace.folder / "workflow/scripts/tables.py"
    script.write_text(FAILS_ONCE + script.read_text(encoding="utf-8"), encoding="utf-8")
    (workplace.folder / "fails-once").touch()
    with running(workplace, TABLES) as process:
        finish(workplace, process)
    tried = [job for job in all_jobs(workplace.folder) if job.purpose == "rule_tables"]
    assert [(job.state, job.memory) for job in tried] == [("FAILED", "2000M"), ("COMPLETED", "4000M")]
    assert tables(workplace).items() <= undisturbed.items()


def test_a_job_that_is_cancelled_is_submitted_again(workplace: Workplace, undisturbed: dict[str, bytes]) -> None:
    with running(workplace, TABLES) as process:
        wait_until(lambda: len(long_training(workplace.folder)) > 0, TRAINING_LIMIT, "a job to train")
        cancelled = long_training(workplace.folder)[0]
        run("scancel", cancelled.number)
        finish(workplace, process)
    tried = [job for job in all_jobs(workplace.folder) if job.purpose == cancelled.purpose]
    assert [job.state for job in tried] == ["CANCELLED", "COMPLETED"]
    assert never_two_at_once(tried)
    assert tables(workplace).items() <= undisturbed.items()


def test_a_node_that_is_lost_in_training_costs_its_jobs_and_no_more(
    workplace: Workplace, slurm: Cluster, undisturbed: dict[str, bytes]
) -> None:
    with running(workplace, TABLES) as process:
        wait_until(lambda: len(long_training(workplace.folder)) > 0, TRAINING_LIMIT, "a job to train")
        lost = long_training(workplace.folder)[0]
        slurm.kill_node(lost.node)
        try:
            finish(workplace, process)
            jobs = {job.number: job for job in all_jobs(workplace.folder)}
        finally:
            slurm.start_node(lost.node)
    assert jobs[lost.number].node != lost.node  # requeued, and completed on the other
    assert {job.state for job in jobs.values()} == {"COMPLETED"}
    assert tables(workplace).items() <= undisturbed.items()


def test_killed_and_started_again_while_its_jobs_run_as_readme_says_no_job_is_there_twice(
    workplace: Workplace, undisturbed: dict[str, bytes]
) -> None:
    with running(workplace, TABLES) as process:
        wait_until(lambda: len(long_training(workplace.folder)) > 0, TRAINING_LIMIT, "a job to train")
        process.kill()
    assert long_training(workplace.folder)  # it outlives the main process
    subprocess.run(["bash", "-euc", cancelling_in_readme()], cwd=workplace.folder, timeout=COMMAND_LIMIT, check=True)
    with running(workplace, "--unlock") as process:
        finish(workplace, process)
    with running(workplace, TABLES) as process:
        finish(workplace, process)
    assert never_two_at_once(all_jobs(workplace.folder))
    assert tables(workplace).items() <= undisturbed.items()


def test_only_training_on_a_gpu_is_granted_one(workplace: Workplace) -> None:
    workplace.configure(**CONFIGURATION, device="cuda")
    with running(workplace, TABLES):
        wait_until(lambda: len(training(workplace.folder)) > 0, TRAINING_LIMIT, "a training job to be submitted")
        granted = {job.purpose.split("_")[1]: gpus_of(job) for job in all_jobs(workplace.folder)}
    assert granted == {"data": [], "train": ["TresPerJob=gres:gpu:1"]}
