"""The device that networks are trained on: the CPU, or a GPU through CUDA."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from bnpipe.core.errors import InputError

_WARM_UP_STEPS = 3  # before a capture: in the first steps libraries choose kernels and allocate workspaces


def open_gpu(tf32: bool, index: int = 0) -> torch.device:
    """Return a GPU that is set to multiply in full float32, or in TF32 if ``tf32`` is true.

    index: which of the visible GPUs. Raises InputError if PyTorch finds none.
    """
    if not torch.cuda.is_available():
        raise InputError(
            "device: expected cpu (PyTorch finds no GPU here that it can use), got cuda; "
            "set device: cpu, or run on a machine with a GPU"
        )
    torch.backends.cuda.matmul.fp32_precision = "tf32" if tf32 else "ieee"
    # This is the setting for convolutions; PyTorch's types do not know it.
    torch.backends.cudnn.conv.fp32_precision = torch.backends.cuda.matmul.fp32_precision  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True  # otherwise gradients of convolutions differ from time to time
    torch.cuda.set_device(index)  # streams and graphs are made on the current one
    return torch.device("cuda", index)


def describe_device(device: torch.device) -> str:
    """Return the name of a device and its arithmetic, as records keep it."""
    if device.type == "cpu":
        return "cpu (PyTorch)"
    precision = {"tf32": "TF32", "ieee": "float32"}[torch.backends.cuda.matmul.fp32_precision]
    return f"cuda ({torch.cuda.get_device_name(device)}, {precision})"


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on a GPU, including those that PyTorch has reserved but does not use."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def captured(step: Callable[[], None], state: Iterable[Tensor]) -> Callable[[], None]:
    """Record what a step launches on the GPU as a CUDA graph; return the function that replays it.

    A step of a small network is about 150 kernels of a few microseconds, and launching one from Python takes longer
    than running it; a replay launches all of them at once. The step must work on the same tensors every time. state:
    everything that the step changes; it is restored after the warm-up that a capture needs.
    """
    kept = [(tensor, tensor.clone()) for tensor in state]
    current, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(current)
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP_STEPS):
            step()
    current.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    for tensor, before in kept:
        tensor.copy_(before)
    return graph.replay
