"""The normalizations as PyTorch modules, which come between a layer's product and its nonlinearity.

Activations are (runs, batch, units), parameters (runs, 1, units). An arm is a module with a ``forward`` that is built
from the layer's weights (runs, fan_in, units) and the settings. What it learns is a Parameter, what it averages a
buffer; gradients come from autograd, and `training` tells training from inference. `bnpipe.modules.parts` finds these
modules, and those that a user has written, by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bnpipe.core.settings import TrainingSettings
from bnpipe.modules.noise import normal, random_bits, two_uniforms


def one_for_each_unit(weight: Tensor, value: float) -> Tensor:
    """Return (runs, 1, units) of one value, for weights (runs, fan_in, units)."""
    return weight.new_full((len(weight), 1, weight.shape[2]), value)


class Bias(nn.Module):
    """z + b, where b starts at 0: what a network without normalization has."""

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:  # noqa: ARG002 - all transforms take both
        super().__init__()
        self.beta = nn.Parameter(one_for_each_unit(weight, 0))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.beta


class Scaled(nn.Module, ABC):
    """gamma * x_hat + beta, where subclasses define x_hat."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.gamma = nn.Parameter(one_for_each_unit(weight, 1))
        self.beta = nn.Parameter(one_for_each_unit(weight, 0))

    def forward(self, z: Tensor) -> Tensor:
        return self.gamma * self.normalize(z) + self.beta

    @abstractmethod
    def normalize(self, z: Tensor) -> Tensor:
        """Return x_hat, of the shape of z."""


class BatchNorm(Scaled):
    """Batch normalization (Ioffe & Szegedy 2015, algorithm 1), with one mean and variance for each unit and run.

    Training: x_hat = (z - mean) / sqrt(variance + epsilon), where variance = sum((z - mean)^2) / m over the m images of
    the batch (the biased one). Inference: moving averages replace mean and variance. They start at 0 and 1 and move by
    moving += weight * (batch - moving); TensorFlow writes weight = 1 - momentum, PyTorch weight = momentum.
    ``settings.moving_variance`` says which variance is averaged: the biased one (TensorFlow 1) or m / (m - 1) times it
    (PyTorch).
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        super().__init__(weight)
        self.register_buffer("mean", one_for_each_unit(weight, 0))
        self.register_buffer("variance", one_for_each_unit(weight, 1))
        self.newest = settings.moving_average_weight
        self._correction = int(settings.moving_variance == "unbiased")
        self.epsilon = settings.epsilon

    def normalize(self, z: Tensor) -> Tensor:
        mean, variance = self.mean, self.variance
        if self.training:
            variance, mean = torch.var_mean(z, dim=1, keepdim=True, correction=0)
            self.move_averages(mean, variance, z.shape[1])
        return (z - mean) * torch.rsqrt(variance + self.epsilon)

    @torch.no_grad()
    def move_averages(self, mean: Tensor, variance: Tensor, m: int) -> None:
        """Move the moving averages towards the mean and biased variance, (runs, 1, units), of m images."""
        self.mean.lerp_(mean, self.newest)
        self.variance.lerp_(variance * (m / (m - self._correction)), self.newest)


class NoisyBatchNorm(BatchNorm):
    """Batch normalization whose output y = gamma * x_hat + beta becomes s * y + m in training, with random s and m.

    This is the "noisy" BatchNorm of Santurkar et al. 2018 (arXiv 1805.11604, section 2.2 and algorithm 1 of the
    appendix): it makes the distribution of every layer's inputs move from step to step. At every step each unit draws

        mu ~ U(-0.5, 0.5), sigma ~ U(1, 1.25),

    and with them each image of the mini-batch draws in this unit

        m ~ U(mu - 0.1, mu + 0.1), s ~ N(sigma, 0.1).

    The constants are quoted from memory: the appendix could not be consulted. It is our reading that 0.1 is the
    standard deviation of s and not its variance. Inference has no noise and is plain batch normalization. Every number
    is a function of seed, layer, step, unit and place of the image in the mini-batch, see `bnpipe.modules.noise`.
    """

    key: Tensor  # (runs, 1, 1), int64: of the run and the layer
    step: Tensor  # (runs, 1, 1), int64: how many mini-batches have been seen in training mode

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        super().__init__(weight, settings)
        for name in ("key", "step"):
            self.register_buffer(name, weight.new_zeros((len(weight), 1, 1), dtype=torch.int64))

    def seed(self, seeds: Sequence[int], layer: int) -> None:
        """Set the seed of every run and the number of the layer."""
        of_runs = self.key.new_tensor(seeds).view(-1, 1, 1)
        self.key.copy_(random_bits(of_runs, torch.full_like(of_runs, layer)))

    def forward(self, z: Tensor) -> Tensor:
        output = super().forward(z)
        if not self.training:
            return output
        scale, shift = self.draw(*z.shape[1:])
        self.step.add_(1)
        return scale.to(z.dtype) * output + shift.to(z.dtype)

    def draw(self, images: int, units: int) -> tuple[Tensor, Tensor]:
        """Return s and m of the next mini-batch, each (runs, images, units), float64."""
        of_step = random_bits(self.key, self.step)
        of_unit = random_bits(of_step, torch.arange(units, device=self.key.device))
        of_image = random_bits(of_unit, torch.arange(images, device=self.key.device).view(-1, 1))
        (for_sigma, for_mu), (for_s, for_m) = two_uniforms(of_unit), two_uniforms(of_image)
        sigma, mu = 1 + 0.25 * for_sigma, for_mu - 0.5
        return sigma + 0.1 * normal(for_s), mu + 0.2 * for_m - 0.1


class FeatureNorm(Scaled):
    """Normalization of each image over its own units: the same in training and inference, and for every batch.

    Mean and variance are taken over each of ``groups`` groups of neighbouring units. One group is layer normalization
    (Ba, Kiros & Hinton 2016), several are group normalization (Wu & He 2018). If ``centred`` is false, mean is 0 and
    variance is the mean square: RMS normalization (Zhang & Sennrich 2019), here with a beta, since the other arms have
    a shift too.
    """

    def __init__(self, weight: Tensor, settings: TrainingSettings, groups: int = 1, centred: bool = True) -> None:
        super().__init__(weight)
        self._groups = groups
        self._centred = centred
        self._epsilon = settings.epsilon

    def normalize(self, z: Tensor) -> Tensor:
        runs, batch, units = z.shape
        grouped = z.reshape(runs, batch, self._groups, units // self._groups)
        if self._centred:
            grouped = grouped - grouped.mean(dim=3, keepdim=True)
        variance = grouped.square().mean(dim=3, keepdim=True)
        return (grouped * torch.rsqrt(variance + self._epsilon)).flatten(2)


class WeightNorm(Scaled):
    """Weight normalization (Salimans & Kingma 2016): x_hat = z / ||w||, where w are the weights of a unit.

    Like batch normalization it takes the scale of the weights out of the network, but without any statistics.
    """

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:  # noqa: ARG002
        super().__init__(weight)
        self._weights = (weight,)  # in a tuple: they are the layer's parameter, not this module's

    def normalize(self, z: Tensor) -> Tensor:
        norms: Tensor = torch.linalg.vector_norm(self._weights[0], dim=1, keepdim=True)
        return z / norms
