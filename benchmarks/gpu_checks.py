"""Checks of training on a GPU, see `benchmarks.gpu`. Every check is a number and its limit."""

import importlib.util
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.default_grid import ARMS, settings_of
from benchmarks.gpu_notes import Notes, SkippedError
from benchmarks.gpu_setup import MEGABYTE, Setup
from benchmarks.made_up import SHAPE
from bnpipe.core.records import Curves
from bnpipe.core.settings import Device, Runs, TrainingSettings
from bnpipe.modules.devices import free_memory
from bnpipe.modules.engine import TorchEngine, TorchStack, memory_of_a_run
from bnpipe.modules.parts import TRANSFORMS
from bnpipe.training.engines import COMPILED, Engine
from bnpipe.training.train import train_runs
from bnpipe.training.trainer import network_arithmetic

REPOSITORY = Path(__file__).resolve().parents[1]
FLOOR = 1e-3  # the differences of smaller numbers are relative to this
# Small networks in double precision. Every option occurs in one of the cases.
SMALL: dict[str, Any] = {
    "hidden_sizes": (10, 14),
    "groups": 2,
    "precision": "float64",
    "learning_rate": 0.1,
    "parameter_rate": 0.5,
    "renorm_start": 2,
    "renorm_ramp": 10,
    "steps": 25,
    "evaluation_interval": 12,
}
CASES: tuple[dict[str, Any], ...] = (
    {"activation": "tanh"},
    {"activation": "relu", "normalize_logits": False, "moving_variance": "unbiased", "moving_average_weight": 0.1},
    {"activation": "sigmoid", "position": "after", "trained": "transforms", "binarize": True, "init_std": "xavier"},
)
# A job that takes a GPU when it is told to, works on it for a second, and prints the GPU, its start and its end.
JOB = """
import sys
import tempfile
from pathlib import Path
from time import monotonic
from benchmarks.bare import stand_in
stand_in()
import torch
from bnpipe.modules.gpus import granted_gpu
from bnpipe.modules.leases import lease
print("ready", flush=True)
sys.stdin.readline()
on_gpu = sys.argv[1] == "cuda"
with granted_gpu(False, 1) if on_gpu else lease(["gpu-0"], Path(tempfile.gettempdir(), "leases"), 60) as gpu:
    begin, numbers = monotonic(), torch.ones(500, 500, device=gpu if on_gpu else "cpu")
    while monotonic() < begin + 1:
        (numbers @ numbers).sum().item()
    print(gpu, begin, monotonic())
"""


def check_arithmetic(setup: Setup, notes: Notes) -> None:
    """Check that products have full single precision unless TF32 is requested."""
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(size, generator=generator) for size in ((8, 60, 784), (8, 784, 100)))
    exact = one.double() @ other.double()
    for tf32 in (True, False):
        device = setup.open(tf32)
        found = (one.to(device) @ other.to(device)).cpu().double()
        error = (torch.linalg.norm(found - exact) / torch.linalg.norm(exact)).item()
        if tf32:
            notes.measure("error of products with tf32: true", relative_error=error)
        else:
            notes.check("relative error of products with tf32: false", error, 1e-5)  # TF32's is 3e-4


def check_graphs(setup: Setup, notes: Notes) -> None:
    """Check that a step captured as a CUDA graph gives the same results as the step run directly."""
    device = setup.open()
    for arm in TRANSFORMS:
        runs = Runs.of_seeds(settings_of("tanh", arm, **SMALL), [42, 43, 44])
        stacks = [TorchStack(runs, setup.few.train, device) for _ in range(2)]
        run_eagerly(stacks[1])
        losses = [stack.advance(25) for stack in stacks]
        states = [stack.state() for stack in stacks]
        found = max(difference(*losses), *(difference(states[0][name], states[1][name]) for name in states[0]))
        notes.check(f"graph against eager steps, double precision, {arm}", found, 1e-9)
    for arm in ARMS:
        runs = Runs.of_seeds(setup.settings("tanh", arm), range(10))
        stacks = [TorchStack(runs, setup.few.train, device) for _ in range(2)]
        run_eagerly(stacks[1])
        notes.check(f"graph against eager steps, losses, {arm}", difference(*(own.advance(25) for own in stacks)), 1e-4)


def run_eagerly(stack: TorchStack) -> None:
    """Make a stack run its steps instead of replaying a graph."""
    stack._step = stack._eager_step


def check_double_precision(setup: Setup, notes: Notes) -> None:
    """Compare whole trainings of small networks with the CPU, in everything measured, for every arm and option."""
    engine = TorchEngine(setup.open())
    for arm in TRANSFORMS:
        for case in CASES:
            settings = settings_of("tanh", arm, **SMALL, **case, diagnostics=True, evaluate_training=True)
            runs = Runs.of_seeds(settings, [42, 43])
            expected, found = (train_runs(runs, setup.few, engine=own) for own in (TorchEngine(), engine))
            worst = {name: difference(array, expected_of(expected, name)) for name, array in measured(found)}
            place = max(worst, key=lambda name: worst[name])
            name = f"double precision, GPU against CPU, {arm}, {case['activation']}"
            notes.check(name, worst[place], 1e-6, worst=place)


def check_single_precision(setup: Setup, notes: Notes) -> None:
    """Compare networks of full size with PyTorch on the CPU, under settings where training is not chaotic."""
    compare_trainings(setup, notes, TorchEngine(), "PyTorch on the CPU")


def check_against_compiled(setup: Setup, notes: Notes) -> None:
    """Compare the same networks with the compiled engine."""
    missing = [name for name in ("numba", "scipy") if name in setup.failures]
    if missing:
        raise SkippedError(f"needs {' and '.join(missing)}")
    compare_trainings(setup, notes, COMPILED, "the compiled engine")


def compare_trainings(setup: Setup, notes: Notes, reference: Engine, name: str) -> None:
    """Compare trainings in single precision. With tanh and small weights, rounding errors do not grow."""
    engine, data = TorchEngine(setup.open()), setup.few
    for arm in ARMS:
        runs = Runs.of_seeds(setup.settings("tanh", arm, steps=setup.scale.steps), [42, 43, 44])
        expected, found = (train_runs(runs, data, engine=own) for own in (reference, engine))
        first = (curves.training_loss[:, :20] for curves in (found, expected))
        what = f"GPU against {name}, {arm}"
        notes.check(f"{what}, losses of the first 20 steps", difference(*first), 1e-4)
        notes.check(
            f"{what}, losses of {setup.scale.steps} steps",
            difference(found.training_loss, expected.training_loss),
            1e-3,
        )
        images = np.abs(found.accuracy - expected.accuracy).max() * len(data.validation)
        notes.check(
            f"{what}, images of {len(data.validation)} that differ at an evaluation", round(float(images), 6), 2
        )


def check_resuming(setup: Setup, notes: Notes) -> None:
    """Check that training resumed from a state continues as if it had not stopped."""
    engine = TorchEngine(setup.open())
    for arm in TRANSFORMS:
        runs = Runs.of_seeds(settings_of("tanh", arm, **SMALL), [42, 43])
        stack = engine.start(runs, setup.few.train)
        other = engine.start(runs.change(init_std=1.0), setup.few.train)
        stack.advance(20)
        other.advance(3)
        other.restore({name: array.copy() for name, array in stack.state().items()})
        notes.check(
            f"resumed against not stopped, losses, {arm}", difference(other.advance(10), stack.advance(10)), 1e-9
        )


def check_memory(setup: Setup, notes: Notes) -> None:
    """Check that memory reported as free is free, and that stacks of the reported size fit."""
    setup.only_on_a_gpu()
    check_free_memory(setup.open(), notes)
    for arm in ARMS:
        check_fit(setup, notes, setup.settings("tanh", arm, diagnostics=True))


def check_free_memory(device: torch.device, notes: Notes) -> None:
    """Check that memory in use does not count as free, and that memory that PyTorch keeps for later does."""
    torch.cuda.empty_cache()
    before, size = free_memory(device), 64 * MEGABYTE
    held = torch.empty(size, dtype=torch.uint8, device=device)
    taken = before - free_memory(device)
    del held
    after = before - free_memory(device)
    notes.check("free memory without 64 MB in use, error in MB", abs(taken - size) / MEGABYTE, 32)
    notes.check("free memory with 64 MB that PyTorch keeps unused, error in MB", abs(after) / MEGABYTE, 32)


def check_fit(setup: Setup, notes: Notes, settings: TrainingSettings) -> None:
    """Leave little memory free, ask how many networks fit, and train, evaluate and diagnose that many."""
    device = setup.open()
    engine = TorchEngine(device)
    torch.cuda.empty_cache()
    ballast = torch.empty(max(0, free_memory(device) - setup.scale.room), dtype=torch.uint8, device=device)
    torch.cuda.reset_peak_memory_stats()
    size = engine.most_runs(settings, SHAPE, setup.scale.most_wanted)
    before, trouble = torch.cuda.memory_allocated(), ""
    try:
        with network_arithmetic():
            stack = engine.start(Runs.of_seeds(settings, range(size)), setup.few.train)
            stack.advance(10)
            stack.evaluate(setup.dataset.validation)
            trained = torch.cuda.max_memory_allocated() - before
            stack.diagnose(setup.few.train, setup.few.validation)
    except torch.cuda.OutOfMemoryError as error:
        trouble, trained = str(error).partition("\n")[0], torch.cuda.max_memory_allocated() - before
    whole = torch.cuda.max_memory_allocated() - before
    name = f"out of memory with as many networks as are said to fit, {settings.arm}"
    notes.check(name, float(bool(trouble)), 0, networks=size, error=trouble)
    notes.measure(
        "memory of a network",
        arm=settings.arm,
        networks=size,
        estimate_mb=memory_of_a_run(settings, SHAPE) / MEGABYTE,
        training_and_evaluation_mb=trained / size / MEGABYTE,
        with_diagnostics_mb=whole / size / MEGABYTE,
    )
    del ballast
    stack = None  # type: ignore[assignment]
    torch.cuda.empty_cache()


def check_leases(setup: Setup, notes: Notes) -> None:
    """Check that two jobs that ask for a GPU at the same moment never use the same one at once."""
    if "filelock" in setup.failures or tuple(map(int, version("filelock").split(".")[:2])) < (3, 30):
        raise SkippedError("needs filelock 3.30 or newer")
    with tempfile.TemporaryDirectory() as folder:
        jobs = [(device, float(begin), float(end)) for device, begin, end in run_jobs(setup.name, folder)]
    shared = [
        min(one[2], other[2]) - max(one[1], other[1]) for one, other in combinations(jobs, 2) if one[0] == other[0]
    ]
    devices = sorted({device for device, _, _ in jobs})
    notes.check("seconds that two jobs share a GPU", max([0.0, *shared]), 0, devices=devices)


def run_jobs(device: Device, folder: str) -> list[list[str]]:
    """Make two jobs ask for a GPU at the same moment, and return what each prints."""
    # The jobs get a folder of leases of their own. Within a Slurm job, a job with one GPU would take no lease.
    environment = {**os.environ, "TMPDIR": folder}
    environment.pop("SLURM_JOB_ID", None)
    with ending([sys.executable, "-c", JOB, device], environment, 2) as jobs:
        for job in jobs:
            assert job.stdout
            if job.stdout.readline() != "ready\n":
                raise RuntimeError(f"a job did not start: {job.communicate()[1][-2000:]}")
        for job in jobs:
            assert job.stdin
            job.stdin.write("go\n")
            job.stdin.flush()
        said = [job.communicate() for job in jobs]
        for job, (_, complaint) in zip(jobs, said, strict=True):
            if job.returncode:
                raise RuntimeError(f"a job failed: {complaint[-2000:]}")
        return [told.split() for told, _ in said]


@contextmanager
def ending(command: list[str], environment: Mapping[str, str], count: int) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start a command several times, and kill the processes that still run after the block."""
    pipe = subprocess.PIPE
    jobs = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=REPOSITORY, env=environment)
        for _ in range(count)
    ]
    try:
        yield jobs
    finally:
        for job in jobs:
            job.kill()
            job.communicate()


def run_tests(setup: Setup, notes: Notes) -> None:
    """Run those of the package's tests of its PyTorch networks that use a GPU."""
    setup.only_on_a_gpu()
    needed = ("pytest", "pandas", "pydantic", "yaml")
    missing = [*setup.failures, *(name for name in needed if importlib.util.find_spec(name) is None)]
    if missing:
        raise SkippedError(f"needs {', '.join(missing)}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/modules"]
    command += ["-k", "gpu or captured or free_memory"]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=notes.seconds_left() - 5, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SkippedError(f"the tests were ended after {error.timeout:.0f} s") from error
    notes.check("exit status of the tests in tests/modules", done.returncode, 0, said=done.stdout[-3000:])


def difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference, relative to the expected value or to FLOOR, whichever is larger.

    It is infinite if the shapes differ, or if one value is finite where the other is not.
    """
    one, other = (np.asarray(array, np.float64) for array in (found, expected))
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return math.inf
    distance = np.abs(one - other) / np.maximum(np.abs(other), FLOOR)
    return float(np.nan_to_num(distance, nan=0.0).max(initial=0.0))


def measured(curves: Curves) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the name and the values of everything that was measured."""
    for own in fields(Curves):
        value = getattr(curves, own.name)
        if isinstance(value, np.ndarray):
            yield own.name, value
    yield from curves.diagnostics.items()


def expected_of(curves: Curves, name: str) -> NDArray[Any]:
    """Return the values that were measured under a name."""
    return dict(measured(curves))[name]
