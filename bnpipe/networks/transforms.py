"""What comes between a layer's matrix product and its nonlinearity: a bias, or a normalization (`norms`).

Every transform works on a stack of runs at once: activations have the shape (batch, runs, features), parameters
(runs, features). The gradient that ``backward`` receives already carries the learning rate (`bnpipe.networks.network`
says why), so a parameter's update is plain subtraction.

Transforms are plain classes: looking up parameters as attributes of a torch.nn.Module would cost 3% of a step of ten
networks.
"""

from abc import ABC, abstractmethod

from torch import Tensor

from bnpipe.core.settings import TrainingSettings
from bnpipe.networks.kernels import sum_over_batch


class Transform(ABC):
    """One layer's transform of z, the product of inputs and weights.

    It is built from the layer's weights (runs, fan_in, features); its state has their type and device.
    Its own parameters learn with ``settings.parameter_rate`` times the learning rate of the weights.
    """

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Transform z (batch, runs, features) in training mode; may overwrite z and keeps what backward needs."""

    @abstractmethod
    def infer(self, z: Tensor) -> Tensor:
        """Transform z (batch, runs, features) image by image, in inference mode; may overwrite z."""

    @abstractmethod
    def backward(self, delta: Tensor) -> Tensor:
        """Take the gradient at the output, update the parameters, return the gradient at z.

        Shapes are (batch, runs, features); delta may be overwritten.
        """

    def update_weight(self, weight: Tensor) -> None:  # noqa: B027 - most transforms do not read the weights
        """Apply to the weights (runs, fan_in, features) the part of their update that comes from this transform."""

    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """Return what the transform learns, by name: not copies, run by run along the first dimension."""

    def averages(self) -> dict[str, Tensor]:
        """Return the moving averages that inference reads, in the same form; most transforms keep none."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Return everything that training changes, in the same form."""
        return {**self.parameters(), **self.averages()}


class Bias(Transform):
    """z + b, where b starts at 0 and is learned: what a network without normalization has."""

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        runs, _, features = weight.shape
        self.bias = weight.new_zeros(runs, features)
        self._rate = settings.parameter_rate

    def forward(self, z: Tensor) -> Tensor:
        return z.add_(self.bias)

    def infer(self, z: Tensor) -> Tensor:
        return z.add_(self.bias)

    def backward(self, delta: Tensor) -> Tensor:
        self.bias.sub_(sum_over_batch(delta), alpha=self._rate)
        return delta

    def parameters(self) -> dict[str, Tensor]:
        return {"bias": self.bias}
