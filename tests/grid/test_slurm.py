from collections.abc import Callable
from pathlib import Path

import pytest

from bnpipe.grid import slurm

HERE = Path("/home/me/a grid")
Answer = list[str] | None


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that makes a script the squeue of this test."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def pretend(script: str) -> None:
        squeue = tmp_path / "squeue"
        squeue.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        squeue.chmod(0o755)

    return pretend


def test_the_jobs_of_a_folder_are_those_and_no_others(pretended: Callable[[str], None]) -> None:
    pretended(f"echo '17 {HERE}'; echo '18 {HERE}/another'; echo '19 {HERE}'")
    assert slurm.jobs_of(HERE) == ["17", "19"]
    pretended("exit 0")
    assert slurm.jobs_of(HERE) == []


def test_a_slurm_that_fails_or_is_silent_has_not_answered(
    pretended: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretended(f"echo '17 {HERE}'; exit 1")
    assert slurm.jobs_of(HERE) is None
    monkeypatch.setattr(slurm, "ANSWER_LIMIT", 0.1)
    pretended("exec sleep 5")
    assert slurm.jobs_of(HERE) is None


def waited_with(
    answers: Callable[[float], Answer], monkeypatch: pytest.MonkeyPatch, names: Callable[[float], list[str]]
) -> tuple[float, str, list[tuple[float, str]]]:
    """Return when the waiting ended, with which line, and what was said when; answers, names: by seconds passed."""
    passed, said = 0.0, list[tuple[float, str]]()

    def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(slurm, "monotonic", lambda: passed)
    monkeypatch.setattr(slurm, "sleep", sleep)
    monkeypatch.setattr(slurm, "jobs_of", lambda folder: answers(passed) if folder == HERE else ["1"])
    line = slurm.wait_in_vain(HERE, lambda: names(passed), lambda text: said.append((passed, text)))
    return passed, line, said


def test_what_is_waited_for_in_vain_is_said_after_a_while_and_given_up_at_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended, line, said = waited_with(lambda _: [], monkeypatch, lambda _: ["a.csv", "b.csv"])
    assert ended == 14_400
    assert line == f"Slurm has had no job of {HERE} for 14400 s; waited for a.csv, b.csv"
    assert said == [(600, f"Slurm has had no job of {HERE} for 600 s; waiting for a.csv, b.csv for 13800 s more")]


def test_an_answer_begins_the_waiting_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, line, said = waited_with(lambda now: ["17"] if now == 6000 else None, monkeypatch, lambda _: ["a.csv"])
    assert ended == 6000 + 14_400
    assert line == "Slurm has not answered for 14400 s; waited for a.csv"
    assert [when for when, _ in said] == [600, 6600]


def test_it_waits_as_long_as_there_is_something_to_wait_for_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, *_ = waited_with(lambda _: [], monkeypatch, lambda now: ["a.csv"] if now > 50_000 else [])
    assert ended == pytest.approx(50_000 + 14_400, abs=slurm.INTERVAL)


def test_of_lost_nodes_only_names_are_kept() -> None:
    nodes = slurm.NodeNames({"n1"})
    for found in ("n2", "None assigned"):
        nodes.add(found)
    assert nodes == {"n1", "n2"}
