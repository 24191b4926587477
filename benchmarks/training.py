"""Cost of a training step of several contestants, which take turns, each in a process of its own.

A row of the result is one contestant: `what`, `arm`, `stack` (networks trained side by side), `device`, `jobs`
(processes that train at the same time, each on its own core), `threads` (of each), `seconds_per_network_step` (median
over the rounds, mean of the jobs; without evaluation), `peak_memory_mb` (of a process on a CPU, of its allocations on
a GPU). All contestants train on the same images.
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
COMPARED = {"cpu": ("bnpipe", 1), "cuda": ("bnpipe, PyTorch", 128)}  # ratios are relative to what jobs train with
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # otherwise JAX takes most of a GPU's memory from the others
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
        """Return the steps in a turn: about a quarter of a second on a CPU, and enough to measure on a GPU."""
        return max(4, 240 // self.stack) if self.device == "cpu" else 60


def entries(device: Device) -> list[Entry]:
    """Return the contestants on a device."""
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
    """Return whether JAX is installed; for a GPU, with its CUDA plugin."""
    needed = ("jax",) if device == "cpu" else ("jax_cuda12_plugin", "jax_cuda13_plugin")
    return any(importlib.util.find_spec(name) is not None for name in needed)


def measure(packed: Path, device: Device, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Let all contestants take turns and return a row for each."""
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
    """Send the same question to all jobs of a contestant at once, and return the mean of their answers."""
    for connection in connections:
        connection.send(question)
    return statistics.fmean([connection.recv() for connection in connections])


@contextmanager
def worker(entry: Entry, packed: Path, job: int) -> Iterator[Connection]:
    """Start a process of a contestant, and yield the connection to it once it is ready. job: number of the process."""
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
    """Train in turns. The answer to ``go`` is seconds per network and step, the answer to ``memory`` the peak in MB."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores()[-1 - job]})  # for contestants that ignore limits on threads
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
    """Return the settings of the tutorial's first condition, as in config.yaml."""
    return settings_of("tanh", arm)


def peak_memory_mb(entry: Entry) -> float:
    """Return the most memory in MB that this process has held: allocations on a GPU, resident memory otherwise."""
    if entry.device == "cpu":
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if entry.what == "jax":
        import jax

        return int(jax.devices()[0].memory_stats()["peak_bytes_in_use"]) / 2**20
    import torch

    return torch.cuda.max_memory_allocated() / 2**20


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table. A ratio is the time divided by bnpipe's with the same arm."""
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
    """Format a time with three significant digits, or without decimals if it is longer than 100 µs."""
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
    """Measure on the GPU if there is one, otherwise on the CPU. Print the table, and write the JSON and the figure."""
    import torch

    rows = measure(packed, "cuda" if torch.cuda.is_available() else "cpu")
    results.mkdir(parents=True, exist_ok=True)
    (results / "training.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(rows, results / "training.svg")
    print(table(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "results")
