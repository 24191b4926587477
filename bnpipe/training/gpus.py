"""The device of a job: the CPU, or the GPU that it was granted, which it has to itself."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from bnpipe.core.errors import InputError
from bnpipe.core.settings import Device
from bnpipe.training.devices import open_device
from bnpipe.training.leases import lease


@contextmanager
def granted_device(name: Device, tf32: bool, gpus: int) -> Iterator[torch.device]:
    """Open the device for a job that was granted so many GPUs; a GPU is the job's own while the block runs.

    Raises InputError where a GPU is wanted and none was granted, or none is there, or none comes free.
    """
    if name == "cpu":
        yield open_device(name, tf32)
        return
    if not gpus:
        raise InputError("device: found cuda, but the job was granted no GPU (resource gpu=0); permitted is cpu")
    with _own_gpu() as index:
        yield open_device(name, tf32, index)


@contextmanager
def _own_gpu() -> Iterator[int]:
    """Yield the number of a GPU, among those visible, that no other job of this user has."""
    visible = visible_gpus()
    slurm_job = os.environ.get("SLURM_JOB_ID", "")
    if len(visible) <= 1 and (slurm_job or not visible):
        yield 0  # Slurm has given it to this job alone; or there is none, and opening it says so
        return
    # Within a Slurm job numbers may count its own devices only: they say nothing to other jobs.
    folder = Path(tempfile.gettempdir(), "-".join(["bnpipe-gpus", str(os.getuid()), *slurm_job.split()]))
    with lease([f"gpu-{gpu.replace('/', '-')}" for gpu in visible], folder) as index:
        yield index


def visible_gpus() -> list[str]:
    """Name the GPUs that this process may use, in the order of their numbers here.

    The names are those that the whole machine uses, where CUDA_VISIBLE_DEVICES leaves some out.
    """
    count = torch.cuda.device_count()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in listed.split(",")][:count] if listed else [str(gpu) for gpu in range(count)]
