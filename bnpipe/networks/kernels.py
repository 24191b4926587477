"""The heavy arithmetic of a stack, each operation with the kernel that is fastest on its device.

Activations are (batch, runs, features), weights (runs, fan_in, fan_out). On a GPU everything is PyTorch's. On the
CPU four things are NumPy's, on the same memory:

- matrix products: OpenBLAS saves 10 to 14% of a training step and 20% of an evaluation compared with MKL (stack of
  10, one thread, AMD EPYC with AVX-512). It also rounds the product of a run in the same way alone and in a stack,
  whatever the shape;
- the logarithm of softmax, over the classes of many images at once, which saves 3% of an evaluation;
- sums over the batch: NumPy adds in the order of the images. PyTorch's order depends on where a feature lies in
  memory, and so on the stack;
- tanh: NumPy takes 0.4 ns for a value and PyTorch 2.6, which saves a tenth of a training step and a quarter of an
  evaluation. The error is at most 1.4 units in the last place, also near 0.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep all arithmetic on one thread: a product that is split over threads gives other bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def network_arithmetic() -> Iterator[None]:
    """Compute as all networks do: without autograd, on one thread, and silent about overflow.

    A diverged run keeps training, and PyTorch does not warn about it. So NumPy must not warn either.
    """
    with torch.inference_mode(), one_thread(), np.errstate(over="ignore", invalid="ignore"):
        yield


def product(inputs: Tensor, weight: Tensor) -> Tensor:
    """Multiply the activations of each run by its matrix.

    inputs: (batch, runs, fan_in), or (batch, 1, fan_in) if all runs have the same; weight: (runs, fan_in, fan_out).
    Returns (batch, runs, fan_out).
    """
    runs, fan_in, fan_out = weight.shape
    out = inputs.new_empty(inputs.shape[0], runs, fan_out)
    if not inputs.is_cpu:
        torch.bmm(inputs.transpose(0, 1).expand(runs, -1, -1), weight, out=out.transpose(0, 1))
        return out
    left, right, into = inputs.numpy(), weight.numpy(), out.numpy()
    if not weight.is_contiguous():
        # The backward pass transposes the weights, and OpenBLAS takes half as long again with transposed matrices.
        # Copying them run by run, so that the copy stays in the cache, saves 2 to 3% of a step.
        for run in range(runs):
            np.matmul(left[:, run], np.ascontiguousarray(right[run]), out=into[:, run])
        return out
    rows = _rows_at_once(fan_in, fan_out)
    for first in range(0, len(left), rows):
        some = slice(first, first + rows)
        np.matmul(left[some].transpose(1, 0, 2), right, out=into[some].transpose(1, 0, 2))
    return out


def _rows_at_once(fan_in: int, fan_out: int) -> int:
    """Return how many images to multiply at once.

    OpenBLAS works on small matrices in place, without packing them first. Staying below its limit saves a fifth of the
    time for 500 images and 100 x 100 weights, which is a tenth of an evaluation.
    """
    small = 1_000_000 // (fan_in * fan_out)  # OpenBLAS's limit is in multiplications
    return small if small >= 50 else 1_000_000


def subtract_product(weight: Tensor, inputs: Tensor, delta: Tensor) -> None:
    """Subtract the product of transposed inputs and delta from the matrix of each run.

    weight: (runs, fan_in, fan_out); inputs: (batch, runs, fan_in); delta: (batch, runs, fan_out).
    """
    if not weight.is_cpu:
        weight.baddbmm_(inputs.permute(1, 2, 0), delta.transpose(0, 1), alpha=-1)
        return
    target = weight.numpy()
    np.subtract(target, np.matmul(inputs.numpy().transpose(1, 2, 0), delta.numpy().transpose(1, 0, 2)), out=target)


def sum_over_batch(values: Tensor) -> Tensor:
    """Sum values (batch, runs, features) over the batch: (runs, features)."""
    if values.is_cpu:
        return torch.from_numpy(np.add.reduce(values.numpy(), axis=0))
    return values.sum(dim=0)


def log_softmax(logits: Tensor) -> Tensor:
    """Return the logarithm of the softmax over the last dimension; argument and result are (batch, runs, classes)."""
    if not logits.is_cpu:
        return torch.log_softmax(logits, dim=2)
    shifted = np.ascontiguousarray(logits.numpy().transpose(2, 0, 1))
    shifted -= shifted.max(axis=0)
    shifted -= np.log(np.exp(shifted).sum(axis=0))
    return torch.from_numpy(shifted).permute(1, 2, 0).contiguous()


def tanh_(values: Tensor) -> Tensor:
    """Overwrite values, of any shape, with their hyperbolic tangents."""
    if values.is_cpu:
        array = values.numpy()
        np.tanh(array, out=array)
        return values
    return values.tanh_()
