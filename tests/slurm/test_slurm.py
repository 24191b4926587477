"""The workflow on a real Slurm cluster of two nodes, which `make test-slurm` installs and starts."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.slurm.cluster import COMMAND_LIMIT, NODES, Cluster, Unavailable, cluster, run, wait_until
from tests.workplace import REPOSITORY, Workplace

if not os.environ.get("BNPIPE_TEST_SLURM"):
    pytest.skip("only `make test-slurm` starts a Slurm cluster", allow_module_level=True)

ACCOUNTING, SQUEUE = "profiles/slurm", "profiles/slurm-squeue"
TABLES = "results/digits/tables/accuracy.csv"
SHORT, LONG = (
    [f"results/digits/runs/{condition}/{arm}/seeds-2000-2002.safetensors" for arm in ("vanilla", "batchnorm")]
    for condition in ("relu", "tanh")
)
TABLES_OF_EXPERIMENTS = [
    f"results/digits/tables/{name}.csv" for name in ("claims", "histograms", "initialization", "inference", "mechanics")
]
RUN_LIMIT = 600
TRAINING_LIMIT = 300
CONFIGURATION: dict[str, object] = {
    "seeds": [2000, 2001, 2002],
    "conditions": {
        "relu": {"activation": "relu", "learning_rate": 0.01, "init_std": 0.1, "steps": 501},
        "tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 14_001},
    },
    "studies": {},
    "hidden_sizes": [20, 20, 20],
    "evaluation_interval": 1000,
    "chunk_size": 3,
}
FAILS_ONCE = """import os

if os.path.exists("fails-once"):
    os.remove("fails-once")
    raise SystemExit(1)
"""
NOTES_TRAININGS = """import time

import bnpipe.training.job


def noted(*arguments, train=bnpipe.training.job.train_runs):
    with open("trainings", "a", buffering=1) as notes:
        print("begin", snakemake.output.record, file=notes)
        time.sleep(10)  # for another job to come
        curves = train(*arguments)
        print("end", snakemake.output.record, file=notes)
    return curves


bnpipe.training.job.train_runs = noted
"""


@dataclass(frozen=True)
class Job:
    """A job as squeue lists it: number, purpose, state, node, memory, start and end."""

    number: str
    purpose: str
    state: str
    node: str
    memory: str
    start: str
    end: str


def all_jobs(folder: Path) -> list[Job]:
    """Return the jobs that were submitted from a folder, including finished ones, in order of their numbers."""
    lines = run("squeue", "--states=all", "--sort=i", "--noheader", "--format=%Z|%i|%k|%T|%N|%m|%S|%e").splitlines()
    fields = [line.split("|") for line in lines]
    return [Job(*of_job) for place, *of_job in fields if place == str(folder)]


def long_training(folder: Path) -> list[Job]:
    """Return the running jobs that train networks of the long condition."""
    if not list((folder / "logs/digits/train/tanh").glob("*/*.log")):
        return []
    return [job for job in training(folder) if "tanh" in job.purpose and job.state == "RUNNING"]


def training(folder: Path) -> list[Job]:
    return [job for job in all_jobs(folder) if "train_wildcards" in job.purpose]


def gpus_of(job: Job) -> list[str]:
    return [word for word in run("scontrol", "show", "job", job.number).split() if word.startswith("TresPer")]


def never_two_at_once(jobs: list[Job]) -> bool:
    """Return whether no two jobs with the same purpose ran at the same time."""
    in_order = sorted(jobs, key=lambda job: (job.purpose, int(job.number)))
    return all(a.purpose != b.purpose or a.end <= b.start for a, b in pairwise(in_order))


def copy_of_the_project(folder: Path) -> Workplace:
    workplace = Workplace.create(folder)
    workplace.configure(**CONFIGURATION)
    return workplace


def prepend(text: str, script: Path) -> None:
    script.write_text(text + script.read_text(encoding="utf-8"), encoding="utf-8")


def environment_of(workplace: Workplace) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(workplace.folder)}


@contextmanager
def running(workplace: Workplace, *arguments: str, profile: str = SQUEUE) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the workflow on the cluster. In the end, kill it if it still runs."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", profile, *arguments]
    with (workplace.folder / "snakemake.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=workplace.folder, env=environment_of(workplace), stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(COMMAND_LIMIT)


def said_by(workplace: Workplace) -> str:
    return (workplace.folder / "snakemake.log").read_text(encoding="utf-8")


def finish(workplace: Workplace, process: "subprocess.Popen[bytes]") -> None:
    assert process.wait(RUN_LIMIT) == 0, said_by(workplace)[-5000:]


def wait_for_training(workplace: Workplace) -> Job:
    """Wait until a job of the long condition trains, and return the job."""
    wait_until(lambda: len(long_training(workplace.folder)) > 0, TRAINING_LIMIT, "a job to train")
    return long_training(workplace.folder)[0]


def command_of_the_page(beginning: str) -> str:
    """Return the first command with this beginning in docs/clusters.md, in or after its section on clusters."""
    section = (REPOSITORY / "docs/clusters.md").read_text(encoding="utf-8").split("## Clusters")[1]
    return next(line.strip() for line in section.splitlines() if line.strip().startswith(beginning))


def follow_the_page(workplace: Workplace, beginning: str, limit: float = COMMAND_LIMIT) -> None:
    """Run a command of docs/clusters.md in a workplace, in which `make install` counts as done."""
    environment = workplace.folder / ".venv"
    if not environment.exists():
        environment.symlink_to(sys.prefix)
    command = ["bash", "-euc", command_of_the_page(beginning)]
    subprocess.run(command, cwd=workplace.folder, env=environment_of(workplace), timeout=limit, check=True)


def tables(workplace: Workplace) -> dict[str, bytes]:
    return {name: content for name, content in workplace.contents().items() if name.startswith("tables/")}


def records(workplace: Workplace, names: list[str]) -> list[bytes]:
    return [(workplace.folder / name).read_bytes() for name in names]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    try:
        with cluster() as started:
            yield started
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Return the workplace of a finished local run."""
    workplace = copy_of_the_project(tmp_path_factory.mktemp("local"))
    workplace.run(TABLES, *TABLES_OF_EXPERIMENTS)
    return workplace


@pytest.fixture
def workplace(tmp_path: Path, slurm: Cluster) -> Iterator[Workplace]:  # noqa: ARG001 - its jobs run on the cluster
    """Yield a workplace, and cancel its jobs in the end."""
    yield copy_of_the_project(tmp_path)
    for job in all_jobs(tmp_path):
        if job.state in ("PENDING", "RUNNING"):
            run("scancel", job.number)


@pytest.fixture
def prepared(workplace: Workplace, undisturbed: Workplace) -> Workplace:
    """Return a workplace with the data of the local run."""
    for part in ("resources", ".snakemake/metadata"):
        shutil.copytree(undisturbed.folder / part, workplace.folder / part)
    return workplace


def test_the_page_followed_runs_two_conditions_on_both_nodes_and_gives_the_bytes_of_a_local_run(
    workplace: Workplace, undisturbed: Workplace
) -> None:
    start = time.monotonic()
    follow_the_page(workplace, ".venv/bin/snakemake --workflow-profile profiles/slurm ", RUN_LIMIT)
    duration = time.monotonic() - start
    print(f"docs/clusters.md, followed: {duration:.0f} s")
    jobs = all_jobs(workplace.folder)
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert {job.node for job in jobs} == set(NODES)
    assert len(training(workplace.folder)) == 2 * 2  # conditions, arms
    assert tables(workplace) == tables(undisturbed)


def test_jobs_that_fail_or_are_cancelled_are_tried_again_with_more_memory(
    prepared: Workplace, undisturbed: Workplace
) -> None:
    prepend(FAILS_ONCE, prepared.folder / "workflow/scripts/call.py")
    (prepared.folder / "fails-once").touch()
    with running(prepared, TABLES) as process:
        cancelled = wait_for_training(prepared)
        run("scancel", cancelled.number)
        finish(prepared, process)
    for purpose, tried in (
        ("rule_tables", [("FAILED", "2000M"), ("COMPLETED", "4000M")]),
        (cancelled.purpose, [("CANCELLED", "1500M"), ("COMPLETED", "3000M")]),
    ):
        jobs = [job for job in all_jobs(prepared.folder) if job.purpose == purpose]
        assert [(job.state, job.memory) for job in jobs] == tried
        assert never_two_at_once(jobs)
    assert tables(prepared).items() <= tables(undisturbed).items()


def test_a_node_the_controller_and_the_accounting_are_lost_in_training_and_the_run_completes(
    prepared: Workplace, slurm: Cluster, undisturbed: Workplace
) -> None:
    with running(prepared, TABLES, profile=ACCOUNTING) as process:
        lost = wait_for_training(prepared)
        for name in (lost.node, "slurmctld", "slurmdbd"):
            slurm.kill(name)
        time.sleep(15)  # meanwhile all queries fail
        slurm.start_accounting()
        slurm.start_controller()
        try:
            finish(prepared, process)
            jobs = {job.number: job for job in all_jobs(prepared.folder)}
        finally:
            slurm.start_node(lost.node)
    assert jobs[lost.number].node != lost.node  # requeued, and completed on the other node
    assert {job.state for job in jobs.values()} == {"COMPLETED"}
    assert tables(prepared).items() <= tables(undisturbed).items()


def test_killed_and_started_again_as_the_page_says_no_job_is_there_twice(
    prepared: Workplace, undisturbed: Workplace
) -> None:
    with running(prepared, *LONG) as process:
        wait_for_training(prepared)
        process.kill()
    assert long_training(prepared.folder)  # the jobs outlive the main process
    follow_the_page(prepared, "scancel ")
    follow_the_page(prepared, ".venv/bin/snakemake --unlock")
    with running(prepared, *LONG) as process:
        finish(prepared, process)
    assert [job.state for job in all_jobs(prepared.folder)] == ["CANCELLED"] * 2 + ["COMPLETED"] * 2
    assert never_two_at_once(all_jobs(prepared.folder))
    assert records(prepared, LONG) == records(undisturbed, LONG)


def test_killed_and_started_again_while_its_jobs_run_no_record_has_two_writers(
    prepared: Workplace, undisturbed: Workplace
) -> None:
    prepend(NOTES_TRAININGS, prepared.folder / "workflow/scripts/train.py")
    with running(prepared, *LONG) as process:
        wait_for_training(prepared)
        process.kill()
    follow_the_page(prepared, ".venv/bin/snakemake --unlock")
    with running(prepared, *LONG) as process:
        finish(prepared, process)
    assert not never_two_at_once(all_jobs(prepared.folder))  # otherwise the test tried nothing
    notes = (prepared.folder / "trainings").read_text(encoding="utf-8").splitlines()
    for record in LONG:
        of_record = [line.split()[0] for line in notes if line.endswith(record)]
        assert of_record
        assert of_record == ["begin", "end"] * (len(of_record) // 2)
    assert records(prepared, LONG) == records(undisturbed, LONG)


def test_jobs_that_slurm_has_forgotten_are_not_waited_for_forever(
    prepared: Workplace, slurm: Cluster, undisturbed: Workplace
) -> None:
    waiting = prepared.folder / "bnpipe/grid/slurm.py"
    text = waiting.read_text(encoding="utf-8")
    limits = re.sub(r"(?m)^(LIMIT|PATIENCE|INTERVAL) = [^#]*", r"\1 = 3.0  ", text)
    waiting.write_text(limits, encoding="utf-8")
    with running(prepared, *LONG) as process:
        wait_for_training(prepared)
        slurm.kill("slurmctld")
        slurm.start_controller("-c")
        assert process.wait(RUN_LIMIT) != 0
    assert re.search(rf"Slurm has had no job of .* for \d+ s; waited for .*{re.escape(LONG[0])}", said_by(prepared))
    waiting.write_text(text, encoding="utf-8")
    follow_the_page(prepared, ".venv/bin/snakemake --unlock")
    with running(prepared, *LONG) as process:
        finish(prepared, process)
    assert records(prepared, LONG) == records(undisturbed, LONG)


def test_the_lines_on_groups_in_a_profile_train_several_stacks_in_one_job(
    prepared: Workplace, undisturbed: Workplace
) -> None:
    profile = prepared.folder / SQUEUE / "config.yaml"
    text = profile.read_text(encoding="utf-8")
    profile.write_text(re.sub(r"(?m)^# (?=groups:|group-components:|cores:)", "", text), encoding="utf-8")
    with running(prepared, "--", *SHORT) as process:
        finish(prepared, process)
    (job,) = all_jobs(prepared.folder)
    assert (job.state, job.memory) == ("COMPLETED", "1500M")  # one stack at a time
    assert records(prepared, SHORT) == records(undisturbed, SHORT)


def test_only_training_on_a_gpu_is_granted_one(prepared: Workplace) -> None:
    prepared.configure(**CONFIGURATION, device="cuda")
    with running(prepared, TABLES):
        wait_until(lambda: len(training(prepared.folder)) > 0, TRAINING_LIMIT, "a training job to be submitted")
        granted = {job.purpose.split("_")[1]: gpus_of(job) for job in all_jobs(prepared.folder)}
    assert granted == {"train": ["TresPerJob=gres:gpu:1"]}
