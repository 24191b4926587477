"""The arithmetic of one fully connected network, compiled: loops over (images, units) that read like the formulas.

All compiled functions are in this one file, because numba's cache on disk notices changes only in a function's own
file. Each kind of number lies in one array for all layers, layer after layer, so that one compiled function serves
networks of any depth and width. A step allocates nothing, so what it needs stays in the processor's cache.

Formulas: z is the product of inputs and weights, y what comes out of a transform, m the images of a batch. Gradients
on their way back carry the learning rate already, so that every update is plain subtraction.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 - compiled np.dot uses it; loaded now, it can be kept to one thread
from numba import njit
from numpy.typing import NDArray

BIAS, BATCH_NORM, FEATURE_NORM, WEIGHT_NORM = range(4)  # kinds of transforms
LINEAR, TANH, RELU, SIGMOID = range(4)  # nonlinearities

# In single precision tanh(x) is x * P(x^2) / Q(x^2), and beyond LIMIT the value at LIMIT. The coefficients are those of
# Eigen (generic_fast_tanh_float), which XLA uses too. Unlike a library call, this computes many numbers at once.
LIMIT = np.float32(7.90531110763549805)
P = [
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
]
Q = [1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03]
P6, P5, P4, P3, P2, P1, P0 = (np.float32(value) for value in P)
Q3, Q2, Q1, Q0 = (np.float32(value) for value in Q)
HALF = np.float32(0.5)

# Not plain integers, because numba compiles another version of a function for each integer that is written in a call.
START = INFERENCE = np.int64(0)
Z, OUTPUT, DELTA = np.int64(0), np.int64(1), np.int64(2)  # what `_see` copies, in the order of `Room.seen`

Array = NDArray[np.floating]  # of one precision throughout a network


class Learned(NamedTuple):
    """What one layer's transform learns and averages, each (units,)."""

    gamma: Array  # factor; not used in a bias
    beta: Array  # shift, or bias
    mean: Array  # moving averages, used in batch normalization only
    variance: Array


class Kept(NamedTuple):
    """What forward leaves for backward."""

    normalized: Array  # (images, units)
    inverse_std: Array  # (units,), or (images * groups,) if each image is normalized by itself; or 1 / weights' norms
    growth: Array  # (units,), the share by which the weights grow in weight normalization


class Options(NamedTuple):
    """The options of a transform; their numbers have the type of the network's numbers."""

    kind: int
    groups: int
    centred: bool
    epsilon: np.floating
    newest: np.floating  # weight of the newest batch in a moving average
    unbiased: bool  # whether the averaged variance is m / (m - 1) times the biased one
    rate: np.floating  # of the parameters, as a multiple of the weights' rate


Pixels = NDArray[np.uint8]  # (images, pixels)
Labels = NDArray[np.int64]  # (images,)


class Numbers(NamedTuple):
    """All that training changes, and the widths that say where each layer's part is."""

    units: NDArray[np.int64]  # of every layer of units, pixels first
    weights: Array  # (fan_in, fan_out) of every layer
    gamma: Array  # and the rest of `Learned`, of every unit but the pixels
    beta: Array
    mean: Array
    variance: Array


class Plan(NamedTuple):
    """What a network does between its products."""

    hidden: Options  # the transforms of the hidden layers
    logits: Options  # and of the last layer
    activation: int  # the nonlinearity of the hidden layers
    after: bool  # whether the transform comes after the nonlinearity
    weights_learn: bool


class Room(NamedTuple):
    """Working memory for a batch of a certain size: flat arrays in which one layer's part follows another's."""

    outputs: Array  # of every layer of units, pixels first
    unnormalized: Array  # outputs of nonlinearities that a normalization follows
    normalized: Array
    inverse_std: Array
    growth: Array
    delta: Array  # gradients of one layer
    delta_below: Array
    gradient: Array  # of one layer's weights
    slopes: Array
    seen: Array  # z, output and delta of every layer; empty if nobody looks


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep it on disk: beside this file or in the user's cache."""
    try:
        return njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # neither folder can be written
        return njit(error_model="numpy")(function)


# Nonlinearities.


@compiled
def _tanh_single(x: np.float32) -> np.float32:
    x = min(max(x, -LIMIT), LIMIT) if x == x else x
    square = x * x
    numerator = P6
    numerator = numerator * square + P5
    numerator = numerator * square + P4
    numerator = numerator * square + P3
    numerator = numerator * square + P2
    numerator = numerator * square + P1
    numerator = numerator * square + P0
    denominator = Q3
    denominator = denominator * square + Q2
    denominator = denominator * square + Q1
    denominator = denominator * square + Q0
    return x * numerator / denominator


@compiled
def activate(code: int, values: Array) -> None:
    """Overwrite values (images, units) with a nonlinearity of them.

    The sigmoid is 1/2 + tanh(x / 2) / 2, as in XLA.
    """
    rows, units = values.shape
    single = values.itemsize == 4
    if code == RELU:
        for i in range(rows):
            for j in range(units):
                values[i, j] = max(values[i, j], 0) if values[i, j] == values[i, j] else values[i, j]
    elif code == TANH and single:
        for i in range(rows):
            for j in range(units):
                values[i, j] = _tanh_single(values[i, j])
    elif code == TANH:
        for i in range(rows):
            for j in range(units):
                values[i, j] = math.tanh(values[i, j])
    elif code == SIGMOID and single:
        for i in range(rows):
            for j in range(units):
                values[i, j] = HALF + HALF * _tanh_single(HALF * values[i, j])
    elif code == SIGMOID:
        for i in range(rows):
            for j in range(units):
                values[i, j] = 0.5 + 0.5 * math.tanh(0.5 * values[i, j])


@compiled
def activate_backward(code: int, output: Array, delta: Array) -> None:
    """Turn the gradient at a nonlinearity's output, (images, units), into the one at its input: overwrite delta."""
    rows, units = output.shape
    if code == RELU:
        for i in range(rows):
            for j in range(units):
                if output[i, j] <= 0:
                    delta[i, j] = 0
    elif code == TANH:
        for i in range(rows):
            for j in range(units):
                delta[i, j] -= delta[i, j] * output[i, j] * output[i, j]
    elif code == SIGMOID:
        for i in range(rows):
            for j in range(units):
                delta[i, j] *= output[i, j] - output[i, j] * output[i, j]


# Transforms.


@compiled
def transform_forward(options: Options, learned: Learned, weight: Array, z: Array, kept: Kept) -> None:
    """Overwrite z (images, units) with its transform in training mode."""
    if options.kind == BIAS:
        _add(z, learned.beta)
    elif options.kind == BATCH_NORM:
        _batch_norm(options, learned, z, kept)
    elif options.kind == FEATURE_NORM:
        _feature_norm(options, learned, z, kept.normalized, kept.inverse_std)
    else:
        _weight_norm(learned, weight, z, kept)


@compiled
def transform_infer(options: Options, learned: Learned, weight: Array, z: Array, kept: Kept) -> None:
    """Overwrite z (images, units) with its transform in inference mode; kept: room to work in."""
    if options.kind == BIAS:
        _add(z, learned.beta)
    elif options.kind == BATCH_NORM:
        gamma, beta, mean, variance = learned
        for j in range(z.shape[1]):
            scale = gamma[j] / np.sqrt(variance[j] + options.epsilon)
            kept.inverse_std[j] = scale
            kept.growth[j] = beta[j] - mean[j] * scale
        for i in range(z.shape[0]):
            for j in range(z.shape[1]):
                z[i, j] = z[i, j] * kept.inverse_std[j] + kept.growth[j]
    elif options.kind == FEATURE_NORM:
        _feature_norm(options, learned, z, kept.normalized, kept.inverse_std)
    else:
        _weight_norm(learned, weight, z, kept)


@compiled
def transform_backward(options: Options, learned: Learned, delta: Array, kept: Kept, slopes: Array) -> None:
    """Turn the gradient at the output, (images, units), into the one at z, and update the parameters.

    delta is overwritten; slopes: room for two rows of units.
    """
    rows, units = delta.shape
    slope_gamma, slope_beta = slopes[0, :units], slopes[1, :units]
    slope_gamma[:] = 0
    slope_beta[:] = 0
    if options.kind == BIAS:
        for i in range(rows):
            for j in range(units):
                slope_beta[j] += delta[i, j]
    else:  # dL/dgamma = sum(delta * x_hat), dL/dbeta = sum(delta)
        for i in range(rows):
            for j in range(units):
                slope_beta[j] += delta[i, j]
                slope_gamma[j] += delta[i, j] * kept.normalized[i, j]
    if options.kind == BATCH_NORM:
        _batch_norm_backward(learned.gamma, slope_gamma, slope_beta, delta, kept)
    elif options.kind == FEATURE_NORM:
        _feature_norm_backward(options, learned.gamma, delta, kept)
    elif options.kind == WEIGHT_NORM:
        # dL/dw through the norm is -gamma / ||w||^2 * dL/dgamma * w.
        for j in range(units):
            scale = learned.gamma[j] * kept.inverse_std[j]
            kept.growth[j] = scale * slope_gamma[j] * kept.inverse_std[j]
            for i in range(rows):
                delta[i, j] *= scale
    for j in range(units):
        learned.beta[j] -= options.rate * slope_beta[j]
        learned.gamma[j] -= options.rate * slope_gamma[j]  # 0 in a bias


@compiled
def _add(z: Array, beta: Array) -> None:
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[i, j] += beta[j]


@compiled
def _batch_norm(options: Options, learned: Learned, z: Array, kept: Kept) -> None:
    """Ioffe & Szegedy 2015, algorithm 1: mean and biased variance of each unit over the batch."""
    rows, units = z.shape
    gamma, beta, moving_mean, moving_variance = learned
    share = z.dtype.type(1) / z.dtype.type(rows)
    averaged = z.dtype.type(rows / (rows - 1)) if options.unbiased else z.dtype.type(1)
    x_hat, mean, variance = kept.normalized, kept.growth, kept.inverse_std
    mean[:] = 0
    variance[:] = 0
    for i in range(rows):
        for j in range(units):
            mean[j] += z[i, j]
    for j in range(units):
        mean[j] *= share
    for i in range(rows):
        for j in range(units):
            x_hat[i, j] = z[i, j] - mean[j]
            variance[j] += x_hat[i, j] * x_hat[i, j]
    for j in range(units):
        variance[j] *= share
        moving_mean[j] += options.newest * (mean[j] - moving_mean[j])
        moving_variance[j] += options.newest * (averaged * variance[j] - moving_variance[j])
        kept.inverse_std[j] = z.dtype.type(1) / np.sqrt(variance[j] + options.epsilon)
    for i in range(rows):
        for j in range(units):
            x_hat[i, j] *= kept.inverse_std[j]
            z[i, j] = x_hat[i, j] * gamma[j] + beta[j]


@compiled
def _batch_norm_backward(gamma: Array, slope_gamma: Array, slope_beta: Array, delta: Array, kept: Kept) -> None:
    """Go back through the normalization: the chain rule of the paper's section 3, with its terms collected.

    dL/dz = gamma / sqrt(variance + epsilon) * (delta - dL/dbeta / m - x_hat * dL/dgamma / m).
    """
    rows, units = delta.shape
    share = delta.dtype.type(1) / delta.dtype.type(rows)
    for i in range(rows):
        for j in range(units):
            of_mean = share * (slope_beta[j] + kept.normalized[i, j] * slope_gamma[j])
            delta[i, j] = gamma[j] * kept.inverse_std[j] * (delta[i, j] - of_mean)


@compiled
def _feature_norm(options: Options, learned: Learned, z: Array, x_hat: Array, inverse_std: Array) -> None:
    """Normalize each image over each of its groups of neighbouring units.

    One group: layer normalization (Ba, Kiros & Hinton 2016); several: group normalization (Wu & He 2018); without
    centring: RMS normalization (Zhang & Sennrich 2019), here with a beta, since the other arms have a shift too.
    """
    rows, units = z.shape
    size = units // options.groups
    share = z.dtype.type(1) / z.dtype.type(size)
    for i in range(rows):
        for group in range(options.groups):
            members = range(group * size, group * size + size)
            mean = square = z.dtype.type(0)
            if options.centred:
                for j in members:
                    mean += z[i, j]
                mean *= share
            for j in members:
                x_hat[i, j] = z[i, j] - mean
                square += x_hat[i, j] * x_hat[i, j]
            inverse = z.dtype.type(1) / np.sqrt(square * share + options.epsilon)
            inverse_std[i * options.groups + group] = inverse
            for j in members:
                x_hat[i, j] *= inverse
                z[i, j] = x_hat[i, j] * learned.gamma[j] + learned.beta[j]


@compiled
def _feature_norm_backward(options: Options, gamma: Array, delta: Array, kept: Kept) -> None:
    """dL/dz = (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(variance + epsilon) with g = gamma * delta.

    Means are over the group; without centring there is no mean(g).
    """
    rows, units = delta.shape
    size = units // options.groups
    share = delta.dtype.type(1) / delta.dtype.type(size)
    for i in range(rows):
        for group in range(options.groups):
            members = range(group * size, group * size + size)
            mean = product = delta.dtype.type(0)
            for j in members:
                delta[i, j] *= gamma[j]
                mean += delta[i, j]
                product += delta[i, j] * kept.normalized[i, j]
            mean = mean * share if options.centred else delta.dtype.type(0)
            product *= share
            inverse = kept.inverse_std[i * options.groups + group]
            for j in members:
                delta[i, j] = (delta[i, j] - mean - kept.normalized[i, j] * product) * inverse


@compiled
def _inverse_norms(weight: Array, inverse: Array) -> None:
    """Compute 1 / ||w|| for the weights w of each unit: weight (fan_in, units), inverse (units,)."""
    inverse[: weight.shape[1]] = 0
    for k in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            inverse[j] += weight[k, j] * weight[k, j]
    for j in range(weight.shape[1]):
        inverse[j] = weight.dtype.type(1) / np.sqrt(inverse[j])


@compiled
def _weight_norm(learned: Learned, weight: Array, z: Array, kept: Kept) -> None:
    """Weight normalization (Salimans & Kingma 2016): z / ||w|| * gamma + beta, where w are the weights of a unit."""
    _inverse_norms(weight, kept.inverse_std)
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            kept.normalized[i, j] = z[i, j] * kept.inverse_std[j]
            z[i, j] = kept.normalized[i, j] * learned.gamma[j] + learned.beta[j]


# Networks.


@compiled
def _matrix(flat: Array, first: int, rows: int, columns: int) -> Array:
    return flat[first : first + rows * columns].reshape(rows, columns)


@compiled
def _learned(numbers: Numbers, first: int, units: int) -> Learned:
    last = first + units
    return Learned(
        numbers.gamma[first:last], numbers.beta[first:last], numbers.mean[first:last], numbers.variance[first:last]
    )


@compiled
def _kept(room: Room, m: int, first: int, units: int) -> Kept:
    """Return a layer's part of what forward leaves; first: the units of the layers below."""
    part = slice(m * first, m * (first + units))
    return Kept(
        _matrix(room.normalized, m * first, m, units), room.inverse_std[part], room.growth[first : first + units]
    )


@compiled
def _see(seen: Array, kind: int, first: int, units: int, values: Array) -> None:
    """Copy values (m, units of a layer) into seen if it has room; first, units: units of the layers below, of all."""
    m = len(values)
    if len(seen):
        _matrix(seen, m * (kind * units + first), m, values.shape[1])[:] = values


@compiled
def forward(numbers: Numbers, plan: Plan, room: Room, m: int) -> Array:
    """Take the m images at the front of room.outputs through the network in training mode; return the logits."""
    layers = len(numbers.units) - 1
    total = len(numbers.gamma)
    below = weights = first = START  # what the layers below have: units with and without the pixels, weights
    for layer in range(layers):
        fan_in, fan_out = numbers.units[layer], numbers.units[layer + 1]
        weight = _matrix(numbers.weights, weights, fan_in, fan_out)
        inputs = _matrix(room.outputs, m * below, m, fan_in)
        z = _matrix(room.outputs, m * (below + fan_in), m, fan_out)
        np.dot(inputs, weight, z)
        _see(room.seen, Z, first, total, z)
        kept, learned = _kept(room, m, first, fan_out), _learned(numbers, first, fan_out)
        if layer == layers - 1:
            transform_forward(plan.logits, learned, weight, z, kept)
        elif plan.after:
            activate(plan.activation, z)
            _matrix(room.unnormalized, m * first, m, fan_out)[:] = z
            transform_forward(plan.hidden, learned, weight, z, kept)
        else:
            transform_forward(plan.hidden, learned, weight, z, kept)
            activate(plan.activation, z)
        _see(room.seen, OUTPUT, first, total, z)
        below, first, weights = below + fan_in, first + fan_out, weights + fan_in * fan_out
    logits: Array = _matrix(room.outputs, m * below, m, numbers.units[layers])
    return logits


@compiled
def descend(numbers: Numbers, plan: Plan, room: Room, m: int) -> None:
    """Take a step of gradient descent; room.delta: the learning rate times the gradient at the logits.

    Every gradient below is linear in it and so is already an update, which is subtracted as soon as it is computed.
    """
    layers = len(numbers.units) - 1
    total = len(numbers.gamma)
    weights, first = len(numbers.weights), total
    below = first + numbers.units[0]
    deltas, deltas_below = room.delta, room.delta_below
    slopes = room.slopes.reshape(2, -1)
    for layer in range(layers - 1, -1, -1):
        fan_in, fan_out = numbers.units[layer], numbers.units[layer + 1]
        below, first, weights = below - fan_out, first - fan_out, weights - fan_in * fan_out
        weight = _matrix(numbers.weights, weights, fan_in, fan_out)
        inputs, output = (
            _matrix(room.outputs, m * (below - fan_in), m, fan_in),
            _matrix(room.outputs, m * below, m, fan_out),
        )
        delta = _matrix(deltas, 0, m, fan_out)
        kept, learned = _kept(room, m, first, fan_out), _learned(numbers, first, fan_out)
        options = plan.hidden
        if layer == layers - 1:
            options = plan.logits
            transform_backward(options, learned, delta, kept, slopes)
        elif plan.after:
            transform_backward(options, learned, delta, kept, slopes)
            activate_backward(plan.activation, _matrix(room.unnormalized, m * first, m, fan_out), delta)
        else:
            activate_backward(plan.activation, output, delta)
            transform_backward(options, learned, delta, kept, slopes)
        _see(room.seen, DELTA, first, total, delta)
        if layer:
            np.dot(delta, weight.T, _matrix(deltas_below, 0, m, fan_in))
        if plan.weights_learn:
            gradient = _matrix(room.gradient, 0, fan_in, fan_out)
            np.dot(inputs.T, delta, gradient)
            if options.kind == WEIGHT_NORM:
                for i in range(fan_in):
                    for j in range(fan_out):
                        weight[i, j] += weight[i, j] * kept.growth[j]
            for i in range(fan_in):
                for j in range(fan_out):
                    weight[i, j] -= gradient[i, j]
        deltas, deltas_below = deltas_below, deltas


@compiled
def _cross_entropy(logits: Array, labels: Labels, rate: np.floating, delta: Array) -> float:
    """Return the mean softmax cross-entropy over a batch.

    Fill delta with rate times its gradient, (softmax - one-hot) / m.
    """
    m, classes = logits.shape
    factor = rate / logits.dtype.type(m)
    loss = 0.0
    for i in range(m):
        highest = logits[i, 0]
        for j in range(1, classes):
            highest = max(highest, logits[i, j])
        total = logits.dtype.type(0)
        for j in range(classes):
            delta[i, j] = np.exp(logits[i, j] - highest)
            total += delta[i, j]
        loss += np.log(total) - (logits[i, labels[i]] - highest)
        for j in range(classes):
            delta[i, j] *= factor / total
        delta[i, labels[i]] -= factor
    mean: float = loss / m
    return mean


@compiled
def take_step(numbers: Numbers, plan: Plan, room: Room, labels: Labels, rate: np.floating) -> float:
    """Train on the images at the front of room.outputs; return their loss before the update."""
    m, classes = len(labels), numbers.units[-1]
    logits = forward(numbers, plan, room, m)
    loss: float = _cross_entropy(logits, labels, rate, _matrix(room.delta, 0, m, classes))
    descend(numbers, plan, room, m)
    return loss


@compiled
def train(
    numbers: Numbers,
    plan: Plan,
    room: Room,
    pixels: Pixels,
    labels: Labels,
    batches: NDArray[np.int32],
    rate: np.floating,
    losses: Array,
) -> None:
    """Take a step on each of the batches, (steps, m) indices of images; fill in the losses (steps,)."""
    for step in range(len(batches)):
        _show(pixels, batches[step], _matrix(room.outputs, 0, batches.shape[1], pixels.shape[1]))
        losses[step] = take_step(numbers, plan, room, labels[batches[step]], rate)


@compiled
def _show(pixels: Pixels, indices: NDArray[np.int32], images: Array) -> None:
    """Fill in images (m, pixels) with values from 0 to 1."""
    white = images.dtype.type(255)
    for i in range(len(indices)):
        row = pixels[indices[i]]
        for j in range(len(row)):
            images[i, j] = images.dtype.type(row[j]) / white


@compiled
def infer(numbers: Numbers, plan: Plan, room: Room, m: int) -> Array:
    """Take the m images at the front of room.outputs through the network in inference mode; return the logits."""
    logits: Array = _look(numbers, plan, room, m, INFERENCE, np.empty(0), np.empty(0))
    return logits


@compiled
def survey(
    numbers: Numbers,
    plan: Plan,
    room: Room,
    pixels: Pixels,
    indices: NDArray[np.int32],
    m: int,
    rows: int,
    guesses: Labels,
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> None:
    """Take images, m to a batch, through the network in training mode; moving averages move.

    indices: of the images, batch after batch. rows, a multiple of m: how many images to multiply at a time. In a small
    product an image takes longer: a fifth longer among 60 than among 480, and ten times as long among 2. guesses:
    filled in with the predicted classes, one for each index. mean, variance, (units,): the moving averages are added to
    them after every batch.
    """
    for start in range(0, len(indices), rows):
        some = indices[start : start + rows]
        _show(pixels, some, _matrix(room.outputs, 0, len(some), pixels.shape[1]))
        logits = _look(numbers, plan, room, len(some), m, mean, variance)
        for i in range(len(some)):
            guesses[start + i] = _first_highest(logits[i])


@compiled
def _look(
    numbers: Numbers,
    plan: Plan,
    room: Room,
    rows: int,
    m: int,
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> Array:
    """Take the images at the front of room.outputs through the network, and keep nothing for backward.

    rows: how many images there are. m: the images of a batch, in training mode; 0: in inference mode. mean, variance:
    see `survey`; not used in inference mode. Returns the logits.
    """
    layers = len(numbers.units) - 1
    weights = first = START
    inputs: Array = _matrix(room.outputs, 0, rows, numbers.units[0])
    z, above = room.delta, room.delta_below
    for layer in range(layers):
        fan_in, fan_out = numbers.units[layer], numbers.units[layer + 1]
        weight = _matrix(numbers.weights, weights, fan_in, fan_out)
        out = _matrix(z, 0, rows, fan_out)
        np.dot(inputs, weight, out)
        # All layers and batches work in the same place, which stays in the cache.
        kept, learned = _kept(room, m if m else rows, 0, fan_out), _learned(numbers, first, fan_out)
        totals = mean[first : first + fan_out], variance[first : first + fan_out]
        if layer == layers - 1:
            _transform(plan.logits, learned, weight, out, kept, m, totals)
        elif plan.after:
            activate(plan.activation, out)
            _transform(plan.hidden, learned, weight, out, kept, m, totals)
        else:
            _transform(plan.hidden, learned, weight, out, kept, m, totals)
            activate(plan.activation, out)
        first, weights = first + fan_out, weights + fan_in * fan_out
        inputs = out
        z, above = above, z
    return inputs


@compiled
def _transform(
    options: Options,
    learned: Learned,
    weight: Array,
    z: Array,
    kept: Kept,
    m: int,
    totals: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Overwrite z with its transform: in training mode, m images at a time, or in inference mode if m is 0."""
    if m == 0:
        transform_infer(options, learned, weight, z, kept)
        return
    mean, variance = totals
    for start in range(0, len(z), m):
        transform_forward(options, learned, weight, z[start : start + m], kept)
        for j in range(len(mean)):
            mean[j] += learned.mean[j]
            variance[j] += learned.variance[j]


@compiled
def evaluate(numbers: Numbers, plan: Plan, room: Room, pixels: Pixels, labels: Labels, rows: int) -> tuple[int, float]:
    """Count the right predictions and add up the cross-entropies of images, ``rows`` images at a time."""
    correct, loss = 0, 0.0
    for start in range(0, len(labels), rows):
        m = min(rows, len(labels) - start)
        _show(pixels, np.arange(start, start + m), _matrix(room.outputs, 0, m, pixels.shape[1]))
        logits = infer(numbers, plan, room, m)
        for i in range(m):
            predicted = _first_highest(logits[i])
            correct += predicted == labels[start + i]
            highest, total = logits[i, predicted], 0.0
            for j in range(logits.shape[1]):
                total += np.exp(logits[i, j] - highest)
            loss += np.log(total) - (logits[i, labels[start + i]] - highest)
    return correct, loss


@compiled
def _first_highest(values: Array) -> int:
    """Return the place of the first highest value, where nan counts as the highest, as in NumPy and PyTorch."""
    best = 0
    for j in range(1, len(values)):
        if np.isnan(values[best]):
            break
        if values[j] > values[best] or np.isnan(values[j]):
            best = j
    return best
