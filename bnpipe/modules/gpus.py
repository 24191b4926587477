"""The GPU of a job, which no other job uses at the same time."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from bnpipe.core.errors import InputError
from bnpipe.modules.devices import open_gpu
from bnpipe.modules.leases import lease


@contextmanager
def granted_gpu(tf32: bool, gpus: int) -> Iterator[torch.device]:
    """Open the GPU of a job; while the block runs, no other job uses it.

    tf32: whether it multiplies in TF32. gpus: how many the job was granted, 0 or 1. Raises InputError if it was granted
    none, or there is none, or none becomes free in time.
    """
    if not gpus:
        raise InputError(
            "device: expected cpu (the job was granted no GPU: resource gpu=0), got cuda; "
            "set device: cpu, or grant the job a GPU"
        )
    with _own_gpu() as index:
        yield open_gpu(tf32, index)


@contextmanager
def _own_gpu() -> Iterator[int]:
    """Yield the number of a visible GPU that no other job of this user holds."""
    visible = visible_gpus()
    slurm_job = os.environ.get("SLURM_JOB_ID", "")
    if len(visible) <= 1 and (slurm_job or not visible):
        yield 0  # Slurm has given it to this job alone; or there is none, and opening the device will say so
        return
    # Within a Slurm job the numbers may count its own devices only, so they mean nothing to other jobs.
    folder = Path(tempfile.gettempdir(), "-".join(["bnpipe-gpus", str(os.getuid()), *slurm_job.split()]))
    with lease([f"gpu-{gpu.replace('/', '-')}" for gpu in visible], folder) as index:
        yield index


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, in the order of their numbers in this process.

    If CUDA_VISIBLE_DEVICES leaves some out, the names are still those that the whole machine uses.
    """
    count = torch.cuda.device_count()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in listed.split(",")][:count] if listed else [str(gpu) for gpu in range(count)]
