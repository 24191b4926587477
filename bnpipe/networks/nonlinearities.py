"""Elementwise functions of a stack's activations, and their derivatives."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bnpipe.networks.kernels import tanh_


class Nonlinearity(NamedTuple):
    """An elementwise function and its derivative, computed from the function's own output."""

    forward: Callable[[Tensor], Tensor]  # overwrites its argument
    backward: Callable[[Tensor, Tensor], Tensor]  # gradient at the output, output -> gradient at the input


NONLINEARITIES: dict[str, Nonlinearity] = {
    "tanh": Nonlinearity(tanh_, torch.ops.aten.tanh_backward),
    "relu": Nonlinearity(torch.relu_, lambda delta, out: torch.ops.aten.threshold_backward(delta, out, 0)),
    "sigmoid": Nonlinearity(torch.sigmoid_, torch.ops.aten.sigmoid_backward),
}
IDENTITY = Nonlinearity(lambda z: z, lambda delta, _: delta)
