"""The normalizations, which come between a layer's matrix product and its nonlinearity, and the transforms of each arm.

A new arm is a class with the methods of `bnpipe.networks.transforms.Transform` and an entry in `TRANSFORMS`. The
gradients are written out instead of left to autograd, which saved 15 to 20% of a training step in prototypes; tests
compare them with autograd.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from bnpipe.core.settings import Arm, TrainingSettings
from bnpipe.networks.kernels import sum_over_batch
from bnpipe.networks.nonlinearities import IDENTITY, NONLINEARITIES, Nonlinearity
from bnpipe.networks.transforms import Bias, Transform


class BatchNorm(Transform):
    """Batch normalization (Ioffe & Szegedy 2015, algorithm 1), with one mean and variance for each feature and run.

    Training: y = gamma * x_hat + beta with x_hat = (z - mean) / sqrt(variance + epsilon), where
    variance = sum((z - mean)^2) / m over the m images of the batch (the biased one).
    Inference: moving averages replace mean and variance. They start at 0 and 1 and move by
    moving += weight * (batch - moving); TensorFlow writes weight = 1 - momentum, PyTorch weight = momentum.
    ``settings.moving_variance`` says which variance is averaged: the biased one (TensorFlow 1) or m / (m - 1) times
    it (PyTorch).

    Parameters and averages are (runs * features,): for the kernels a stack is one layer with this many channels.
    """

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        runs, _, features = weight.shape
        # PyTorch's kernel averages m / (m - 1) times the biased variance. Averaging is linear: if this average starts
        # at m / (m - 1) times the start of the biased one, it stays that multiple of it.
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
        """The moving average of the variance (runs * features,), in the convention of the settings."""
        return self._unbiased_variance * self._variance_factor

    def set_averages(self, mean: Tensor, variance: Tensor) -> None:
        """Overwrite the moving averages, both (runs * features,); variance in the convention of the settings."""
        self.moving_mean.copy_(mean)
        self._unbiased_variance.copy_(variance / self._variance_factor)

    def forward(self, z: Tensor) -> Tensor:
        # One fused kernel: written out it takes twice the time on the CPU, and eleven launches on a GPU.
        self._z = z.flatten(1)
        y, self._mean, self._inverse_std = torch.native_batch_norm(
            self._z,
            self.gamma,
            self.beta,
            self.moving_mean,
            self._unbiased_variance,
            training=True,
            momentum=self.moving_average_weight,
            eps=self._epsilon,
        )
        return y.view_as(z)

    def infer(self, z: Tensor) -> Tensor:
        scale = self.gamma * torch.rsqrt(self.moving_variance + self._epsilon)
        shift = self.beta - self.moving_mean * scale
        flat = z.flatten(1)
        return torch.addcmul(shift, flat, scale, out=flat).view_as(z)

    def backward(self, delta: Tensor) -> Tensor:
        # The fused kernel's rounding depends on a channel's place in the stack. On the CPU it must not.
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
            delta,
            self._z,
            self.gamma,
            running_mean=None,
            running_var=None,
            save_mean=self._mean,
            save_invstd=self._inverse_std,
            train=True,
            eps=self._epsilon,
            output_mask=[True, True, True],
        )
        return gradients

    def parameters(self) -> dict[str, Tensor]:
        return {"gamma": self.gamma, "beta": self.beta}

    def averages(self) -> dict[str, Tensor]:
        return {"moving_mean": self.moving_mean, "unbiased_moving_variance": self._unbiased_variance}


class FeatureNorm(Transform):
    """Normalization of each image over its own features: the same in training and inference, whatever the batch.

    y = gamma * x_hat + beta with x_hat = (z - mean) / sqrt(variance + epsilon), where mean and variance are taken over
    each of ``groups`` groups of neighbouring features. One group is layer normalization (Ba, Kiros & Hinton 2016),
    several are group normalization (Wu & He 2018). If ``centred`` is false, mean is 0 and variance is the mean square:
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
        grouped = self._grouped(z)
        if self._centred:
            grouped = grouped - self._mean(grouped)
        inverse_std = torch.rsqrt(self._mean(grouped * grouped) + self._epsilon)
        return (grouped * inverse_std).flatten(2), inverse_std

    def backward(self, delta: Tensor) -> Tensor:
        # dL/dz = (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(variance + epsilon) with g = gamma * delta and means
        # over the group; without centring there is no mean(g).
        slopes = sum_over_batch(delta * self._x_hat), sum_over_batch(delta)
        g, x_hat = (self._grouped(values) for values in (delta * self.gamma, self._x_hat))
        delta_z = torch.addcmul(g, x_hat, self._mean(g * x_hat), value=-1)
        if self._centred:
            delta_z -= self._mean(g)
        self.gamma.sub_(slopes[0], alpha=self._rate)
        self.beta.sub_(slopes[1], alpha=self._rate)
        return delta_z.mul_(self._inverse_std).flatten(2)

    def _grouped(self, values: Tensor) -> Tensor:
        """View values (batch, runs, features) as (batch, runs, groups, features of a group)."""
        batch, runs, _ = values.shape
        groups, features = self._groups
        return values.view(batch, runs, groups, features)

    @staticmethod
    def _mean(values: Tensor) -> Tensor:
        return values.mean(dim=3, keepdim=True)

    def parameters(self) -> dict[str, Tensor]:
        return {"gamma": self.gamma, "beta": self.beta}


class WeightNorm(Transform):
    """Weight normalization (Salimans & Kingma 2016): z / ||w|| * gamma + beta, where w are the weights of a unit.

    Like batch normalization it takes the scale of the weights out of the network, but without any statistics.
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

    def parameters(self) -> dict[str, Tensor]:
        return {"gamma": self.gamma, "beta": self.beta}


class AfterNonlinearity(Transform):
    """A nonlinearity and a normalization of its output: the other order, which Ioffe & Szegedy advise against.

    A network of these transforms has no nonlinearity of its own.
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

    def parameters(self) -> dict[str, Tensor]:
        return self.norm.parameters()

    def averages(self) -> dict[str, Tensor]:
        return self.norm.averages()


def transforms_of(weights: Sequence[Tensor], settings: TrainingSettings) -> tuple[list[Transform], Nonlinearity]:
    """Make the transforms of all layers of an arm, and return them with the nonlinearity that is left to the network.

    weights: of every layer, (runs, fan_in, features). Logits that are not normalized have a bias.
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
WITHOUT_STATISTICS: tuple[Arm, ...] = ("vanilla", "weightnorm")  # these arms have no order to choose
