"""Networks as PyTorch modules, a stack of them at a time.

Weights are (runs, fan_in, fan_out) and activations (runs, batch, units), so that one batched matrix product serves
every run of the stack. In a convolution the unit is a channel, and every place in every image is a row: activations are
(runs, batch * rows * columns, channels). So a transform, which takes its statistics over dimension 1, normalizes each
channel over batch, rows and columns (Ioffe & Szegedy 2015, section 3.2).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bnpipe.core.settings import Arm, Runs, Shape, TrainingSettings
from bnpipe.modules.norms import NoisyBatchNorm
from bnpipe.modules.parts import WITHOUT_STATISTICS, nonlinearity_of, transform_of
from bnpipe.networks.seeds import weights_of_sizes
from bnpipe.networks.sizes import WINDOW, Grid, grids, step_of, weight_sizes

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}


def arm_of_layer(settings: TrainingSettings, is_last: bool) -> Arm:
    """Return the arm whose transform a layer has."""
    if not (settings.normalize_logits if is_last else settings.normalize_hidden):
        return "vanilla"
    is_noisy_logits = is_last and settings.arm == "noisybatchnorm"  # the noise is for the inputs of layers
    return "batchnorm" if is_noisy_logits else settings.arm


class Layer(nn.Module):
    """A product, its transform (bias or normalization) and a nonlinearity, in the order of the settings."""

    def __init__(self, weight: Tensor, settings: TrainingSettings, is_last: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=settings.trained == "all")
        arm = arm_of_layer(settings, is_last)
        self.transform = transform_of(arm, self.weight, settings)
        self._after = settings.position == "after" and arm not in WITHOUT_STATISTICS
        self._nonlinearity = nn.Identity() if is_last else nonlinearity_of(settings.activation)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return z, the product, and what the layer passes on, both (runs, batch, units)."""
        z = self.product(inputs)
        output: Tensor = self.transform(self._nonlinearity(z)) if self._after else self._nonlinearity(self.transform(z))
        return z, output

    def product(self, inputs: Tensor) -> Tensor:
        """Return the product, (runs, batch, units). The outputs of a convolution below become one row per image."""
        return inputs.reshape(len(inputs), -1, self.weight.shape[1]) @ self.weight


class Convolution(Layer):
    """A layer whose product is a convolution: see `bnpipe.networks.sizes`.

    Its weights are (runs, 9 * channels below, channels): all channels below of each of the 3 x 3 pixels, row after row.
    """

    def __init__(self, weight: Tensor, settings: TrainingSettings, below: Grid) -> None:
        super().__init__(weight, settings, is_last=False)
        self._below = below
        self._step = step_of(below.channels, weight.shape[2])

    def product(self, inputs: Tensor) -> Tensor:
        """Return the product, (runs, batch * rows * columns, channels), of inputs of the same form, or of images."""
        runs, _, channels = self.weight.shape
        rows, columns, below = self._below
        # The channels of all runs stand side by side, as PyTorch expects groups. For a single run, nothing is copied.
        images = inputs.reshape(runs, -1, rows, columns, below).permute(1, 0, 4, 2, 3).flatten(1, 2)
        kernels = self.weight.view(runs, WINDOW, WINDOW, below, channels).permute(0, 4, 3, 1, 2).flatten(0, 1)
        z = functional.conv2d(images, kernels, stride=self._step, padding=WINDOW // 2, groups=runs)
        return z.reshape(len(z), runs, channels, -1).permute(1, 0, 3, 2).reshape(runs, -1, channels)


class StackedNetwork(nn.Module):
    """Networks of one shape, one for each run."""

    layers: Sequence[Layer]

    def __init__(
        self,
        weights: Sequence[Tensor],
        settings: TrainingSettings,
        seeds: Sequence[int] | None = None,
        convolved: Sequence[Grid] = (),
    ) -> None:
        """Take the weights (runs, fan_in, fan_out) of every layer, first layer first.

        seeds: of the runs, for an arm with noise; None: 0 for each. convolved: the grid that each convolution takes;
        the layers above are fully connected.
        """
        super().__init__()
        first, last = len(convolved), len(weights) - 1
        convolutions = [Convolution(weight, settings, below) for weight, below in zip(weights, convolved, strict=False)]
        connected = [Layer(weight, settings, n == last) for n, weight in enumerate(weights[first:], first)]
        self.layers = nn.ModuleList([*convolutions, *connected])  # type: ignore[assignment]
        for number, layer in enumerate(self.layers):
            if isinstance(layer.transform, NoisyBatchNorm):
                layer.transform.seed(seeds or [0] * len(layer.weight), number)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (runs, batch, classes) of images (runs, batch, pixels)."""
        return self.observed(images)[-1][1]

    def observed(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return z and output of every layer, see `Layer`."""
        found = [(images, images)]
        for layer in self.layers:
            found.append(layer(found[-1][1]))
        return found[1:]


def losses_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the softmax cross-entropy of every run, mean over the batch: (runs,).

    logits: (runs, batch, classes); labels: (runs, batch).
    """
    return functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(dim=1)


def draw_stack(
    runs: Runs, shape: Shape, streams: Sequence[np.random.RandomState], device: torch.device
) -> StackedNetwork:
    """Draw the weights of each run from its stream, and stack the networks. shape: of the data set."""
    settings = runs.settings
    sizes = weight_sizes(settings, shape)
    drawn = [weights_of_sizes(stream, sizes, std) for stream, std in zip(streams, runs.init_stds, strict=True)]
    stacked = [torch.stack([torch.from_numpy(run) for run in layer]) for layer in zip(*drawn, strict=True)]
    weights = [layer.to(device, PRECISIONS[settings.precision]) for layer in stacked]
    convolved = grids(settings, shape)[:-1] if settings.network == "convolutional" else []
    return StackedNetwork(weights, settings, runs.seeds, convolved)
