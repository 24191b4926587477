"""Optimizers as PyTorch modules, one for each parameter: from its gradient they make the direction of its step.

A new optimizer is a module with a ``forward`` and an entry in `OPTIMIZERS`: it is built from the parameter and the
settings, takes the gradient, and returns what is multiplied by the learning rate and subtracted, both of the
parameter's shape. Whatever it keeps from step to step is a buffer that is changed in place, and no Python number:
checkpoints hold the buffers, and a CUDA graph repeats the step on them.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnpipe.core.settings import Optimizer, TrainingSettings


class PlainDescent(nn.Module):
    """The gradient itself, as in `torch.optim.SGD`."""

    def __init__(self, parameter: Tensor, settings: TrainingSettings) -> None:  # noqa: ARG002 - all take both
        super().__init__()

    def forward(self, gradient: Tensor) -> Tensor:
        return gradient


class Momentum(nn.Module):
    """velocity = momentum * velocity + gradient, from 0; the direction is the velocity.

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

    Weight decay is a part of the gradient here (L2 regularization), and so it is divided too; AdamW does not do that.
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


OPTIMIZERS: dict[Optimizer, Callable[[Tensor, TrainingSettings], nn.Module]] = {
    "sgd": PlainDescent,
    "momentum": Momentum,
    "adam": Adam,
}


class Descent(nn.Module):
    """Takes the steps of all that a network learns, every run at its own learning rate.

    Weight decay adds decay * w to the gradient of the weights w, as torch.optim does. What the transforms learn does
    not decay: gamma, beta and b are no weights of a product, gamma is all that sets the scale behind a normalization,
    and a bias of one unit does not overfit.
    """

    def __init__(self, network: nn.Module, rates: Tensor, settings: TrainingSettings) -> None:
        """Take the network, whose parameters are (runs, ...), and the learning rates (runs,)."""
        super().__init__()
        learning = [(name, own) for name, own in network.named_parameters() if own.requires_grad]
        self._parameters_that_learn = [own for _, own in learning]
        are_weights = [".transform." not in name for name, _ in learning]
        self._rates = [
            (rates * (1.0 if is_weight else settings.parameter_rate)).view(-1, *[1] * (own.dim() - 1))
            for (_, own), is_weight in zip(learning, are_weights, strict=True)
        ]
        self._decays = [settings.weight_decay if is_weight else 0.0 for is_weight in are_weights]
        make = OPTIMIZERS[settings.optimizer]
        self.directions = nn.ModuleList(make(own, settings) for own in self._parameters_that_learn)

    def forward(self, losses: Tensor) -> None:
        """Take a step down the gradient of the losses (runs,)."""
        learning = self._parameters_that_learn
        # The runs share nothing, so the gradient of the sum is that of each.
        gradients = torch.autograd.grad(losses.sum(), learning)
        of_each = zip(learning, gradients, self._rates, self._decays, self.directions, strict=True)
        with torch.no_grad():
            for own, gradient, rate, decay, direction in of_each:
                slope = gradient.add(own, alpha=decay) if decay else gradient
                own.sub_(rate * direction(slope))
