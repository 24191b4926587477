"""What stands between a layer's matrix product and its nonlinearity: a bias, or a normalization.

Every transform works on a stack of runs at once: activations have the shape (batch, runs, features), parameters
(runs, features). Gradients are written out rather than left to autograd, which saved 15 to 20% of a training step
in prototypes; tests hold them against autograd.

The gradient that ``backward`` receives already carries the learning rate (`bnpipe.networks.network` says why), so a
parameter's update is plain subtraction.

A new arm is a class with ``forward``, ``infer``, ``backward`` and ``state``, and an entry in `TRANSFORMS`. These are
plain classes: as attributes of a torch.nn.Module, parameters would cost 3% of a step of ten networks to look up.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from bnpipe.core.settings import Arm, TrainingSettings
from bnpipe.networks.kernels import sum_over_batch
from bnpipe.networks.nonlinearities import IDENTITY, NONLINEARITIES, Nonlinearity


class Transform(ABC):
    """One layer's transform of z, the product of inputs and weights.

    It is built from the layer's weights (runs, fan_in, features), with whose type and device its state begins.
    Its own parameters learn with ``settings.parameter_rate`` times the learning rate of the weights.
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

    def update_weight(self, weight: Tensor) -> None:  # noqa: B027 - most transforms do not read the weights
        """Add to the update of the weights, which follows, what they owe to a transform that reads them."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that training changes, by name; run by run along the first dimension. They are no copies."""


class Bias(Transform):
    """z + b, with b learned from 0: what a network without normalization has."""

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
        self.moving_average_weight = settings.moving_average_weight
        self._epsilon = settings.epsilon
        self._rate = settings.parameter_rate
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
            *(True, self.moving_average_weight, self._epsilon),
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
        self.gamma.sub_(slope_gamma, alpha=self._rate)
        self.beta.sub_(slope_beta, alpha=self._rate)
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


class FeatureNorm(Transform):
    """Normalization of an image over its own features: the same in training and at inference, whatever the batch.

    y = gamma * x_hat + beta with x_hat = (z - mean) / sqrt(variance + epsilon), where mean and variance are taken over
    each of ``groups`` groups of neighbouring features. One group is layer normalization (Ba, Kiros & Hinton 2016),
    more are group normalization (Wu & He 2018). Where it does not centre, mean is 0 and variance the mean square:
    RMS normalization (Zhang & Sennrich 2019), here with a beta, since the other arms have a shift too.
    """

    def __init__(self, weight: Tensor, settings: TrainingSettings, groups: int, centred: bool) -> None:
        runs, _, features = weight.shape
        self.gamma = weight.new_ones(runs, features)
        self.beta = weight.new_zeros(runs, features)
        self._groups = (groups, features // groups)
        self._centred = centred
        self._epsilon = settings.epsilon
        self._rate = settings.parameter_rate
        self._x_hat = self._inverse_std = weight.new_empty(0)  # kept for the backward pass

    def forward(self, z: Tensor) -> Tensor:
        self._x_hat, self._inverse_std = self._normalized(z)
        return torch.addcmul(self.beta, self._x_hat, self.gamma)

    def infer(self, z: Tensor) -> Tensor:
        return self._normalized(z)[0].mul_(self.gamma).add_(self.beta)

    def _normalized(self, z: Tensor) -> tuple[Tensor, Tensor]:
        grouped = z.view(*z.shape[:2], *self._groups)  # (batch, runs, groups, features of a group)
        if self._centred:
            grouped = grouped - self._mean(grouped)
        inverse_std = torch.rsqrt(self._mean(grouped * grouped) + self._epsilon)
        return (grouped * inverse_std).flatten(2), inverse_std

    def backward(self, delta: Tensor) -> Tensor:
        # dL/dz = (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(variance + epsilon) with g = gamma * delta and means
        # over the group; what does not centre has no mean(g).
        slopes = sum_over_batch(delta * self._x_hat), sum_over_batch(delta)
        g, x_hat = (values.view(*delta.shape[:2], *self._groups) for values in (delta * self.gamma, self._x_hat))
        delta_z = torch.addcmul(g, x_hat, self._mean(g * x_hat), value=-1)
        if self._centred:
            delta_z -= self._mean(g)
        self.gamma.sub_(slopes[0], alpha=self._rate)
        self.beta.sub_(slopes[1], alpha=self._rate)
        return delta_z.mul_(self._inverse_std).flatten(2)

    @staticmethod
    def _mean(values: Tensor) -> Tensor:
        return values.mean(dim=3, keepdim=True)

    def state(self) -> dict[str, Tensor]:
        return {"gamma": self.gamma, "beta": self.beta}


class WeightNorm(Transform):
    """Weight normalization (Salimans & Kingma 2016): z / ||w|| * gamma + beta, w the weights of a unit.

    Like batch normalization it takes the scale of the weights out of the network; unlike it, without any statistics.
    """

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        runs, _, features = weight.shape
        self.gamma = weight.new_ones(runs, features)
        self.beta = weight.new_zeros(runs, features)
        self._weight = weight
        self._rate = settings.parameter_rate
        # Kept for the backward pass: z / ||w||, ||w||, and what the norm's gradient adds to the weights' update.
        self._x_hat = self._norm = self._growth = weight.new_empty(0)

    def forward(self, z: Tensor) -> Tensor:
        self._norm = torch.linalg.vector_norm(self._weight, dim=1)
        self._x_hat = z.div_(self._norm)
        return torch.addcmul(self.beta, self._x_hat, self.gamma)

    def infer(self, z: Tensor) -> Tensor:
        return z.mul_(self.gamma / torch.linalg.vector_norm(self._weight, dim=1)).add_(self.beta)

    def backward(self, delta: Tensor) -> Tensor:
        slope_gamma, slope_beta = sum_over_batch(delta * self._x_hat), sum_over_batch(delta)
        scale = self.gamma / self._norm
        # dL/dw through the norm is -gamma / ||w||^2 * dL/dgamma * w.
        self._growth = scale * slope_gamma / self._norm
        self.gamma.sub_(slope_gamma, alpha=self._rate)
        self.beta.sub_(slope_beta, alpha=self._rate)
        return delta.mul_(scale)

    def update_weight(self, weight: Tensor) -> None:
        weight.mul_((1 + self._growth).unsqueeze(1))

    def state(self) -> dict[str, Tensor]:
        return {"gamma": self.gamma, "beta": self.beta}


class AfterNonlinearity(Transform):
    """A nonlinearity and a normalization of its output: the other order, of which Ioffe & Szegedy advise against.

    The network that it stands in has no nonlinearity of its own.
    """

    def __init__(self, norm: Transform, nonlinearity: Nonlinearity) -> None:
        self.norm = norm
        self._nonlinearity = nonlinearity
        self._activation = torch.empty(0)  # kept for the backward pass

    def forward(self, z: Tensor) -> Tensor:
        self._activation = self._nonlinearity.forward(z)
        return self.norm.forward(self._activation.clone())

    def infer(self, z: Tensor) -> Tensor:
        return self.norm.infer(self._nonlinearity.forward(z))

    def backward(self, delta: Tensor) -> Tensor:
        return self._nonlinearity.backward(self.norm.backward(delta), self._activation)

    def update_weight(self, weight: Tensor) -> None:
        self.norm.update_weight(weight)

    def state(self) -> dict[str, Tensor]:
        return self.norm.state()


def transforms_of(weights: Sequence[Tensor], settings: TrainingSettings) -> tuple[list[Transform], Nonlinearity]:
    """Make the transforms of all layers of an arm, and say which nonlinearity is left to the network.

    weights: of every layer, (runs, fan_in, features). Where the logits are not normalized they have a bias.
    """
    make, nonlinearity = TRANSFORMS[settings.arm], NONLINEARITIES[settings.activation]
    transforms = [make(weight, settings) for weight in weights[:-1]]
    logits = (make if settings.normalize_logits else Bias)(weights[-1], settings)
    if settings.position == "after" and settings.arm not in WITHOUT_STATISTICS:
        return [*(AfterNonlinearity(transform, nonlinearity) for transform in transforms), logits], IDENTITY
    return [*transforms, logits], nonlinearity


def batch_norms(layers: Iterable[tuple[Tensor, Transform]]) -> list[BatchNorm]:
    """Return the batch normalizations among the transforms of a network."""
    transforms = (transform.norm if isinstance(transform, AfterNonlinearity) else transform for _, transform in layers)
    return [transform for transform in transforms if isinstance(transform, BatchNorm)]


TRANSFORMS: dict[Arm, Callable[[Tensor, TrainingSettings], Transform]] = {
    "vanilla": Bias,
    "batchnorm": BatchNorm,
    "layernorm": lambda weight, settings: FeatureNorm(weight, settings, groups=1, centred=True),
    "groupnorm": lambda weight, settings: FeatureNorm(weight, settings, groups=settings.groups, centred=True),
    "rmsnorm": lambda weight, settings: FeatureNorm(weight, settings, groups=1, centred=False),
    "weightnorm": WeightNorm,
}
WITHOUT_STATISTICS: tuple[Arm, ...] = ("vanilla", "weightnorm")  # for them there is no order to choose
