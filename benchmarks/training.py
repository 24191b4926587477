"""Cost of a training step, side by side: every contestant in a process of its own, taking turns.

A row of the result is one contestant: `what`, `arm`, `stack` (networks trained side by side), `device`, `jobs`
(processes that train at once, each on a core of its own), `threads` (of each), `seconds_per_network_step` (median over
the rounds, mean of the jobs; training alone), `peak_memory_mb` (of a process on a CPU, of its allocations on a GPU).
All contestants train on the same images.
"""

import importlib.util
import json
import multiprocessing
import os
import resource
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.default_grid import ARMS, settings_of
from bnpipe.core.settings import Arm, Device, TrainingSettings

ROUNDS = 25
STACKS = {"cpu": (1, 10), "cuda": (1, 4, 10, 32, 128, 512)}  # of bnpipe's networks in PyTorch
COMPARED_STACK = {"cpu": 10, "cuda": 128}  # of the other contestants that stack
COMPARED = {"cpu": ("bnpipe", 1), "cuda": ("bnpipe, PyTorch", 128)}  # what ratios are to: what jobs train with there
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # else JAX takes most of a GPU's memory from the others
}


@dataclass(frozen=True)
class Entry:
    """One contestant in the comparison."""

    what: str
    arm: Arm
    stack: int
    device: Device
    jobs: int = 1

    @property
    def steps(self) -> int:
        """Steps in a turn: about a quarter of a second on a CPU, long enough to wait for on a GPU."""
        return max(4, 240 // self.stack) if self.device == "cpu" else 60


def entries(device: Device) -> list[Entry]:
    """List who takes part on a device."""
    compared = COMPARED_STACK[device]
    fields = [("bnpipe, PyTorch", stack, 1) for stack in STACKS[device]] + [("plain", 1, 1), ("dataloader", 1, 1)]
    if has_jax(device):
        fields.append(("jax", compared, 1))
    if device == "cpu":
        two_jobs = [("bnpipe, two jobs", 1, 2)] if len(cores()) > 1 else []
        fields = [("bnpipe", 1, 1), *two_jobs, *fields, ("products", 1, 1)]
    else:
        fields.append(("products", compared, 1))
    return [Entry(what, arm, stack, device, jobs) for arm in ARMS for what, stack, jobs in fields]


def cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(os.cpu_count() or 1)]


def has_jax(device: Device) -> bool:
    """Say whether JAX is installed, for a GPU with what it needs there."""
    needed = ("jax",) if device == "cpu" else ("jax_cuda12_plugin", "jax_cuda13_plugin")
    return any(importlib.util.find_spec(name) is not None for name in needed)


def measure(packed: Path, device: Device, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Let all take turns and return a row for each."""
    os.environ |= ENVIRONMENT
    competing = entries(device)
    seconds: dict[Entry, list[float]] = {entry: [] for entry in competing}
    with ExitStack() as stack:
        workers = {
            entry: [stack.enter_context(worker(entry, packed, job)) for job in range(entry.jobs)] for entry in competing
        }
        for number in range(rounds):
            for entry, connections in workers.items():
                seconds[entry].append(ask(connections, "go"))
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        peaks = {entry: ask(connections, "memory") for entry, connections in workers.items()}
    return [
        {
            **asdict(entry),
            "threads": 1,
            "seconds_per_network_step": statistics.median(seconds[entry]),
            "peak_memory_mb": round(peaks[entry], 1),
        }
        for entry in competing
    ]


def ask(connections: Sequence[Connection], question: str) -> float:
    """Send the jobs of a contestant a word, all at once, and return the mean of their numbers."""
    for connection in connections:
        connection.send(question)
    return statistics.fmean([connection.recv() for connection in connections])


@contextmanager
def worker(entry: Entry, packed: Path, job: int) -> Iterator[Connection]:
    """Start a process of a contestant, the first or another; yield the line to it once it is ready."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(there, entry, packed, job), daemon=True)
    process.start()
    there.close()
    try:
        here.recv()  # built and warm
        yield here
    finally:
        here.close()
        process.join()


def work(connection: Connection, entry: Entry, packed: Path, job: int) -> None:
    """Train in turns: ``go`` is answered by seconds per network-step, ``memory`` by the peak in MB."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores()[-1 - job]})  # for those who know no limit of threads
    from benchmarks.contestants import make
    from bnpipe.data.packed import open_dataset
    from bnpipe.training.trainer import one_thread

    with one_thread():
        contestant = make(entry.what, tutorial(entry.arm), entry.stack, open_dataset(packed).train, entry.device)
        contestant.advance(entry.steps)  # warms up, compiles
        connection.send("ready")
        with suppress(EOFError):
            while True:
                if connection.recv() == "memory":
                    connection.send(peak_memory_mb(entry))
                    continue
                start = perf_counter()
                contestant.advance(entry.steps)
                connection.send((perf_counter() - start) / (entry.steps * entry.stack))


def tutorial(arm: Arm) -> TrainingSettings:
    """Return the tutorial's first condition, as config.yaml has it, on all images in grey."""
    return settings_of("tanh", arm)


def peak_memory_mb(entry: Entry) -> float:
    """Most memory that this process has held: of its allocations on a GPU, else resident."""
    if entry.device == "cpu":
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if entry.what == "jax":
        import jax

        return int(jax.devices()[0].memory_stats()["peak_bytes_in_use"]) / 2**20
    import torch

    return torch.cuda.max_memory_allocated() / 2**20


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the rows out as a Markdown table; a ratio says how much longer than bnpipe with the same arm."""
    device = rows[0]["device"]
    lines = [
        "| what | stack | vanilla | ratio | batchnorm | ratio | peak memory |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    by_key = {(row["what"], row["stack"], row["arm"]): row for row in rows}
    for what, stack in dict.fromkeys((row["what"], row["stack"]) for row in rows):
        cells = []
        for arm in ARMS:
            seconds = by_key[what, stack, arm]["seconds_per_network_step"]
            ours = by_key[*COMPARED[device], arm]["seconds_per_network_step"]
            cells += [microseconds(seconds), f"{seconds / ours:.2f}"]
        memory = max(by_key[what, stack, arm]["peak_memory_mb"] for arm in ARMS)
        lines.append(f"| {what} | {stack} | {' | '.join(cells)} | {memory:.0f} MB |")
    return "\n".join(lines)


def microseconds(seconds: float) -> str:
    """Write a time with three digits or all before the point."""
    return f"{seconds * 1e6:.0f} µs" if seconds > 1e-4 else f"{seconds * 1e6:.3g} µs"


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the time of a network-step for all contestants."""
    from matplotlib.figure import Figure

    from bnpipe.figures.arms import COLOURS
    from bnpipe.figures.style import save, style

    with style():
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        panels = figure.subplots(1, len(ARMS), sharey=True)
        for axes, arm in zip(panels, ARMS, strict=True):
            shown = [row for row in rows if row["arm"] == arm]
            names = [f"{row['what']}, {row['stack']}" for row in shown]
            times = [row["seconds_per_network_step"] for row in shown]
            bars = axes.barh(names, [time * 1e6 for time in times], color=COLOURS[arm])
            axes.bar_label(bars, [microseconds(time) for time in times], padding=3)
            axes.set(title=arm, xlabel="microseconds per network and step", xlim=(0, max(times) * 1.25e6))
            axes.grid(visible=False)
        panels[0].set_ylabel("what, and how many networks side by side")
        panels[0].invert_yaxis()
        save(figure, [path])


def main(packed: Path, results: Path) -> None:
    """Measure on the GPU if there is one, else on the CPU; print the table, write JSON and figure."""
    import torch

    rows = measure(packed, "cuda" if torch.cuda.is_available() else "cpu")
    results.mkdir(parents=True, exist_ok=True)
    (results / "training.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(rows, results / "training.svg")
    print(table(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "results")
