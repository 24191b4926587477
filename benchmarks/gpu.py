"""Check and measure training on an NVIDIA GPU, in one command of less than 9 minutes: ``python -m benchmarks.gpu``.

It needs only Python 3.11, PyTorch 2.9 and NumPy 2.0 or newer. Checks that need other packages are skipped if these are
missing. The result is one JSON file, which is rewritten after every number:

- ``machine``: the GPU, the processor, versions, packages that could not be imported; ``data``: the images
- ``checks``: each with its number, the limit, and whether it passed
- ``measurements``: rows by name; times are in seconds, memory in MB
- ``sections``: the parts of the command; each is done, failed (with the error) or skipped (with the reason)

The exit status is 0 if every check that ran has passed, 1 if a check or a section failed, 2 if nothing can run here.
"""

import argparse
import faulthandler
import importlib
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.gpu_notes import Notes, Section, out_of_time

RESULT = Path(__file__).parent / "results/gpu.json"
BUDGET = 500.0  # seconds for everything; a section that would start later is skipped
GRACE = 30.0  # seconds after the budget; then the process ends, whatever it is waiting for
NEEDED = {"torch": (2, 9), "numpy": (2, 0)}  # PyTorch 2.9 was the first with the TF32 setting that bnpipe uses
SHOWN = ("torch", "numpy", "numba", "scipy", "safetensors", "threadpoolctl", "filelock", "triton")
NOTHING_TO_RUN = 2  # exit status
SECTIONS = (
    Section("arithmetic", "gpu_checks", "check_arithmetic", 5, 30),
    Section("graphs", "gpu_checks", "check_graphs", 10, 60),
    Section("double precision", "gpu_checks", "check_double_precision", 10, 90),
    Section("single precision", "gpu_checks", "check_single_precision", 10, 90),
    Section("resuming", "gpu_checks", "check_resuming", 5, 40),
    Section("memory", "gpu_checks", "check_memory", 10, 60),
    Section("leases", "gpu_checks", "check_leases", 15, 60),
    Section("steps", "gpu_speed", "measure_steps", 20, 120),
    Section("order of images", "gpu_speed", "measure_order", 3, 20),
    Section("grid", "gpu_speed", "measure_grid", 30, 120),
    Section("grid with diagnostics", "gpu_speed", "measure_grid_with_diagnostics", 20, 60),
    Section("compiled engine", "gpu_checks", "check_against_compiled", 60, 120),
    Section("tests", "gpu_checks", "run_tests", 60, 200),
)


def obstacle(device: str) -> str | None:
    """Return why nothing can run here, or None if something can."""
    if sys.version_info < (3, 11):  # noqa: UP036 - bnpipe need not be installed, so pip has not checked this
        return f"Python: expected 3.11 or newer, got {platform.python_version()}"
    for name, least in NEEDED.items():
        expected = f"{name}: expected {'.'.join(map(str, least))} or newer"
        try:
            found: str = importlib.import_module(name).__version__
        except ImportError as error:
            return f"{expected}, got none ({error}); name a Python that has it: make test-gpu GPU_PYTHON=python3"
        if tuple(map(int, found.split(".")[:2])) < least:
            return f"{expected}, got {found}"
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return "no GPU: PyTorch finds none here that it can use, so there is nothing to check or measure"
    return None


def about_machine(device: str, failures: dict[str, str]) -> dict[str, Any]:
    """Describe the machine and the packages. failures: why packages cannot be imported, by name."""
    import torch

    about: dict[str, Any] = {
        "device": device,
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **versions()},
        "cannot_be_imported": failures,
    }
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        free, total = torch.cuda.mem_get_info(0)
        about |= {
            "gpu": gpu.name,
            "compute_capability": f"{gpu.major}.{gpu.minor}",
            "multiprocessors": gpu.multi_processor_count,
            "memory_mb": total / 2**20,
            "free_memory_mb": free / 2**20,  # other programs may take some of it
            "cuda": torch.version.cuda,
            "gpus": torch.cuda.device_count(),
            "driver": driver(),
        }
    return about


def versions() -> dict[str, str]:
    """Return the versions of the packages in SHOWN that are installed."""
    found = {}
    for name in SHOWN:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def processor() -> str:
    """Return the name of the processor, as precisely as the system gives it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def driver() -> str | None:
    """Return the version of the GPU's driver, or None if `nvidia-smi` is missing or fails."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.splitlines()[0].strip()
    return None


def main(arguments: Sequence[str]) -> int:
    """Run all sections and return the exit status."""
    start = monotonic()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Check and measure training on a GPU")
    parser.add_argument("result", nargs="?", type=Path, default=RESULT, help="the JSON file to write")
    parser.add_argument("--packed", type=Path, help="a packed data set, as in resources/; default: made-up images")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for everything (default: %(default).0f)")
    # For the tests of this command: they run the same code on a CPU and on tiny networks.
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    reason = obstacle(chosen.device)
    if reason:
        print(f"error: {reason}", file=sys.stderr)
        return NOTHING_TO_RUN
    faulthandler.dump_traceback_later(chosen.budget + GRACE, exit=True)
    signal.signal(signal.SIGALRM, out_of_time)
    from benchmarks.bare import stand_in

    failures = stand_in()
    from benchmarks.gpu_setup import set_up  # only after the stand-ins are in place
    from bnpipe.core.digests import code_digest
    from bnpipe.core.errors import InputError

    try:
        setup, data = set_up(chosen.device, chosen.packed, chosen.quick, failures)
    except (InputError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return NOTHING_TO_RUN
    machine = about_machine(chosen.device, failures)
    code = code_digest("modules.engine", "modules.gpus", "training.train")
    command = {"quick": chosen.quick, "budget_seconds": chosen.budget, "code_sha256": code}
    chosen.result.parent.mkdir(parents=True, exist_ok=True)
    notes = Notes(chosen.result, {"command": command, "machine": machine, "data": data})
    for section in SECTIONS:
        notes.run(section, setup, start + chosen.budget - monotonic())
    faulthandler.cancel_dump_traceback_later()
    return notes.finish(monotonic() - start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
