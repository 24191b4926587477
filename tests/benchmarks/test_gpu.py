"""The command that checks and measures a GPU. These tests run the same code on a CPU and on tiny networks."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import gpu, gpu_checks
from benchmarks.gpu_checks import check_fit, check_free_memory, check_graphs, check_leases, difference
from benchmarks.gpu_notes import Notes, Section, SkippedError, out_of_time
from benchmarks.gpu_setup import MEGABYTE, QUICK, Setup, set_up
from tests.workplace import REPOSITORY


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.gpu", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)


def test_the_whole_command_runs(tmp_path: Path) -> None:
    result = tmp_path / "new folder" / "gpu.json"
    done = run(result, "--device", "cpu", "--quick")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    found = json.loads(result.read_text(encoding="utf-8"))
    assert [path.name for path in result.parent.iterdir()] == ["gpu.json"]
    ended = {section["name"]: (section["status"], section.get("reason")) for section in found["sections"]}
    on_a_gpu = dict.fromkeys(("memory", "tests"), ("skipped", "needs a GPU"))
    assert ended == {section.name: ("done", None) for section in gpu.SECTIONS} | on_a_gpu
    assert all(check["passed"] and 0 <= check["value"] <= check["limit"] for check in found["checks"])
    assert len({check["name"] for check in found["checks"]}) == len(found["checks"]) > 30
    measured = found["measurements"]
    assert {row["stack"] for row in measured["step"]} == set(QUICK.stacks)
    assert {row["what"] for row in measured["step"]} == {"plain", "bnpipe, PyTorch", "products"}
    assert all(row["seconds_per_network_step"] > 0 for row in measured["step"])
    for name in ("grid", "grid with diagnostics"):
        assert len(measured[name]) == 10
        (total,) = measured[f"{name}, all"]
        assert total["runs"] == 10 * QUICK.seeds
        # On a CPU a stack has one network; the network of the other seed counts as much.
        assert total["seconds"] == pytest.approx(QUICK.seeds * total["seconds_measured"])
        assert not total["is_measured_whole"]
    assert found["machine"]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert found["machine"]["cannot_be_imported"] == {}
    assert found["data"] == {"what": "made up, in the shape of MNIST", "train": 600, "validation": 200, "test": 100}
    assert f"{len(found['checks'])} checks in " in done.stdout.splitlines()[-1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path / "gpu.json")
    assert done.returncode == 2
    (line,) = (done.stdout + done.stderr).splitlines()
    assert line == "error: no GPU: PyTorch finds none here that it can use, so there is nothing to check or measure"
    assert not list(tmp_path.iterdir())


def test_data_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    done = run(tmp_path / "gpu.json", "--device", "cpu", "--packed", tmp_path / "absent")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path}/absent: expected a packed data set, got something else (")


@pytest.mark.parametrize(
    ("needed", "expected"),
    [
        ({"torch": (99, 0)}, f"torch: expected 99.0 or newer, got {torch.__version__}"),
        ({"no_such_package": (1, 2)}, "no_such_package: expected 1.2 or newer, got none (No module named 'no_such_"),
    ],
)
def test_what_is_too_old_or_missing_is_said(
    needed: dict[str, tuple[int, int]], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "NEEDED", needed)
    said = gpu.obstacle("cpu")
    assert said is not None
    assert said.startswith(expected)
    assert "\n" not in said


# Sections and the notes on them.


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "gpu.json", {"machine": "this"})


@pytest.fixture
def setup() -> Setup:
    return set_up("cpu", None, quick=True, failures={})[0]


@pytest.fixture
def run_section(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    """Yield a function that runs a function as a section and returns the note on it."""
    before = signal.signal(signal.SIGALRM, out_of_time)

    def run_it(work: Callable[[Any, Notes], None], least: float = 0, most: float = 60, left: float = 60) -> Any:
        monkeypatch.setattr(gpu_checks, "work", work, raising=False)
        notes.run(Section("some work", "gpu_checks", "work", least, most), None, left)
        return on_disk(notes)["sections"][-1]

    yield run_it
    signal.signal(signal.SIGALRM, before)


def on_disk(notes: Notes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(notes._path.read_text(encoding="utf-8"))
    return found


def test_everything_is_on_disk_at_once(notes: Notes, capsys: pytest.CaptureFixture[str]) -> None:
    notes.check("small enough", 0.5, 1, arm="vanilla")
    notes.measure("time", seconds=0.25, stack=4)
    notes.measure("time", seconds=0.5, stack=10)
    assert on_disk(notes) == {
        "machine": "this",
        "checks": [{"name": "small enough", "passed": True, "value": 0.5, "limit": 1, "arm": "vanilla"}],
        "measurements": {"time": [{"seconds": 0.25, "stack": 4}, {"seconds": 0.5, "stack": 10}]},
        "sections": [],
    }
    assert capsys.readouterr().out.splitlines() == [
        "ok     small enough: 0.5 (limit 1)",
        "       time: seconds 0.25, stack 4",
        "       time: seconds 0.5, stack 10",
    ]
    assert notes.finish(1.0) == 0


@pytest.mark.parametrize("value", [1.5, np.inf, np.nan])
def test_a_check_that_fails_makes_the_exit_status_1(
    value: float, notes: Notes, capsys: pytest.CaptureFixture[str]
) -> None:
    notes.check("too large", value, 1)
    notes.check("fine", 1, 1)
    assert notes.finish(3.2) == 1
    assert [check["passed"] for check in on_disk(notes)["checks"]] == [False, True]
    assert "NaN" not in notes._path.read_text(encoding="utf-8")
    assert "Infinity" not in notes._path.read_text(encoding="utf-8")
    assert (
        capsys.readouterr().out.splitlines()[-1]
        == f"2 checks in 3 s, written to {notes._path}; failed checks: too large"
    )


def test_a_section_that_fails_leaves_the_rest(notes: Notes, run_section: Callable[..., dict[str, Any]]) -> None:
    def work(_: Any, notes: Notes) -> None:
        notes.check("before", 0, 1)
        raise ZeroDivisionError("by zero")

    ended = run_section(work)
    assert (ended["status"], ended["reason"]) == ("failed", "ZeroDivisionError: by zero")
    assert "in work" in ended["traceback"]
    assert run_section(lambda *_: None)["status"] == "done"
    assert [check["name"] for check in on_disk(notes)["checks"]] == ["before"]
    assert notes.finish(1) == 1


def test_a_section_that_takes_too_long_is_ended(run_section: Callable[..., dict[str, Any]]) -> None:
    ended = run_section(lambda *_: sleep(60), most=0.2)
    assert (ended["status"], ended["reason"]) == ("failed", "OutOfTimeError: took longer than it may")
    assert run_section(lambda *_: sleep(60), left=0.2)["status"] == "failed"
    assert run_section(lambda *_: sleep(0.4), most=60)["status"] == "done"  # the alarm of the section before is gone


def test_a_section_knows_how_long_it_may_take(run_section: Callable[..., dict[str, Any]]) -> None:
    left: list[float] = []
    run_section(lambda _, notes: left.append(notes.seconds_left()), most=40, left=90)
    run_section(lambda _, notes: left.append(notes.seconds_left()), most=40, left=20)
    assert left == pytest.approx([40, 20], abs=1)


def test_a_section_is_skipped_with_the_reason(notes: Notes, run_section: Callable[..., dict[str, Any]]) -> None:
    def work(*_: object) -> None:
        raise SkippedError("needs numba")

    assert run_section(work)["reason"] == "needs numba"
    late = run_section(work, least=30, left=12)
    assert (late["status"], late["reason"]) == ("skipped", "needs 30 s, but 12 s of the budget are left")
    assert run_section(work, least=30, left=-3)["reason"] == "needs 30 s, but 0 s of the budget are left"
    assert notes.finish(1) == 0


# Checks can fail.


def test_the_largest_difference_is_relative() -> None:
    assert difference(np.array([1.0, 2.2]), np.array([1.0, 2.0])) == pytest.approx(0.1)
    assert difference(np.array([0.0]), np.array([1e-6])) == pytest.approx(1e-3)  # relative to 0.001
    nan = np.array([np.nan, 1])
    assert difference(nan, nan) == 0
    assert difference(nan, np.array([1.0, 1.0])) == np.inf
    assert difference(np.zeros(2), np.zeros(3)) == np.inf
    assert difference(np.zeros(0), np.zeros(0)) == 0


def passed(notes: Notes) -> list[bool]:
    return [check["passed"] for check in notes.found["checks"]]


def test_a_graph_that_does_something_else_fails(setup: Setup, notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_checks, "run_eagerly", lambda stack: setattr(stack, "_step", lambda: None))
    check_graphs(setup, notes)
    assert not any(passed(notes))


@pytest.mark.parametrize(("begins", "seconds", "is_fine"), [((0, 1), 0, True), ((0, 0.75), 0.25, False)])
def test_jobs_that_share_a_gpu_fail(
    begins: tuple[float, float],
    seconds: float,
    is_fine: bool,
    setup: Setup,
    notes: Notes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = [["cuda:0", str(begin), str(begin + 1)] for begin in begins]
    monkeypatch.setattr(gpu_checks, "run_jobs", lambda *_: said)
    check_leases(setup, notes)
    monkeypatch.setattr(gpu_checks, "run_jobs", lambda *_: [said[0], ["cuda:1", "0.5", "1.5"]])
    check_leases(setup, notes)
    assert passed(notes) == [is_fine, True]
    assert notes.found["checks"][0]["value"] == pytest.approx(seconds)


class Memory:
    """Pretends to be a GPU's memory: it answers everything that `torch.cuda` is asked about memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: list[int], allocated: list[int]) -> None:
        self.free, self.allocated = iter(free), iter(allocated)
        monkeypatch.setattr(gpu_checks, "free_memory", lambda _: next(self.free))
        for name in ("empty_cache", "reset_peak_memory_stats"):
            monkeypatch.setattr(torch.cuda, name, lambda: None)
        for name in ("memory_allocated", "max_memory_allocated"):
            monkeypatch.setattr(torch.cuda, name, lambda: next(self.allocated))


@pytest.mark.parametrize(("counted", "is_fine"), [(64, True), (0, False)])
def test_memory_that_is_not_counted_fails(
    counted: int, is_fine: bool, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    Memory(monkeypatch, [500 * MEGABYTE, (500 - counted) * MEGABYTE, 499 * MEGABYTE], [])
    check_free_memory(torch.device("cpu"), notes)
    assert passed(notes) == [is_fine, True]


@pytest.mark.parametrize("has_room", [True, False])
def test_networks_that_do_not_fit_fail(
    has_room: bool, setup: Setup, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    Memory(monkeypatch, [QUICK.room + 1000], [0, 3 * MEGABYTE, 4 * MEGABYTE])

    def evaluate(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate\nmuch")

    if not has_room:
        monkeypatch.setattr("bnpipe.modules.engine.TorchStack.evaluate", evaluate)
    check_fit(setup, notes, setup.settings("tanh", "batchnorm"))
    (check,) = notes.found["checks"]
    assert check["passed"] == has_room
    assert check["error"] == ("" if has_room else "CUDA out of memory. Tried to allocate")
    (row,) = notes.found["measurements"]["memory of a network"]
    assert (row["training_and_evaluation_mb"], row["with_diagnostics_mb"]) == (3, 4)
    assert row["networks"] == 1
