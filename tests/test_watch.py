import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bnpipe import watch
from bnpipe.core.progress import Evaluation
from bnpipe.grid.state import Job, JobStatus
from bnpipe.watch import render, seconds_left
from tests.commands import assert_ends_with_its_reader
from tests.workplace import REPOSITORY

CONDITION = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 100}
WAITING, DONE = JobStatus("waiting"), JobStatus("done")


def job(number: int, group: str = "tanh", arm: str = "vanilla", runs: int = 2) -> Job:
    return Job(group, arm, runs, 100, Path(f"{number}.safetensors"), Path(f"{number}.log"))


def at(step: int, rate: float, state: str = "running") -> JobStatus:
    return JobStatus(state, 1000.0, Evaluation(1000.0, step, 100, 0.25, 0.5, 99.0), rate)  # type: ignore[arg-type]


def test_a_running_job_has_left_its_steps_at_its_rate() -> None:
    assert seconds_left({job(1): at(19, rate=4)}) == 80 / 4
    assert seconds_left({job(1): at(19, rate=4), job(2): at(49, rate=1)}) == 50  # side by side


def test_waiting_jobs_take_the_places_that_come_free() -> None:
    # Two places become free after 20 s and 50 s. 100 steps of two runs take 62.5 s: a step takes 1/4 s or 1 s.
    running = {job(1): at(19, rate=4), job(2): at(49, rate=1)}
    assert seconds_left({**running, job(3): WAITING}) == 20 + 62.5
    assert seconds_left({**running, job(3): WAITING, job(4): WAITING}) == 50 + 62.5
    assert seconds_left({**running, job(3, runs=4): WAITING, job(4): WAITING}) == 20 + 125
    assert seconds_left({**running, job(3): at(90, 4, "silent")}) == 20 + (25 + 100 + 25) / 3  # it runs again


def test_costs_are_those_of_the_jobs_most_alike() -> None:
    done = {
        job(1): at(99, 4, "done"),
        job(2, arm="batchnorm"): at(99, 2, "done"),
        job(3, group="relu"): at(99, 10, "done"),
    }
    assert seconds_left({**done, job(4): WAITING}) == 25
    assert seconds_left({**done, job(4, arm="batchnorm", group="relu"): WAITING}) == 50
    assert seconds_left({**done, job(4, group="new"): WAITING}) == pytest.approx((25 + 10) / 2)
    assert seconds_left({**done, job(4, arm="layernorm"): WAITING}) == pytest.approx((25 + 50 + 10) / 3)


def test_what_is_not_measured_is_not_guessed() -> None:
    assert seconds_left({job(1): WAITING}) is None
    assert seconds_left({job(1): JobStatus("running")}) is None
    assert seconds_left({job(1): DONE, job(2): JobStatus("failed")}) == 0
    assert "Time left: not known before the first evaluations." in render({job(1): WAITING}, now=1000)


def test_the_table_has_a_line_for_each_condition_and_arm_and_a_total() -> None:
    statuses = {
        job(1): DONE,
        job(2): at(49, rate=5),
        job(3, arm="batchnorm"): JobStatus("failed", 900.0, error="error: a.gz: empty"),
        job(4, arm="batchnorm"): at(0, 5, "silent"),
        job(5, "study depth"): WAITING,
    }
    lines = [line.split() for line in render(statuses, now=1300.0).splitlines()]
    assert lines[0] == [*watch.HEADER]
    assert lines[1] == ["tanh", "vanilla", "2", "1", "1", "75%", "0.250", "to", "0.500", "5"]
    assert lines[2] == ["tanh", "batchnorm", "2", "1", "1", "0%", "0.250", "to", "0.500"]
    assert lines[3] == ["study", "depth", "vanilla", "1", "1", "0%"]
    assert lines[4] == ["total", "5", "1", "1", "1", "1", "1", "30%", "5"]
    # There is one place: 10 s for the running job, then 20 s each for the silent and the waiting one.
    assert [" ".join(line) for line in lines[5:]] == [
        "Time left: about 50 s of training with 1 job at once.",
        "failed: 3.log: error: a.gz: empty",
        "silent for 5 min, perhaps killed: 4.log",
    ]


def test_columns_are_aligned() -> None:
    lines = render({job(1): at(49, rate=5), job(2, "a_long_name"): at(49, rate=5)}, now=0).splitlines()[:4]
    assert len({len(line) for line in lines}) == 1
    assert len({line.index("vanilla") for line in lines[1:3]} | {lines[0].index("arm")}) == 1


def test_a_low_terminal_shows_what_runs() -> None:
    statuses = {job(number, f"condition_{number}"): at(9, 5) if number % 10 == 7 else WAITING for number in range(30)}
    whole = render(statuses, now=0)
    assert len(whole.splitlines()) == 1 + 30 + 1 + 1
    assert render(statuses, now=0, height=34) == whole
    short = render(statuses, now=0, height=10).splitlines()
    assert [line.split()[0] for line in short[1:4]] == ["condition_7", "condition_17", "condition_27"]
    assert short[5] == "(27 lines are left out)"
    assert len(render(statuses, now=0, height=6).splitlines()) < 6


def test_many_troubles_are_counted() -> None:
    lines = render({job(number): JobStatus("failed") for number in range(9)}, now=0).splitlines()
    assert lines[-1] == "(and 4 more)"
    assert lines[3] == "No training is left, except for what failed."


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["watch", *arguments])
    watch.main()


def test_the_command_takes_the_configuration_as_the_workflow_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(yaml.safe_dump({"conditions": {"tanh": CONDITION}, "seeds": 3}))
    record = Path("results/digits/runs/tanh/vanilla/seeds-42-2000-5884f2a46b32.safetensors")
    record.parent.mkdir(parents=True)
    record.touch()
    run(
        "--config", "dataset=digits", "seeds=1", "arms=[vanilla]", "--follow", monkeypatch=monkeypatch
    )  # ends, because all jobs are done
    said = capsys.readouterr().out.splitlines()
    assert said[1].split() == ["tanh", "vanilla", "1", "1", "100%"]
    assert said[3] == "No training is left."


def test_the_command_takes_files_and_values_as_snakemake_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(yaml.safe_dump({"conditions": {"tanh": CONDITION}, "dataset": "digits"}))
    Path("mine.yaml").write_text(yaml.safe_dump({"conditions": {"own": CONDITION}, "dataset": "digits"}))

    def conditions(*arguments: str) -> set[str]:
        run(*arguments, monkeypatch=monkeypatch)
        return {line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-2]}

    values = ["--config", "seeds=[1,2,3]", "runs_per_job=null", "conditions={tanh: {steps: 2e3}}"]
    assert conditions(*values) == {"tanh"}
    assert conditions("--configfile", "mine.yaml", *values) == {"tanh", "own"}
    assert conditions("--configfile", "mine.yaml", "--replace-workflow-config", "-C", "paper=None") == {"own"}


def start(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start the command in a folder, from this copy of the package."""
    command, environment = (
        [sys.executable, "-m", "bnpipe.watch", *arguments],
        {**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("follow", [[], ["--follow"]], ids=["once", "following"])
def test_a_reader_that_leaves_ends_the_command(tmp_path: Path, follow: list[str]) -> None:
    conditions = {f"c{number}": CONDITION for number in range(700)}  # more than a pipe holds
    (tmp_path / "config.yaml").write_text(json.dumps({"conditions": conditions, "dataset": "digits", "seeds": 1}))
    with start(tmp_path, *follow) as process:
        assert_ends_with_its_reader(process, b"condition")


def test_ctrl_c_ends_the_command_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps({"conditions": {"tanh": CONDITION}, "dataset": "digits"}))
    with start(tmp_path, "--follow") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")


def test_following_looks_again_until_all_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = Job("tanh", "vanilla", 1, 100, tmp_path / "a.safetensors", tmp_path / "a.log")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            one.record.touch()

    monkeypatch.setattr("time.sleep", pause)
    watch.watch([one], follow=True)
    assert pauses == [watch.REFRESH] * 2


def test_a_mistake_in_the_configuration_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"error: config.yaml: cannot be read"):
        run(monkeypatch=monkeypatch)
    Path("config.yaml").write_text("- a list")
    with pytest.raises(SystemExit, match=r"error: config.yaml: expected a mapping"):
        run(monkeypatch=monkeypatch)
