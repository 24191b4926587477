"""The sizes of networks: how large the weights of every layer are, and how many numbers it passes on.

The convolutional network is a stack of convolutions, then a fully connected layer to the classes. Each convolution
looks at 3 x 3 pixels, with zeros around the image. If it has more channels than the layer below, it moves by two pixels
at a time and so halves rows and columns (a convolution in place of pooling: Springenberg et al. 2015, arXiv 1412.6806);
otherwise it keeps them. With 8, 8, 16, 16, 32 and 32 channels 28 x 28 pixels become 14 x 14, 7 x 7 and 4 x 4.
"""

from itertools import pairwise
from typing import NamedTuple

from bnpipe.core.settings import Shape, TrainingSettings

WINDOW = 3  # rows and columns that a convolution looks at


class Grid(NamedTuple):
    """Pixels, or units of a convolution, in rows and columns."""

    rows: int
    columns: int
    channels: int

    @property
    def units(self) -> int:
        """How many numbers it has for each image."""
        return self.rows * self.columns * self.channels


def grids(settings: TrainingSettings, shape: Shape) -> list[Grid]:
    """Return the grids of a convolutional network: the image, then what each convolution passes on."""
    found = [Grid(shape.rows, shape.columns, shape.channels)]
    for channels in settings.channels:
        below, step = found[-1], step_of(found[-1].channels, channels)
        found.append(Grid(-(-below.rows // step), -(-below.columns // step), channels))
    return found


def step_of(below: int, channels: int) -> int:
    """Return the stride of a convolution in pixels, given its channels and those of the layer below."""
    return 2 if channels > below else 1


def weight_sizes(settings: TrainingSettings, shape: Shape) -> list[tuple[int, int]]:
    """Return fan_in and fan_out of the weights of every layer, first layer first."""
    if settings.network == "fully_connected":
        return list(pairwise(settings.layer_sizes(shape)))
    found = grids(settings, shape)
    convolutions = [(WINDOW**2 * below.channels, grid.channels) for below, grid in pairwise(found)]
    return [*convolutions, (found[-1].units, shape.classes)]


def units(settings: TrainingSettings, shape: Shape) -> list[int]:
    """Return how many numbers each layer has for an image: the pixels first, the classes last."""
    if settings.network == "fully_connected":
        return list(settings.layer_sizes(shape))
    return [*(grid.units for grid in grids(settings, shape)), shape.classes]
