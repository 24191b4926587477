"""One fully connected network on a CPU: its numbers, and what can be done with them."""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.settings import Precision, Shape, TrainingSettings
from bnpipe.networks.compiled import (
    BATCH_NORM,
    BIAS,
    FEATURE_NORM,
    RELU,
    SIGMOID,
    TANH,
    WEIGHT_NORM,
    Array,
    Labels,
    Learned,
    Numbers,
    Options,
    Pixels,
    Plan,
    Room,
    descend,
    evaluate,
    forward,
    infer,
    survey,
    take_step,
    train,
)
from bnpipe.networks.seeds import initial_weights

KINDS: Mapping[str, int] = {  # of the arms that are compiled
    "vanilla": BIAS,
    "batchnorm": BATCH_NORM,
    "layernorm": FEATURE_NORM,
    "groupnorm": FEATURE_NORM,
    "rmsnorm": FEATURE_NORM,
    "weightnorm": WEIGHT_NORM,
    "firstbatch": BIAS,  # and first weights of its own: `bnpipe.networks.first_batch`
}
CODES: Mapping[str, int] = {"tanh": TANH, "relu": RELU, "sigmoid": SIGMOID}
WITH_STATISTICS = (BATCH_NORM, FEATURE_NORM)  # which may come before or after a nonlinearity
AVERAGES = ("mean", "variance")  # those of the numbers that are moving averages
ALIGNMENT = 64  # bytes: products on memory that is not aligned take up to a quarter longer
SURVEY_ROWS = 480  # images multiplied at a time, if batches are small
EVALUATION_ROWS = 250  # images evaluated at a time: their activations stay in the processor's cache
NUMBERS: dict[Precision, type[np.floating]] = {"float32": np.float32, "float64": np.float64}


class Seen(NamedTuple):
    """What a training step did, layer by layer, each (images, units).

    In a convolution they are (images * rows * columns, channels).
    """

    z: list[Array]  # products of inputs and weights
    output: list[Array]  # what each layer passes on
    delta: list[Array]  # the learning rate times the gradient at z
    loss: float  # nan if the gradient at the logits was given
    weights: list[Array]  # after the step, (fan_in, fan_out) each


class Surveyed(NamedTuple):
    """What batches showed in training mode."""

    guesses: NDArray[np.int64]  # (batches, images)  the predicted classes
    mean: NDArray[np.float64]  # (units,) of all layers, mean of the batches' means; 0 where no moving averages are kept
    variance: NDArray[np.float64]  # mean of their unbiased variances; 1 where no moving averages are kept


class Network:
    """One network: its numbers, and what can be done with them.

    The pixels of whole data sets are bytes and their labels whole numbers; ``images`` of a mini-batch (images, pixels)
    are from 0 to 1, in the network's precision. Properties are views; logits and `Seen` are copies.
    """

    def __init__(self, weights: Sequence[Array], settings: TrainingSettings) -> None:
        """Take the weights (fan_in, fan_out) of every layer, first layer first; transforms start as new."""
        self.number = NUMBERS[settings.precision]
        widths = [len(weights[0]), *(weight.shape[1] for weight in weights)]
        units = sum(widths[1:])
        self.numbers = Numbers(
            np.array(widths),
            _aligned(sum(weight.size for weight in weights), self.number),
            *(_aligned(units, self.number) for _ in Learned._fields),
        )
        self.numbers.gamma[:] = self.numbers.variance[:] = 1
        for own, drawn in zip(self.weights, weights, strict=True):
            own[:] = drawn
        self.plan = plan_of(settings)
        self._rooms: dict[tuple[int, bool], Room] = {}

    @property
    def weights(self) -> list[Array]:
        """The weights (fan_in, fan_out) of every layer."""
        sizes = [*pairwise(self.numbers.units.tolist())]
        ends = np.cumsum([fan_in * fan_out for fan_in, fan_out in sizes])
        parts = np.split(self.numbers.weights, ends[:-1])
        return [part.reshape(size) for part, size in zip(parts, sizes, strict=True)]

    @property
    def averages(self) -> list[int]:
        """The layers that keep moving averages."""
        return [layer for layer, kind in enumerate(self._kinds) if kind == BATCH_NORM]

    @property
    def parameters(self) -> list[dict[str, Array]]:
        """What the transform of every layer learns, (units,) each, by name: a bias is a beta and has no gamma."""
        return [
            {name: getattr(learned, name) for name in (("beta",) if kind == BIAS else ("gamma", "beta"))}
            for kind, learned in zip(self._kinds, self.learned, strict=True)
        ]

    @property
    def _kinds(self) -> list[int]:
        """The kind of every layer's transform."""
        return [self.plan.hidden.kind] * (len(self.numbers.units) - 2) + [self.plan.logits.kind]

    @property
    def learned(self) -> list[Learned]:
        """What the transform of every layer learns and averages, (units,) each."""
        ends = np.cumsum(self.numbers.units[1:])[:-1]
        return [Learned(*parts) for parts in zip(*(np.split(array, ends) for array in self.numbers[2:]), strict=True)]

    def state(self) -> dict[str, Array]:
        """Return everything that training changes, by name: views."""
        return {name: array for name, array in self.numbers._asdict().items() if name != "units"}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Overwrite the numbers with those of another network of the same widths, in any precision."""
        for name, array in self.state().items():
            array[:] = state[name]

    def train(self, pixels: Pixels, labels: Labels, batches: NDArray[np.int32], rate: float) -> Array:
        """Take a step on each of the batches, (steps, batch) indices of images; return their losses (steps,)."""
        losses = np.empty(len(batches), self.number)
        room = self._room(batches.shape[1])
        train(self.numbers, self.plan, room, pixels, labels, batches, self.number(rate), losses)
        return losses

    def evaluate(self, pixels: Pixels, labels: Labels) -> tuple[float, float]:
        """Return accuracy and mean cross-entropy in inference mode."""
        room = self._room(EVALUATION_ROWS)
        correct, loss = evaluate(self.numbers, self.plan, room, pixels, labels, EVALUATION_ROWS)
        return correct / len(labels), loss / len(labels)

    def survey(self, pixels: Pixels, batches: NDArray[np.int32]) -> Surveyed:
        """Take batches, (batches, images) indices, through the network in training mode; the network is not changed."""
        m = batches.shape[1]
        options = (self.plan.hidden, self.plan.logits)
        hidden, logits = (own._replace(newest=self.number(1), unbiased=True) for own in options)
        plan = self.plan._replace(hidden=hidden, logits=logits)
        numbers = self.numbers._replace(mean=self.numbers.mean.copy(), variance=self.numbers.variance.copy())
        rows = max(1, SURVEY_ROWS // m) * m
        guesses = np.empty(batches.size, np.int64)
        totals = np.zeros((2, len(numbers.mean)))
        survey(numbers, plan, self._room(rows), pixels, batches.ravel(), m, rows, guesses, *totals)
        return Surveyed(guesses.reshape(batches.shape), *(totals / len(batches)))

    def with_averages(self, mean: Array, variance: Array) -> "Network":
        """Return this network with other moving averages, (units,) of all layers; all else is shared, not copied."""
        other = copy(self)
        other.numbers = self.numbers._replace(mean=mean.astype(self.number), variance=variance.astype(self.number))
        return other

    def forward(self, images: Array) -> Array:
        """Return the logits (images, classes) in training mode; moving averages move."""
        logits: Array = forward(self.numbers, self.plan, self._filled(images), len(images))
        return logits.copy()

    def infer(self, images: Array) -> Array:
        """Return the logits (images, classes) in inference mode."""
        logits: Array = infer(self.numbers, self.plan, self._filled(images), len(images))
        return logits.copy()

    def step(self, images: Array, labels: Labels, rate: float) -> Seen:
        """Train on a mini-batch and return what happened."""
        room = self._filled(images, watched=True)
        loss = take_step(self.numbers, self.plan, room, labels, self.number(rate))
        return self._seen(room, len(images), loss)

    def step_from(self, images: Array, delta: Array) -> Seen:
        """Train on a mini-batch given the learning rate times the gradient at the logits; return what happened."""
        room = self._filled(images, watched=True)
        forward(self.numbers, self.plan, room, len(images))
        room.delta[: delta.size] = delta.ravel()
        descend(self.numbers, self.plan, room, len(images))
        return self._seen(room, len(images), np.nan)

    def _filled(self, images: Array, watched: bool = False) -> Room:
        room = self._room(len(images), watched)
        room.outputs[: images.size] = images.ravel()
        return room

    def _seen(self, room: Room, m: int, loss: float) -> Seen:
        units = self.numbers.units[1:].tolist()
        kinds = room.seen.reshape(3, -1).copy()
        ends = m * np.cumsum(units)[:-1]
        z, output, delta = ([part.reshape(m, -1) for part in np.split(kind, ends)] for kind in kinds)
        return Seen(z, output, delta, loss, [weight.copy() for weight in self.weights])

    def _room(self, m: int, watched: bool = False) -> Room:
        """Return working memory for m images; it is shared by all calls with the same arguments."""
        if (m, watched) not in self._rooms:
            widths = self.numbers.units.tolist()
            total, widest = sum(widths[1:]), max(widths)
            zeros = partial(_aligned, number=self.number)
            self._rooms[m, watched] = Room(
                outputs=zeros(m * sum(widths)),
                unnormalized=zeros(m * total),
                normalized=zeros(m * total),
                inverse_std=zeros(m * total),
                growth=zeros(total),
                delta=zeros(m * widest),
                delta_below=zeros(m * widest),
                gradient=zeros(max(fan_in * fan_out for fan_in, fan_out in pairwise(widths))),
                slopes=zeros(2 * widest),
                seen=zeros(3 * m * total * watched),
            )
        return self._rooms[m, watched]


def is_compiled(settings: TrainingSettings) -> bool:
    """Return whether networks of these settings are compiled; otherwise PyTorch trains them on a CPU too."""
    is_known = settings.arm in KINDS and settings.activation in CODES
    return is_known and settings.is_plain_descent and settings.network == "fully_connected"


def plan_of(settings: TrainingSettings) -> Plan:
    """Return what a network of these settings does between its products."""
    transform = options_of(settings)
    bias = transform._replace(kind=BIAS)
    hidden = transform if settings.normalize_hidden else bias
    return Plan(
        hidden=hidden,
        logits=transform if settings.normalize_logits else bias,
        activation=CODES[settings.activation],
        after=settings.position == "after" and hidden.kind in WITH_STATISTICS,
        weights_learn=settings.trained == "all",
    )


def options_of(settings: TrainingSettings) -> Options:
    """Return the options of an arm."""
    number = NUMBERS[settings.precision]
    return Options(
        kind=KINDS[settings.arm],
        groups=settings.groups if settings.arm == "groupnorm" else 1,
        centred=settings.arm != "rmsnorm",
        epsilon=number(settings.epsilon),
        newest=number(settings.moving_average_weight),
        unbiased=settings.moving_variance == "unbiased",
        rate=number(settings.parameter_rate),
    )


def draw_network(settings: TrainingSettings, shape: Shape, stream: np.random.RandomState) -> Network:
    """Draw the weights of a network for images of a shape from its stream.

    The arm firstbatch does not start from these: see `bnpipe.networks.first_batch.normalize_first_batch`.
    """
    return Network(initial_weights(stream, settings.layer_sizes(shape), settings.init_std), settings)


def _aligned(count: int, number: type[np.floating]) -> Array:
    """Return ``count`` zeros, aligned in memory."""
    size = count * np.dtype(number).itemsize
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(number)
