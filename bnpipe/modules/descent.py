"""The training step: losses give gradients, the optimizer turns these into directions, and the parameters follow."""

import torch
from torch import Tensor, nn

from bnpipe.core.settings import TrainingSettings
from bnpipe.modules.parts import optimizer_of


class Descent(nn.Module):
    """Takes the training steps of everything that a network learns, every run at its own learning rate.

    Weight decay adds decay * w to the gradient of the weights w, as torch.optim does. What the transforms learn does
    not decay: gamma, beta and b are not weights of a product, gamma alone sets the scale after a normalization, and a
    bias of one unit does not overfit.
    """

    def __init__(self, network: nn.Module, rates: Tensor, settings: TrainingSettings) -> None:
        """Take the network, whose parameters are (runs, ...), and the learning rates (runs,)."""
        super().__init__()
        learning = [(name, own) for name, own in network.named_parameters() if own.requires_grad]
        self._parameters_that_learn = [own for _, own in learning]
        are_weights = [".transform." not in name for name, _ in learning]
        self._rates = [
            (rates * (1.0 if is_weight else settings.parameter_rate)).view(-1, *[1] * (own.dim() - 1))
            for (_, own), is_weight in zip(learning, are_weights, strict=True)
        ]
        self._decays = [settings.weight_decay if is_weight else 0.0 for is_weight in are_weights]
        self.directions = nn.ModuleList(
            optimizer_of(settings.optimizer, own, settings) for own in self._parameters_that_learn
        )

    def forward(self, losses: Tensor) -> None:
        """Take a step down the gradient of the losses (runs,)."""
        learning = self._parameters_that_learn
        # The runs share nothing, so the gradient of the sum holds the gradient of each.
        gradients = torch.autograd.grad(losses.sum(), learning)
        of_each = zip(learning, gradients, self._rates, self._decays, self.directions, strict=True)
        with torch.no_grad():
            for own, gradient, rate, decay, direction in of_each:
                slope = gradient.add(own, alpha=decay) if decay else gradient
                own.sub_(rate * direction(slope))
