"""Fully connected networks, a stack of them at a time, with the gradient step written out.

Weights are (runs, fan_in, fan_out) and activations (batch, runs, features), so that one batched matrix product
serves every run of the stack, and a batch looks to batch normalization like one of runs x features channels.
On the CPU a run's numbers are the same bits alone and in a stack.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bnpipe.kernels import log_softmax, product, subtract_product, tanh_
from bnpipe.norms import Transform


class Nonlinearity(NamedTuple):
    """An elementwise function and its derivative, told by the function's own output."""

    forward: Callable[[Tensor], Tensor]  # overwrites its argument
    backward: Callable[[Tensor, Tensor], Tensor]  # gradient at the output, output -> gradient at the input


NONLINEARITIES: dict[str, Nonlinearity] = {
    "tanh": Nonlinearity(tanh_, torch.ops.aten.tanh_backward),
    "relu": Nonlinearity(torch.relu_, lambda delta, out: torch.ops.aten.threshold_backward(delta, out, 0)),
}


class StackedNetwork:
    """Networks of one shape: products, transforms (bias or normalization), nonlinearities, linear logits."""

    def __init__(self, weights: Sequence[Tensor], transforms: Sequence[Transform], activation: str) -> None:
        """Take the weights, one tensor (runs, fan_in, fan_out) a layer, and a transform for each."""
        self.layers = tuple(zip(weights, transforms, strict=True))
        self._nonlinearity = NONLINEARITIES[activation]
        self._inputs: list[Tensor] = []  # of each layer, kept for the backward pass

    def state(self) -> dict[str, Tensor]:
        """Everything that training changes, by name; run by run along the first dimension. They are no copies."""
        return {
            f"{number}.{name}": tensor
            for number, (weight, transform) in enumerate(self.layers)
            for name, tensor in {"weight": weight, **transform.state()}.items()
        }

    def forward(self, images: Tensor) -> Tensor:
        """Training mode: images (batch, runs, pixels) to logits (batch, runs, classes)."""
        self._inputs = []
        z = images
        for weight, transform in self.layers:
            self._inputs.append(self._nonlinearity.forward(z) if self._inputs else images)
            z = transform.forward(product(self._inputs[-1], weight))
        return z

    def infer(self, images: Tensor) -> Tensor:
        """Inference mode: images (batch, pixels), the same for all runs, to logits (batch, runs, classes)."""
        (weight, transform), *above = self.layers
        z = transform.infer(product(images.unsqueeze(1), weight))
        for weight, transform in above:
            z = transform.infer(product(self._nonlinearity.forward(z), weight))
        return z

    def descend(self, delta: Tensor) -> None:
        """Take one step of gradient descent, given learning rate times the gradient at the logits.

        The gradient is linear in delta. So a delta (batch, runs, classes) that carries each run's learning rate
        makes every gradient below an update, which is subtracted from the weights as it is formed: no gradient is
        kept, and no optimizer passes over the weights again.
        """
        for (weight, transform), inputs in zip(reversed(self.layers), reversed(self._inputs), strict=True):
            delta = transform.backward(delta)
            delta_inputs = None if inputs is self._inputs[0] else product(delta, weight.transpose(1, 2))
            subtract_product(weight, inputs, delta)
            if delta_inputs is not None:
                delta = self._nonlinearity.backward(delta_inputs, inputs)


def cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax cross-entropy, mean over the batch, and its gradient at the logits.

    logits: (batch, runs, classes); labels: (batch, runs), int64. Returns the loss (runs,) and the gradient
    (softmax - one-hot) / batch, shape (batch, runs, classes).
    """
    log_probabilities = log_softmax(logits)
    picked = labels.unsqueeze(2)
    # A row for each run: sums down columns would round by how many there are.
    loss = -log_probabilities.gather(2, picked).squeeze(2).T.contiguous().mean(dim=1)
    gradient = log_probabilities.exp_()
    gradient.scatter_add_(2, picked, gradient.new_full((1, 1, 1), -1).expand_as(picked))
    return loss, gradient.div_(logits.shape[0])
