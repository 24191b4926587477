"""Fully connected networks, a stack of them at a time, with the gradient step written out.

Weights are (runs, fan_in, fan_out) and activations (batch, runs, features), so that one batched matrix product
serves every run of the stack, and a batch looks to batch normalization like one of runs x features channels.
On the CPU a run's numbers are the same bits alone and in a stack.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bnpipe.networks.kernels import log_softmax, product, subtract_product
from bnpipe.networks.nonlinearities import Nonlinearity
from bnpipe.networks.norms import Transform

Observe = Callable[[str, int, Tensor], None]  # is told what stands in a layer: its name, the layer, the values


class StackedNetwork:
    """Networks of one shape: products, transforms (bias or normalization), nonlinearities, linear logits.

    An observer, where one is given, sees in every layer "z", the product; "output", what the layer passes on; and on
    the way back "delta", the gradient at z times whatever ``descend`` was given with it: all (batch, runs, features).
    They are overwritten afterwards: it must not keep them.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        transforms: Sequence[Transform],
        nonlinearity: Nonlinearity,
        weights_learn: bool = True,
    ) -> None:
        """Take the weights, one tensor (runs, fan_in, fan_out) a layer, and a transform for each."""
        self.layers = tuple(zip(weights, transforms, strict=True))
        self._nonlinearity = nonlinearity
        self._weights_learn = weights_learn
        self._inputs: list[Tensor] = []  # of each layer, kept for the backward pass

    @property
    def precision(self) -> torch.dtype:
        """Of all arithmetic."""
        return self.layers[0][0].dtype

    def state(self) -> dict[str, Tensor]:
        """Everything that training changes, by name; run by run along the first dimension. They are no copies."""
        return {
            f"{number}.{name}": tensor
            for number, (weight, transform) in enumerate(self.layers)
            for name, tensor in {"weight": weight, **transform.state()}.items()
        }

    def forward(self, images: Tensor, observe: Observe | None = None) -> Tensor:
        """Training mode: images (batch, runs, pixels) to logits (batch, runs, classes)."""
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
        """Inference mode: images (batch, pixels), the same for all runs, to logits (batch, runs, classes)."""
        (weight, transform), *above = self.layers
        z = transform.infer(product(images.unsqueeze(1), weight))
        for weight, transform in above:
            z = transform.infer(product(self._nonlinearity.forward(z), weight))
        return z

    def descend(self, delta: Tensor, observe: Observe | None = None) -> None:
        """Take one step of gradient descent, given learning rate times the gradient at the logits.

        The gradient is linear in delta. So a delta (batch, runs, classes) that carries each run's learning rate
        makes every gradient below an update, which is subtracted from the weights as it is formed: no gradient is
        kept, and no optimizer passes over the weights again.
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
