"""Faults in the middle of a run. The next run must give the tables of an undisturbed run, byte for byte."""

import gzip
import hashlib
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.disk import Disk, Unavailable, small_disk
from tests.faults.grid import RUN_LIMIT, Grid, wait_until
from tests.idx_files import small_payloads
from tests.mirrors import Answer, Mirror, broken, cut_off, good, hang, login_page

if not os.environ.get("BNPIPE_TEST_FAULTS"):
    pytest.skip("only `make test-faults` kills jobs and fills disks", allow_module_level=True)

KILLS = int(os.environ.get("BNPIPE_TEST_KILLS", "10"))  # number of kills of jobs, and of the main process


@dataclass(frozen=True)
class Undisturbed:
    tables: dict[str, bytes]
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    grid = Grid(tmp_path_factory.mktemp("undisturbed"))
    start = time.monotonic()
    grid.finish()
    seconds = time.monotonic() - start
    assert len(grid.tables()) == 6
    assert grid.left_behind == []
    return Undisturbed(grid.tables(), seconds)


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[Grid]:
    """Yield a grid. In the end, kill its jobs that still run."""
    grid = Grid(tmp_path / "grid")
    yield grid
    grid.kill_jobs()


def moments(seed: int) -> list[float]:
    """Return KILLS random moments as shares of a run's duration: one in each of KILLS equal parts of its first 95%."""
    generator = random.Random(seed)
    return [0.95 * (part + generator.random()) / KILLS for part in range(KILLS)]


def kill_a_job(grid: Grid, seconds: float) -> bool:
    """Kill a job that runs after this many seconds, or the next job to run. Return whether that disturbed the run."""
    with grid.running() as process:
        time.sleep(seconds)
        while not (jobs := grid.jobs()):
            if process.poll() is not None:
                return False
            time.sleep(0.02)
        with suppress(ProcessLookupError):
            os.kill(jobs[-1], signal.SIGKILL)
        return process.wait(RUN_LIMIT) == 1


def kill_the_main_process(grid: Grid, seconds: float) -> bool:
    """Kill the main process after this many seconds, and return whether it was still running."""
    with grid.running() as process:
        time.sleep(seconds)
        process.kill()
        return process.wait() == -signal.SIGKILL


def disturb(folder: Path, fault: Callable[[Grid, float], bool], seconds: float) -> Grid:
    """Return a grid with a fault after this many seconds. If its run is over by then, try again after half the time."""
    for attempt in range(3):
        grid = Grid(folder / str(attempt))
        moment = seconds / 2**attempt
        if fault(grid, moment):
            print(f"after {moment:.2f} s, {len(grid.jobs())} jobs still run")
            return grid
    raise AssertionError(f"every run ended before it was disturbed, after {moment:.1f} s in the last attempt")


@pytest.mark.parametrize("moment", moments(1), ids="{:.3f}".format)
def test_a_job_is_killed_at_any_moment(tmp_path: Path, undisturbed: Undisturbed, moment: float) -> None:
    grid = disturb(tmp_path, kill_a_job, moment * undisturbed.seconds)
    assert grid.tables() == {}
    grid.finish()
    assert grid.tables() == undisturbed.tables
    assert grid.left_behind == []


@pytest.mark.parametrize("moment", moments(2), ids="{:.3f}".format)
def test_the_main_process_is_killed_at_any_moment(tmp_path: Path, undisturbed: Undisturbed, moment: float) -> None:
    grid = disturb(tmp_path, kill_the_main_process, moment * undisturbed.seconds)
    grid.unlock()
    grid.finish()
    assert grid.tables() == undisturbed.tables
    assert grid.left_behind == []


def test_jobs_that_outlive_the_main_process_are_waited_for_and_their_records_kept(
    grid: Grid, undisturbed: Undisturbed
) -> None:
    with grid.running():
        wait_until(lambda: len(grid.checkpoints) == 2, "two jobs to train")
    orphans = grid.kill_jobs(signal.SIGSTOP)  # so that they do not finish too early
    assert len(orphans) == 2
    assert grid.attempt() == 1
    assert "cannot be locked" in grid.output
    grid.unlock()
    with grid.running() as process:
        wait_until(lambda: all("waiting for process" in log for log in grid.logs), "the new jobs to wait")
        for orphan in orphans:
            os.kill(orphan, signal.SIGCONT)
        assert process.wait(RUN_LIMIT) == 0, grid.output
    waited_for = [int(number) for log in grid.logs for number in re.findall(r"waiting for process (\d+) ", log)]
    assert sorted(waited_for) == orphans
    assert all("it is kept" in log for log in grid.logs)
    assert grid.tables() == undisturbed.tables
    assert grid.left_behind == []


STOPS: dict[str, Callable[[Grid, int], object]] = {
    "SIGTERM to the jobs": lambda grid, _: grid.kill_jobs(signal.SIGTERM),
    "SIGTERM to all": lambda _, group: os.killpg(group, signal.SIGTERM),
    "Ctrl-C": lambda _, group: os.killpg(group, signal.SIGINT),
    "a closed terminal": lambda _, group: os.killpg(group, signal.SIGHUP),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_jobs_that_are_told_to_stop_keep_their_state(
    grid: Grid, undisturbed: Undisturbed, stop: Callable[[Grid, int], object]
) -> None:
    with grid.running() as process:
        wait_until(lambda: all(grid.logs), "two jobs to train")
        stop(grid, process.pid)
        assert process.wait(RUN_LIMIT) == 1
    assert "Traceback" not in grid.output
    wait_until(lambda: not grid.jobs(), "the jobs to end, whose shells may not have waited for them")
    assert all("told to stop: the state is kept" in log for log in grid.logs)
    assert len(grid.checkpoints) == 2
    assert grid.locks == []
    assert grid.tables() == {}
    grid.finish()
    assert grid.tables() == undisturbed.tables
    assert grid.left_behind == []


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_a_main_process_that_is_told_to_stop_waits_for_its_jobs(
    grid: Grid, undisturbed: Undisturbed, stop: signal.Signals
) -> None:
    with grid.running() as process:
        wait_until(lambda: all(grid.logs), "two jobs to train")
        process.send_signal(stop)
        assert process.wait(RUN_LIMIT) == 1
    assert "Traceback" not in grid.output
    assert grid.jobs() == []
    assert grid.locks == []
    assert len(list(grid.results.rglob("*.safetensors"))) == 2
    assert grid.tables() == {}
    grid.finish()
    assert grid.tables() == undisturbed.tables
    assert grid.left_behind == []


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("seconds", [1.0, None], ids=["while it reads", "when it has the lock"])
def test_a_main_process_that_is_told_to_stop_before_there_are_jobs_leaves_no_lock(
    grid: Grid, undisturbed: Undisturbed, seconds: float | None, stop: signal.Signals
) -> None:
    with grid.running() as process:
        if seconds is None:
            wait_until(lambda: grid.locks, "the folder to be locked")
        else:
            time.sleep(seconds)
        os.killpg(process.pid, stop)
        process.wait(RUN_LIMIT)
    assert "Traceback" not in grid.output
    assert grid.locks == []
    grid.finish()
    assert grid.tables() == undisturbed.tables
    assert grid.left_behind == []


def test_nohup_keeps_a_run_alive_when_its_terminal_is_closed(grid: Grid, undisturbed: Undisturbed) -> None:
    with grid.running("nohup") as process:
        wait_until(lambda: all(grid.logs), "two jobs to train")
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(RUN_LIMIT) == 0
    assert grid.tables() == undisturbed.tables


def test_of_two_at_once_the_second_is_told_and_the_first_undisturbed(grid: Grid, undisturbed: Undisturbed) -> None:
    with grid.running() as first:
        wait_until(lambda: grid.checkpoints, "a job to train")
        assert grid.attempt() == 1
        assert "Directory cannot be locked" in grid.output
        assert "Traceback" not in grid.output
        assert first.wait(RUN_LIMIT) == 0
    assert grid.tables() == undisturbed.tables
    assert grid.left_behind == []


@pytest.fixture
def disk(grid: Grid) -> Iterator[Disk]:
    """Yield the disk that holds the grid's results."""
    with ExitStack() as mounted:
        try:
            disk = mounted.enter_context(small_disk(grid.folder / "results", megabytes=8))
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield disk
        grid.kill_jobs()


def test_a_full_disk_costs_no_checkpoint(grid: Grid, disk: Disk, undisturbed: Undisturbed) -> None:
    with grid.running() as process:
        wait_until(lambda: len(grid.checkpoints) == 2, "two jobs to train")
        grid.kill_jobs()
        assert process.wait(RUN_LIMIT) == 1
    kept = {path: path.read_bytes() for path in grid.checkpoints}
    disk.fill()
    assert grid.attempt() == 1
    assert "Traceback" not in grid.output
    assert len(grid.errors) == 2
    assert all("cannot be written (No space left on device)" in line for line in grid.errors)
    assert {path: path.read_bytes() for path in grid.checkpoints} == kept
    assert grid.tables() == {}
    disk.free()
    grid.finish()
    assert all(step > 0 for step in grid.first_steps)
    assert grid.tables() == undisturbed.tables
    assert grid.left_behind == []


def test_a_disk_that_is_full_from_the_first_checkpoint_on(grid: Grid, disk: Disk, undisturbed: Undisturbed) -> None:
    with grid.running() as process:
        wait_until(lambda: any(grid.logs), "a job to train")
        disk.fill()
        assert process.wait(RUN_LIMIT) == 1
    assert "Traceback" not in grid.output
    assert grid.errors
    assert all("cannot be written (No space left on device)" in line for line in grid.errors)
    assert not [name for name in grid.left_behind if not name.endswith((".checkpoint", ".lock"))]
    disk.free()
    grid.finish()
    assert grid.tables() == undisturbed.tables
    assert grid.left_behind == []


def test_a_read_only_results_folder(grid: Grid, disk: Disk, undisturbed: Undisturbed) -> None:
    disk.write_protect(True)
    assert grid.attempt() == 1
    assert "Read-only file system: 'results/digits'" in grid.output
    assert "Traceback" not in grid.output
    disk.write_protect(False)
    grid.finish()
    assert grid.tables() == undisturbed.tables


@pytest.fixture(scope="module")
def mirror() -> Iterator[Mirror]:
    files = {f"{name}.gz": gzip.compress(payload) for name, payload in small_payloads(train=90).items()}
    with Mirror(files, good) as mirror:
        yield mirror


def with_mnist_of(mirror: Mirror, folder: Path) -> Grid:
    """Return a grid that accepts the mirror's files as MNIST and gives up on the mirror within a second."""
    conditions = {"tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 9}}
    sizes = {"validation_images": 10, "batch_size": 20}
    grid = Grid(folder, dataset="mnist", mirrors=[mirror.url], conditions=conditions, **sizes)
    checksums, download = grid.folder / "bnpipe/data/checksums.py", grid.folder / "bnpipe/data/download.py"
    sums = {name: hashlib.sha256(gzip.decompress(content)).hexdigest() for name, content in mirror.files.items()}
    with checksums.open("a", encoding="utf-8") as file:
        small = {name.removesuffix(".gz"): f"sha256:{sum_}" for name, sum_ in sums.items()}
        file.write(f"\nPAYLOADS['mnist'] = {small}\n")
    text = download.read_text(encoding="utf-8")
    assert "SILENCE_LIMIT = 20.0" in text
    download.write_text(text.replace("SILENCE_LIMIT = 20.0", "SILENCE_LIMIT = 1.0"), encoding="utf-8")
    return grid


@pytest.fixture(scope="module")
def with_a_good_mirror(mirror: Mirror, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the tables of an undisturbed run on the mirror's files."""
    mirror.answer = good
    grid = with_mnist_of(mirror, tmp_path_factory.mktemp("good-mirror"))
    grid.finish()
    assert len(grid.tables()) == 6
    return grid.tables()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(hang, "timed out"), (cut_off, "cut off"), (broken, "HTTP Error 500"), (login_page, "an HTML page")],
    ids=["hangs", "cuts off", "answers 500", "serves another file"],
)
def test_a_mirror_that_fails(
    mirror: Mirror, with_a_good_mirror: dict[str, bytes], tmp_path: Path, answer: Answer, reason: str
) -> None:
    grid = with_mnist_of(mirror, tmp_path)
    mirror.answer = answer
    assert grid.attempt() == 1
    assert "Traceback" not in grid.output
    (line,) = grid.errors
    assert line.startswith("error: dataset mnist: no mirror gave train-images-idx3-ubyte (")
    assert reason in line
    assert [path for path in (grid.folder / "resources").rglob("*") if path.is_file()] == []
    mirror.answer = good
    grid.finish()
    assert grid.tables() == with_a_good_mirror
