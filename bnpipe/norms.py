"""What stands between a layer's matrix product and its nonlinearity: a bias, or batch normalization.

Every transform works on a stack of runs at once: activations have the shape (batch, runs, features), parameters
(runs, features). Gradients are written out rather than left to autograd, which saved 15 to 20% of a training step
in prototypes; tests hold them against autograd.

The gradient that ``backward`` receives already carries the learning rate (`bnpipe.networks` says why), so a
parameter's update is plain subtraction.

A new arm is a class with ``forward``, ``infer``, ``backward`` and ``state``, and an entry in `ARMS`. These are plain
classes: as attributes of a torch.nn.Module, parameters would cost 3% of a step of ten networks to look up.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from bnpipe.kernels import sum_over_batch
from bnpipe.settings import Arm, TrainingSettings


class Transform(ABC):
    """One layer's transform of z, the product of inputs and weights.

    It is built from the layer's weights (runs, fan_in, features), with whose type and device its state begins.
    """

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Training mode: transform z (batch, runs, features); may overwrite z and keeps what backward needs."""

    @abstractmethod
    def infer(self, z: Tensor) -> Tensor:
        """Inference mode: transform z (batch, runs, features) image by image; may overwrite z."""

    @abstractmethod
    def backward(self, delta: Tensor) -> Tensor:
        """Take the gradient at the output, update the parameters, return the gradient at z.

        Shapes are (batch, runs, features); delta may be overwritten.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that training changes, by name; run by run along the first dimension. They are no copies."""


class Bias(Transform):
    """z + b, with b learned from 0: what a network without normalization has."""

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:  # noqa: ARG002
        runs, _, features = weight.shape
        self.bias = weight.new_zeros(runs, features)

    def forward(self, z: Tensor) -> Tensor:
        return z.add_(self.bias)

    def infer(self, z: Tensor) -> Tensor:
        return z.add_(self.bias)

    def backward(self, delta: Tensor) -> Tensor:
        self.bias.sub_(sum_over_batch(delta))
        return delta

    def state(self) -> dict[str, Tensor]:
        return {"bias": self.bias}


class BatchNorm(Transform):
    """Batch normalization (Ioffe & Szegedy 2015, algorithm 1), one mean and variance a feature and run.

    Training: y = gamma * x_hat + beta with x_hat = (z - mean) / sqrt(variance + epsilon), where
    variance = sum((z - mean)^2) / m over the m images of the batch (the biased one).
    Inference: the moving averages stand in for mean and variance. They start at 0 and 1 and move by
    moving += weight * (batch - moving); TensorFlow writes weight = 1 - momentum, PyTorch weight = momentum.
    The averaged variance is the biased one (TensorFlow 1) or m / (m - 1) times it (PyTorch), as
    ``settings.moving_variance`` says.

    Parameters and averages are (runs * features,): to the kernels a stack is one layer with as many channels.
    """

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        runs, _, features = weight.shape
        # PyTorch's kernel averages m / (m - 1) times the variance. An average is linear, so one that starts at
        # m / (m - 1) times the biased one's start stays that multiple of it.
        m = settings.batch_size
        self._variance_factor = (m - 1) / m if settings.moving_variance == "biased" else 1.0
        self.gamma = weight.new_ones(runs * features)
        self.beta = weight.new_zeros(runs * features)
        self.moving_mean = weight.new_zeros(runs * features)
        self._unbiased_variance = weight.new_full((runs * features,), 1 / self._variance_factor)
        self._weight = settings.moving_average_weight
        self._epsilon = settings.epsilon
        self._z = self._mean = self._inverse_std = weight.new_empty(0)  # kept for the backward pass

    @property
    def moving_variance(self) -> Tensor:
        """The moving average of the variance, in the convention that the settings ask for."""
        return self._unbiased_variance * self._variance_factor

    def forward(self, z: Tensor) -> Tensor:
        # One fused kernel: written out it takes twice the time on the CPU, and eleven launches on a GPU.
        self._z = z.flatten(1)
        y, self._mean, self._inverse_std = torch.native_batch_norm(
            *(self._z, self.gamma, self.beta, self.moving_mean, self._unbiased_variance),
            *(True, self._weight, self._epsilon),
        )
        return y.view_as(z)

    def infer(self, z: Tensor) -> Tensor:
        scale = self.gamma * torch.rsqrt(self.moving_variance + self._epsilon)
        shift = self.beta - self.moving_mean * scale
        flat = z.flatten(1)
        return torch.addcmul(shift, flat, scale, out=flat).view_as(z)

    def backward(self, delta: Tensor) -> Tensor:
        # The fused kernel rounds by a channel's place in the stack. On the CPU the place must not matter.
        gradients = self._gradients if delta.is_cpu else self._fused_gradients
        delta_z, slope_gamma, slope_beta = gradients(delta.flatten(1))
        self.gamma.sub_(slope_gamma)
        self.beta.sub_(slope_beta)
        return delta_z.view_as(delta)

    def _gradients(self, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # dL/dgamma = sum(delta * x_hat), dL/dbeta = sum(delta), and, the chain rule of the paper's section 3
        # collected, dL/dz = gamma / sqrt(variance + epsilon) * (delta - dL/dbeta / m - x_hat * dL/dgamma / m).
        m = delta.shape[0]
        centred = self._z.sub_(self._mean)
        slope_gamma = sum_over_batch(delta * centred).mul_(self._inverse_std)
        slope_beta = sum_over_batch(delta)
        scale = self.gamma * self._inverse_std
        per_image = scale / -m
        torch.addcmul(slope_beta * per_image, delta, scale, out=delta)
        delta.addcmul_(centred, (slope_gamma * per_image).mul_(self._inverse_std))
        return delta, slope_gamma, slope_beta

    def _fused_gradients(self, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward(
            *(delta, self._z, self.gamma, None, None, self._mean, self._inverse_std),
            *(True, self._epsilon, [True, True, True]),
        )
        return gradients

    def state(self) -> dict[str, Tensor]:
        return {
            "gamma": self.gamma,
            "beta": self.beta,
            "moving_mean": self.moving_mean,
            "unbiased_moving_variance": self._unbiased_variance,
        }


ARMS: dict[Arm, Callable[[Tensor, TrainingSettings], Transform]] = {
    "vanilla": Bias,
    "batchnorm": BatchNorm,
}
