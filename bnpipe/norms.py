"""What stands between a layer's matrix product and its nonlinearity: a bias, or batch normalization.

Every transform works on a stack of runs at once: activations have the shape (runs, batch, features), parameters
(runs, 1, features). Gradients are written out rather than left to autograd, which saved 15 to 20% of a
training step in prototypes; tests hold them against autograd.

The gradient that ``backward`` receives already carries the learning rate (`bnpipe.networks` says why), so a
parameter's update is plain subtraction.

A new arm is a class with ``forward``, ``infer`` and ``backward``, and an entry in `ARMS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnpipe.settings import Arm, TrainingSettings


class Transform(nn.Module, ABC):
    """One layer's transform of z, the product of inputs and weights. Subclasses hold their state in buffers."""

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Training mode: transform z (runs, batch, features); may overwrite z and keeps what backward needs."""

    @abstractmethod
    def infer(self, z: Tensor) -> Tensor:
        """Inference mode: transform z (runs, batch, features) image by image; may overwrite z."""

    @abstractmethod
    def backward(self, delta: Tensor) -> Tensor:
        """Take the gradient at the output, update the parameters, return the gradient at z.

        Shapes are (runs, batch, features); delta may be overwritten.
        """


class Bias(Transform):
    """z + b, with b learned from 0: what a network without normalization has."""

    bias: Tensor

    def __init__(self, runs: int, features: int, settings: TrainingSettings) -> None:  # noqa: ARG002
        super().__init__()
        self.register_buffer("bias", torch.zeros(runs, 1, features))

    def forward(self, z: Tensor) -> Tensor:
        return z.add_(self.bias)

    def infer(self, z: Tensor) -> Tensor:
        return z.add_(self.bias)

    def backward(self, delta: Tensor) -> Tensor:
        self.bias -= delta.sum(dim=1, keepdim=True)
        return delta


class BatchNorm(Transform):
    """Batch normalization (Ioffe & Szegedy 2015, algorithm 1), one mean and variance a feature and run.

    Training: y = gamma * x_hat + beta with x_hat = (z - mean) / sqrt(variance + epsilon), where
    variance = sum((z - mean)^2) / m over the m images of the batch (the biased one).
    Inference: the moving averages stand in for mean and variance. They start at 0 and 1 and move by
    moving += weight * (batch - moving); TensorFlow writes weight = 1 - momentum, PyTorch weight = momentum.
    The averaged variance is the biased one (TensorFlow 1) or m / (m - 1) times it (PyTorch), as
    ``settings.moving_variance`` says.
    """

    gamma: Tensor
    beta: Tensor
    moving_mean: Tensor
    moving_variance: Tensor

    def __init__(self, runs: int, features: int, settings: TrainingSettings) -> None:
        super().__init__()
        shape = (runs, 1, features)
        self.register_buffer("gamma", torch.ones(shape))
        self.register_buffer("beta", torch.zeros(shape))
        self.register_buffer("moving_mean", torch.zeros(shape))
        self.register_buffer("moving_variance", torch.ones(shape))
        self._epsilon = settings.epsilon
        self._weight = settings.moving_average_weight
        m = settings.batch_size
        self._variance_factor = m / (m - 1) if settings.moving_variance == "unbiased" else 1.0
        self._centred = torch.empty(0)  # z - mean and 1 / sqrt(variance + epsilon), kept for the backward pass
        self._inverse_std = torch.empty(0)

    def forward(self, z: Tensor) -> Tensor:
        # Sums divided by m: PyTorch's mean over the batch takes three times as long.
        m = z.shape[1]
        mean = z.sum(dim=1, keepdim=True).div_(m)
        self._centred = z.sub_(mean)
        variance = (self._centred * self._centred).sum(dim=1, keepdim=True).div_(m)
        self._inverse_std = torch.rsqrt(variance + self._epsilon)
        self.moving_mean.lerp_(mean, self._weight)
        self.moving_variance.lerp_(variance.mul_(self._variance_factor), self._weight)
        return torch.addcmul(self.beta, self._centred, self.gamma * self._inverse_std)

    def infer(self, z: Tensor) -> Tensor:
        scale = self.gamma * torch.rsqrt(self.moving_variance + self._epsilon)
        shift = self.beta - self.moving_mean * scale
        return torch.addcmul(shift, z, scale, out=z)

    def backward(self, delta: Tensor) -> Tensor:
        # dL/dgamma = sum(delta * x_hat), dL/dbeta = sum(delta), and, the chain rule of the paper's section 3
        # collected, dL/dz = gamma / sqrt(variance + epsilon) * (delta - dL/dbeta / m - x_hat * dL/dgamma / m).
        m = delta.shape[1]
        slope_gamma = (delta * self._centred).sum(dim=1, keepdim=True).mul_(self._inverse_std)
        slope_beta = delta.sum(dim=1, keepdim=True)
        delta.sub_(slope_beta / m).addcmul_(self._centred, slope_gamma * self._inverse_std, value=-1 / m)
        delta.mul_(self.gamma * self._inverse_std)
        self.gamma.sub_(slope_gamma)
        self.beta.sub_(slope_beta)
        return delta


ARMS: dict[Arm, Callable[[int, int, TrainingSettings], Transform]] = {
    "vanilla": Bias,
    "batchnorm": BatchNorm,
}
