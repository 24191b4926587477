"""Optimizers as PyTorch modules, one for each parameter: they turn its gradient into the direction of its step.

An optimizer is a module that is built from the parameter and the settings. Its ``forward`` takes the gradient and
returns what is multiplied by the learning rate and then subtracted; both have the parameter's shape. What it keeps from
step to step must be a buffer that is changed in place, not a Python number: checkpoints hold the buffers, and a CUDA
graph repeats the step on them. `bnpipe.modules.parts` finds these modules, and those that a user has written, by name.
"""

import torch
from torch import Tensor, nn

from bnpipe.core.settings import TrainingSettings


class PlainDescent(nn.Module):
    """The gradient itself, as in `torch.optim.SGD`."""

    def __init__(self, parameter: Tensor, settings: TrainingSettings) -> None:  # noqa: ARG002 - all take both
        super().__init__()

    def forward(self, gradient: Tensor) -> Tensor:
        return gradient


class Momentum(nn.Module):
    """velocity = momentum * velocity + gradient, starting from 0; the direction is the velocity.

    This is `torch.optim.SGD` with momentum, without dampening: at a steady gradient the step becomes 1 / (1 - momentum)
    times that of plain descent. (Polyak 1964 has the learning rate within the velocity, which is the same as long as
    the rate stays constant.)
    """

    velocity: Tensor

    def __init__(self, parameter: Tensor, settings: TrainingSettings) -> None:
        super().__init__()
        self._kept = settings.momentum
        self.register_buffer("velocity", torch.zeros_like(parameter))

    def forward(self, gradient: Tensor) -> Tensor:
        return self.velocity.mul_(self._kept).add_(gradient)


class Adam(nn.Module):
    """Adam (Kingma & Ba 2015, algorithm 1), as in `torch.optim.Adam`.

    At step t, counted from 1:

        mean   = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient^2
        direction = (mean / (1 - beta1^t)) / (sqrt(square / (1 - beta2^t)) + epsilon)

    Weight decay is part of the gradient here (L2 regularization), so it is divided by the root too; AdamW does not do
    that.
    """

    mean: Tensor
    square: Tensor
    step: Tensor  # (1,), float64, in which 1 - beta2^t keeps its digits

    def __init__(self, parameter: Tensor, settings: TrainingSettings) -> None:
        super().__init__()
        self._beta1, self._beta2 = settings.beta1, settings.beta2
        self._epsilon = settings.adam_epsilon
        for name in ("mean", "square"):
            self.register_buffer(name, torch.zeros_like(parameter))
        self.register_buffer("step", parameter.new_zeros(1, dtype=torch.float64))

    def forward(self, gradient: Tensor) -> Tensor:
        self.step.add_(1)
        self.mean.lerp_(gradient, 1 - self._beta1)
        self.square.mul_(self._beta2).addcmul_(gradient, gradient, value=1 - self._beta2)
        mean_share, square_share = (1 - beta**self.step for beta in (self._beta1, self._beta2))
        root = (self.square / square_share.to(gradient.dtype)).sqrt_()
        return self.mean / mean_share.to(gradient.dtype) / root.add_(self._epsilon)
