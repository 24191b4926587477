"""Fully connected networks, a stack of them at a time, with the gradient step written out.

Weights are (runs, fan_in, fan_out) and activations (batch, runs, features), so that one batched matrix product
serves every run of the stack, and batch normalization sees a batch of runs x features channels.
On the CPU a run gives the same bits alone and in a stack.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bnpipe.networks.kernels import log_softmax, product, subtract_product
from bnpipe.networks.nonlinearities import Nonlinearity
from bnpipe.networks.transforms import Transform

Observe = Callable[[str, int, Tensor], None]  # is given the name of a quantity, the layer, and its values


class StackedNetwork:
    """Networks of one shape: products, transforms (bias or normalization), nonlinearities, linear logits.

    An observer, if one is given, sees three quantities of every layer, each (batch, runs, features): "z", the product;
    "output", what the layer passes on; and in the backward pass "delta", the gradient at z times the factor that the
    gradient given to ``descend`` carries. They are overwritten afterwards: the observer must copy what it keeps.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        transforms: Sequence[Transform],
        nonlinearity: Nonlinearity,
        weights_learn: bool = True,
    ) -> None:
        """Take for each layer the weights, a tensor (runs, fan_in, fan_out), and a transform."""
        self.layers = tuple(zip(weights, transforms, strict=True))
        self._nonlinearity = nonlinearity
        self._weights_learn = weights_learn
        self._inputs: list[Tensor] = []  # of each layer, kept for the backward pass

    @property
    def precision(self) -> torch.dtype:
        """The type of all numbers of the networks."""
        return self.layers[0][0].dtype

    def state_of_layers(self) -> list[dict[str, Tensor]]:
        """Return everything that training changes, of each layer by name: not copies, run by run along dimension 0."""
        return [{"weight": weight, **transform.state()} for weight, transform in self.layers]

    def state(self) -> dict[str, Tensor]:
        """Return the same of all layers, by layer number and name: ``0.weight``."""
        return {
            f"{number}.{name}": tensor
            for number, layer in enumerate(self.state_of_layers())
            for name, tensor in layer.items()
        }

    def forward(self, images: Tensor, observe: Observe | None = None) -> Tensor:
        """Return the logits (batch, runs, classes) of images (batch, runs, pixels), in training mode."""
        self._inputs = []
        out = images
        for layer, (weight, transform) in enumerate(self.layers):
            self._inputs.append(out)
            z = product(out, weight)
            if observe:
                observe("z", layer, z)
            out = transform.forward(z)
            if layer < len(self.layers) - 1:
                out = self._nonlinearity.forward(out)
            if observe:
                observe("output", layer, out)
        return out

    def infer(self, images: Tensor) -> Tensor:
        """Return the logits (batch, runs, classes) of images (batch, pixels), the same for all runs; inference mode."""
        (weight, transform), *above = self.layers
        z = transform.infer(product(images.unsqueeze(1), weight))
        for weight, transform in above:
            z = transform.infer(product(self._nonlinearity.forward(z), weight))
        return z

    def descend(self, delta: Tensor, observe: Observe | None = None) -> None:
        """Take one step of gradient descent, given delta, the learning rate times the gradient at the logits.

        delta: (batch, runs, classes). The gradient is linear in delta. Since delta carries the learning rate of each
        run, every gradient below it is an update, and is subtracted from the weights as soon as it is formed: no
        gradient is kept, and no optimizer passes over the weights again.
        """
        for layer in reversed(range(len(self.layers))):
            (weight, transform), inputs = self.layers[layer], self._inputs[layer]
            delta = transform.backward(delta)
            if observe:
                observe("delta", layer, delta)
            delta_inputs = product(delta, weight.transpose(1, 2)) if layer else None
            if self._weights_learn:
                transform.update_weight(weight)
                subtract_product(weight, inputs, delta)
            if delta_inputs is not None:
                delta = self._nonlinearity.backward(delta_inputs, inputs)


def cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the softmax cross-entropy, mean over the batch, and its gradient at the logits.

    logits: (batch, runs, classes); labels: (batch, runs), int64. Returns the loss (runs,) and the gradient
    (softmax - one-hot) / batch, shape (batch, runs, classes).
    """
    log_probabilities = log_softmax(logits)
    picked = labels.unsqueeze(2)
    # One row for each run: the rounding of sums down columns would depend on the number of columns.
    loss = -log_probabilities.gather(2, picked).squeeze(2).T.contiguous().mean(dim=1)
    gradient = log_probabilities.exp_()
    gradient.scatter_add_(2, picked, gradient.new_full((1, 1, 1), -1).expand_as(picked))
    return loss, gradient.div_(logits.shape[0])
