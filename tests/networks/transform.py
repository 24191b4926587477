"""One layer's transform on its own, as a network calls it."""

from typing import Any

import numpy as np

from bnpipe.networks.compiled import Array, Kept, Learned, transform_backward, transform_forward, transform_infer
from bnpipe.networks.network import NUMBERS, options_of
from tests.conftest import make_settings


class Transform:
    """A transform of so many units, in double precision unless the settings say otherwise.

    z, what comes out, and gradients are (images, units).
    gamma and beta, (units,), are those that training begins with, if they are not given. weight: (fan_in, units), which
    weight normalization alone looks at.
    """

    def __init__(
        self,
        units: int,
        gamma: Array | None = None,
        beta: Array | None = None,
        weight: Array | None = None,
        **changes: Any,
    ) -> None:
        settings = make_settings(**{"precision": "float64", **changes})
        self.number = NUMBERS[settings.precision]
        self.options = options_of(settings)
        mean, variance = np.zeros(units, self.number), np.ones(units, self.number)
        self.learned = Learned(
            gamma=np.ones(units, self.number) if gamma is None else gamma.copy(),
            beta=np.zeros(units, self.number) if beta is None else beta.copy(),
            mean=mean,
            variance=variance,
        )
        self._weight = np.ones((1, units), self.number) if weight is None else weight
        self.kept = self._room(1)

    def forward(self, z: Array) -> Array:
        """Return the transform of z in training mode."""
        y, self.kept = z.copy(), self._room(len(z))
        transform_forward(self.options, self.learned, self._weight, y, self.kept)
        return y

    def infer(self, z: Array) -> Array:
        """Return the transform of z in inference mode."""
        y = z.copy()
        transform_infer(self.options, self.learned, self._weight, y, self._room(len(z)))
        return y

    def backward(self, delta: Array) -> Array:
        """Return the gradient at the z that `forward` was given last, and update gamma and beta."""
        of_z = delta.copy()
        transform_backward(self.options, self.learned, of_z, self.kept, np.empty((2, delta.shape[1]), self.number))
        return of_z

    def _room(self, images: int) -> Kept:
        units = len(self.learned.gamma)
        lengths = (images * units, units)
        return Kept(np.empty((images, units), self.number), *(np.empty(length, self.number) for length in lengths))
