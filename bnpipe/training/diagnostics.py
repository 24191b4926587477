"""Measurements inside a network, in every layer, on images that never change: the probe.

A copy of the network takes a training step on the probe: this shows what a step would do and changes nothing.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.settings import SATURATED, Activation, TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.networks.compiled import Array
from bnpipe.networks.network import AVERAGES, Network, Seen, draw_network

PROBE_IMAGES = 120  # of the training images, from the front
ACCURACY_IMAGES = 300  # of the validation images, from the front
PARAMETERS = ("gamma", "beta")
NOTHING = np.array([np.nan])  # in place of parameters that a layer does not have

Measures = dict[str, NDArray[np.float32]]  # by name


class Diagnosis:
    """Measures networks that have the same settings. It holds the images to measure with, and a copy of a network."""

    def __init__(self, settings: TrainingSettings, training: Images, validation: Images) -> None:
        """Take the training and validation images, as the networks see them; the first of each are used."""
        self._settings = settings
        newest_only = replace(settings, moving_average_weight=1.0)  # moving averages are the newest batch's statistics
        # The weights that are drawn here will be overwritten.
        self._copy = draw_network(newest_only, training.shape, np.random.RandomState(0))
        self._probe, few = training.first(PROBE_IMAGES), validation.first(ACCURACY_IMAGES)
        self._images, self._few = (images.shown(self._copy.number) for images in (self._probe, few))
        self._labels_of_few = few.labels

    def of(self, network: Network) -> Measures:
        """Measure every layer (see `measure_layers`), (layers,) each, and the whole network, () each.

        For the whole network these are:
        moving_accuracy       in inference mode, on the first 300 validation images
        population_accuracy   the same with the statistics of the probe; nan without batch normalization
        """
        rate = self._settings.learning_rate
        self._copy.restore(network.state())
        seen = self._copy.step(self._images, self._probe.labels, rate)
        layers = measure_layers(seen, network.weights, network.parameters, rate, self._settings.activation)
        population = np.nan
        if network.averages:
            statistics = {name: self._copy.state()[name].copy() for name in AVERAGES}
            self._copy.restore({**network.state(), **statistics})
            population = self._accuracy(self._copy)
        whole = {"moving_accuracy": self._accuracy(network), "population_accuracy": population}
        return {name: np.asarray(values, np.float32) for name, values in {**layers, **whole}.items()}

    def _accuracy(self, network: Network) -> float:
        return float((network.infer(self._few).argmax(axis=1) == self._labels_of_few).mean())


def measure_layers(
    seen: Seen,
    weights: Sequence[Array],
    parameters: Sequence[Mapping[str, Array]],
    rate: float,
    activation: Activation,
) -> dict[str, list[float]]:
    """Measure every layer of a network from a step and from what it had learned before.

    weights: (fan_in, fan_out) of each layer; parameters: of each layer's transform, by name.

    Returns by name, for every layer:
      z_rms            root mean square of z, the product of inputs and weights
      saturated        share of outputs of tanh (sigmoid: of 2 * output - 1) beyond 0.99
      dead             share of relu units that are 0 for the whole probe; both are nan in other layers, and if an
                       output is not finite
      delta_rms        root mean square of the gradient at z of the sum of the images' losses
      weight_norm      Frobenius norm of the weights
      update_ratio     norm of the step on the probe, over weight_norm
      effective_rate   learning rate / weight_norm^2: the rate that matters if the scale of the weights does not
      gamma_mean, gamma_std, beta_mean, beta_std    over the features; a bias counts as beta, and has no gamma
    """
    found: dict[str, list[float]] = defaultdict(list)
    hidden, images = len(seen.z) - 1, len(seen.z[-1])
    for layer, (weight, after) in enumerate(zip(weights, seen.weights, strict=True)):
        output, nonlinearity = seen.output[layer], activation if layer < hidden else None
        norm = _norm(weight)
        found["z_rms"].append(_root_mean_square(seen.z[layer]))
        found["saturated"].append(_saturated(output, nonlinearity))
        found["dead"].append(_dead(output, nonlinearity))
        found["delta_rms"].append(_root_mean_square(seen.delta[layer]) * images / rate)
        found["weight_norm"].append(norm)
        found["update_ratio"].append(_norm(after - weight) / norm)
        found["effective_rate"].append(rate / norm**2)
        for name in PARAMETERS:
            values = parameters[layer].get(name, NOTHING)
            found[f"{name}_mean"].append(values.mean(dtype=np.float64))
            found[f"{name}_std"].append(values.std(dtype=np.float64))
    return found


def _norm(values: Array) -> float:
    return float(np.linalg.norm(values.ravel().astype(np.float64)))


def _root_mean_square(values: Array) -> float:
    return _norm(values) / math.sqrt(values.size)


def _saturated(output: Array, activation: Activation | None) -> float:
    if activation not in ("tanh", "sigmoid") or not np.isfinite(output).all():
        return math.nan
    return float((abs(2 * output - 1 if activation == "sigmoid" else output) > SATURATED).mean())


def _dead(output: Array, activation: Activation | None) -> float:
    """Return the share of units that are 0 for all images; nan if an output is not finite."""
    if activation != "relu" or not np.isfinite(output).all():
        return math.nan
    return float((output == 0).all(axis=0).mean())
