"""Each profile works, keeps the settings of the default one, and names no particular site."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workplace import REPOSITORY, Workplace

PROFILES = sorted(path.parent.name for path in REPOSITORY.glob("profiles/*/config.yaml"))
OTHERS = [name for name in PROFILES if name != "default"]


def settings(profile: str) -> dict[str, Any]:
    text = (REPOSITORY / f"profiles/{profile}/config.yaml").read_text(encoding="utf-8")
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def test_the_profiles_are_those_of_the_page_on_clusters() -> None:
    page = (REPOSITORY / "docs/clusters.md").read_text(encoding="utf-8")
    assert OTHERS == ["cluster-generic", "gpu", "slurm", "slurm-squeue"]
    assert all(f"--workflow-profile profiles/{name} " in page for name in OTHERS)


@pytest.mark.parametrize("profile", OTHERS)
def test_a_profile_keeps_the_settings_of_the_default_one(profile: str) -> None:
    kept = {name: value for name, value in settings("default").items() if name != "resources"}
    assert kept.items() <= settings(profile).items()


@pytest.mark.parametrize("profile", OTHERS)
def test_a_profile_retries_and_names_no_account_and_no_partition(profile: str) -> None:
    assert settings(profile)["retries"] > 0
    assert not {"default-resources", "slurm-qos", "slurm-logdir"} & set(settings(profile))


@pytest.mark.parametrize("profile", ["slurm", "slurm-squeue"])
def test_a_query_that_fails_is_repeated_for_a_day(profile: str) -> None:
    chosen = settings(profile)
    assert chosen["slurm-status-attempts"] / chosen["max-status-checks-per-second"] == pytest.approx(86_400)


@pytest.mark.parametrize("profile", OTHERS)
def test_the_workflow_is_planned_with_a_profile(profile: str, tmp_path: Path) -> None:
    done = Workplace.create(tmp_path).snakemake("--workflow-profile", f"profiles/{profile}", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule train:" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("squeue", "status"),
    [
        ("echo RUNNING", "running"),
        ("echo PENDING", "running"),
        ("echo COMPLETED", "success"),
        ("echo NODE_FAIL", "failed"),
        ("echo CANCELLED", "failed"),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", "failed"),
        ("exit 0", "failed"),  # Slurm lists nothing, so it has forgotten the job
    ],
)
def test_the_status_of_a_job_is_one_word_whatever_squeue_answers(squeue: str, status: str, tmp_path: Path) -> None:
    done = ask_for_status(squeue, tmp_path)
    assert done.stdout == f"{status}\n"


def test_a_slurm_that_does_not_answer_is_asked_again_every_minute_for_four_hours(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    silent = f"echo asked >> {asked}; echo 'Unable to contact slurm controller' >&2; exit 1"
    done = ask_for_status(silent, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == "error: asked Slurm for the state of job 7 for four hours: Unable to contact slurm controller\n"
    )
    assert len(asked.read_text().splitlines()) == 240
    done = ask_for_status(f"[ $(wc -l < {asked}) -ge 250 ] && echo COMPLETED || {{ {silent}; }}", tmp_path)
    assert (done.returncode, done.stdout) == (0, "success\n")
    assert set((tmp_path / "slept").read_text().splitlines()) == {"60"}


def ask_for_status(squeue: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the status script with a pretended squeue and a sleep that takes no time."""
    for name, script in (("squeue", squeue), ("sleep", f"echo $1 >> {folder}/slept")):
        pretended = folder / name
        pretended.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        pretended.chmod(0o755)
    command = [str(REPOSITORY / "profiles/cluster-generic/status"), "7"]
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
