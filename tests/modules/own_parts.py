"""Parts of a user's own: good ones, and one for each thing that may be wrong with them."""

import torch
from torch import Tensor, nn

from bnpipe.core.settings import TrainingSettings
from bnpipe.modules.norms import Bias, Scaled, one_for_each_unit


class OwnNorm(nn.Module):
    """Layer normalization in other words: parameters with other names, and no word about gradients."""

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        super().__init__()
        self.weight = nn.Parameter(one_for_each_unit(weight, 1))
        self.bias = nn.Parameter(one_for_each_unit(weight, 0))
        self._epsilon = settings.epsilon

    def forward(self, z: Tensor) -> Tensor:
        return nn.functional.layer_norm(z, z.shape[-1:], eps=self._epsilon) * self.weight + self.bias


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def rectified(x: Tensor) -> Tensor:
    """Return relu(x) in other words."""
    return x * (x > 0)


class Raises(Bias):
    def forward(self, z: Tensor) -> Tensor:
        return z @ z


class NoModule:
    def __init__(self, *_: object) -> None: ...


class OneNumber(Bias):
    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        super().__init__(weight, settings)
        self.register_buffer("steps", torch.zeros(()))


class Shorter(Bias):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z)[:, :, 1:]


class Unused(Scaled):
    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:  # noqa: ARG002
        super().__init__(weight)

    def forward(self, z: Tensor) -> Tensor:
        return z + self.beta

    def normalize(self, z: Tensor) -> Tensor:
        return z


class Nothing(nn.Module):
    def __init__(self, *_: object) -> None:
        super().__init__()

    def forward(self, z: Tensor) -> Tensor:
        return z


class Detached(Bias):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z).detach()


class Silent(Bias):
    def forward(self, z: Tensor) -> None:  # type: ignore[override]
        super().forward(z)


class OnlyInTraining(Bias):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) if self.training else z.sum()


class Signed(nn.Module):
    """Signs of a velocity, as momentum has it: the steps of all weights are of one size."""

    velocity: Tensor

    def __init__(self, parameter: Tensor, settings: TrainingSettings) -> None:
        super().__init__()
        self._kept = settings.momentum
        self.register_buffer("velocity", torch.zeros_like(parameter))

    def forward(self, gradient: Tensor) -> Tensor:
        return self.velocity.mul_(self._kept).add_(gradient).sign()


class Summed(nn.Module):
    """An optimizer that returns one number."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def forward(self, gradient: Tensor) -> Tensor:
        return gradient.sum()


def half(x: Tensor) -> Tensor:
    return x.half()


number = 3
