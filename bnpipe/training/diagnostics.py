"""Measurements inside the networks of a stack, in every layer, on images that never change: the probe.

The networks take a training step on the probe and are restored: this shows what a step would do and changes nothing.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from bnpipe.core.settings import SATURATED, TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.networks.network import StackedNetwork, cross_entropy
from bnpipe.networks.norms import batch_norms

PROBE_IMAGES = 120  # of the training images, from the front
ACCURACY_IMAGES = 300  # of the validation images, from the front


def diagnose(
    network: StackedNetwork, learning_rate: Tensor, settings: TrainingSettings, training: Images, validation: Images
) -> dict[str, Tensor]:
    """Measure every layer; learning_rate: (runs, 1). Of the settings, only the activation is used.

    training, validation: the images that the probe and the accuracies are taken from, as the networks see them.
    Returns by name, for every layer, (runs, layers):
      z_rms            root mean square of z, the product of inputs and weights
      saturated        share of outputs of tanh (sigmoid: of 2 * output - 1) beyond 0.99
      dead             share of relu units that are 0 for the whole probe; both are nan in other layers, and if an
                       output is not finite
      delta_rms        root mean square of the gradient at z of the sum of the images' losses
      weight_norm      Frobenius norm of the weights
      update_ratio     norm of the step on the probe, over weight_norm
      effective_rate   learning rate / weight_norm^2: the rate that counts if the scale of the weights does not
      gamma_mean, gamma_std, beta_mean, beta_std    over the features; a bias counts as beta, and has no gamma
    and for the whole network, (runs,):
      moving_accuracy       in inference mode, on the first 300 validation images
      population_accuracy   the same with the statistics of the probe; nan without batch normalization
    """
    probe, few = training.first(PROBE_IMAGES), validation.first(ACCURACY_IMAGES)
    layers: dict[str, list[Tensor]] = defaultdict(list)

    def observe(name: str, layer: int, values: Tensor) -> None:
        if name in ("z", "delta"):
            layers[f"{name}_rms"].append(_root_mean_square(values))
        elif name == "output":
            hidden = layer < len(network.layers) - 1
            layers["saturated"].append(_saturated(values, settings.activation if hidden else ""))
            layers["dead"].append(_dead(values, settings.activation if hidden else ""))

    whole = {"moving_accuracy": _accuracy(network, few)}
    with restored_afterwards(network) as before, newest_batch_alone(network):
        pixels, labels = next(probe.chunks(PROBE_IMAGES, network.precision))
        runs = len(learning_rate)
        logits = network.forward(pixels.unsqueeze(1).expand(-1, runs, -1), observe)
        whole["population_accuracy"] = _accuracy(network, few) if batch_norms(network.layers) else _nan(learning_rate)
        _, gradient = cross_entropy(logits, labels.unsqueeze(1).expand(-1, runs))
        network.descend(gradient.mul_(learning_rate), observe)
        layers |= _of_parameters(network, before)
    layers["delta_rms"] = [rms * len(labels) / learning_rate.view(-1) for rms in reversed(layers["delta_rms"])]
    layers["effective_rate"] = [learning_rate.view(-1) / norm**2 for norm in layers["weight_norm"]]
    return {name: torch.stack(values, dim=1) for name, values in layers.items()} | whole


@contextmanager
def restored_afterwards(network: StackedNetwork) -> Iterator[list[dict[str, Tensor]]]:
    """Yield a copy of everything that training changes, of each layer by name; restore it at the end of the block."""
    state = network.state_of_layers()
    before = [{name: tensor.clone() for name, tensor in layer.items()} for layer in state]
    try:
        yield before
    finally:
        for layer, kept in zip(state, before, strict=True):
            for name, tensor in layer.items():
                tensor.copy_(kept[name])


@contextmanager
def newest_batch_alone(network: StackedNetwork) -> Iterator[None]:
    """Within the block, the moving averages of batch normalization are the statistics of the newest batch alone."""
    norms = batch_norms(network.layers)
    weights = [norm.moving_average_weight for norm in norms]
    for norm in norms:
        norm.moving_average_weight = 1.0
    try:
        yield
    finally:
        for norm, weight in zip(norms, weights, strict=True):
            norm.moving_average_weight = weight


def _of_parameters(network: StackedNetwork, before: list[dict[str, Tensor]]) -> dict[str, list[Tensor]]:
    """Measure what each layer learns, by name, (runs,) for each layer; before: the state before the step."""
    found: dict[str, list[Tensor]] = defaultdict(list)
    for (weight, _), own in zip(network.layers, before, strict=True):
        norm = _norm(own["weight"])
        found["weight_norm"].append(norm)
        found["update_ratio"].append(_norm(weight - own["weight"]) / norm)
        for name, parameter in (("gamma", own.get("gamma")), ("beta", own.get("beta", own.get("bias")))):
            features = (
                torch.full_like(norm, torch.nan).unsqueeze(1) if parameter is None else parameter.view(len(norm), -1)
            )
            found[f"{name}_mean"].append(features.mean(dim=1))
            found[f"{name}_std"].append(features.std(dim=1, correction=0))
    return found


def _norm(matrices: Tensor) -> Tensor:
    """Return the Frobenius norms of matrices (runs, fan_in, fan_out): (runs,)."""
    norm: Tensor = torch.linalg.vector_norm(matrices, dim=(1, 2))
    return norm


def _root_mean_square(values: Tensor) -> Tensor:
    """Return the root mean square of values (batch, runs, features): (runs,)."""
    norm: Tensor = torch.linalg.vector_norm(values, dim=(0, 2), dtype=torch.float64)
    return norm / math.sqrt(values.shape[0] * values.shape[2])


def _saturated(output: Tensor, activation: str) -> Tensor:
    if activation == "sigmoid":
        output = 2 * output - 1
    elif activation != "tanh":
        return _nan(output[0])
    return _where_finite((output.abs() > SATURATED).to(torch.float32).mean(dim=(0, 2)), output)


def _dead(output: Tensor, activation: str) -> Tensor:
    if activation != "relu":
        return _nan(output[0])
    return _where_finite((output == 0).all(dim=0).to(torch.float32).mean(dim=1), output)


def _where_finite(share: Tensor, output: Tensor) -> Tensor:
    """Replace shares (runs,) by nan if an output (batch, runs, features) is not finite.

    Comparisons with nan are false, so a share of such outputs means nothing.
    """
    return torch.where(torch.isfinite(output).all(dim=2).all(dim=0), share, torch.nan)


def _accuracy(network: StackedNetwork, images: Images) -> Tensor:
    pixels, labels = next(images.chunks(len(images), network.precision))
    return (network.infer(pixels).argmax(dim=2) == labels.unsqueeze(1)).to(torch.float32).mean(dim=0)


def _nan(like: Tensor) -> Tensor:
    """Return one nan for each run of ``like`` (runs, ...)."""
    return torch.full(like.shape[:1], torch.nan, device=like.device)
