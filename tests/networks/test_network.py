from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from torch import Tensor
from torch.nn import functional

from benchmarks.made_up import SHAPE
from bnpipe.core.settings import (
    Activation,
    Arm,
    BuiltInActivation,
    BuiltInArm,
    Position,
    Precision,
    TrainingSettings,
)
from bnpipe.networks.compiled import BIAS, Labels
from bnpipe.networks.network import CODES, KINDS, Network, draw_network, plan_of
from bnpipe.networks.seeds import initial_weights
from tests.conftest import make_settings

SIZES, BATCH, RATE = [6, 8, 4, 6], 8, 0.3
BIASES = ("vanilla", "firstbatch")  # arms without a gamma
WITHOUT_STATISTICS = (*BIASES, "weightnorm")  # arms for which the position is of no matter
FUNCTIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}


def make_network(settings: TrainingSettings, sizes: list[int] = SIZES) -> Network:
    """Return a network in the middle of its training: nothing has the value that it began with."""
    rng = np.random.default_rng(3)
    network = Network([rng.normal(size=size) for size in pairwise(sizes)], settings)
    for learned, kind in zip(network.learned, network._kinds, strict=True):
        learned.beta[:] = rng.normal(size=len(learned.beta))
        learned.mean[:] = rng.normal(size=len(learned.beta))
        learned.variance[:] = rng.uniform(0.5, 2, len(learned.beta))
        if kind != BIAS:
            learned.gamma[:] = rng.uniform(0.5, 1.5, len(learned.beta))
    return network


def some_images(sizes: list[int] = SIZES, images: int = BATCH) -> tuple[NDArray[np.float64], Labels]:
    """Return images (images, pixels), and labels."""
    rng = np.random.default_rng(4)
    return rng.random((images, sizes[0])), rng.integers(0, sizes[-1], images)


def small(**changes: Any) -> TrainingSettings:
    return make_settings(**{"batch_size": BATCH, "groups": 2, "precision": "float64", **changes})


Averages = tuple[Tensor | None, Tensor | None]  # mean and variance; without them it is training mode
NONE = (None, None)


def normalized(arm: Arm, z: Tensor, weight: Tensor, settings: TrainingSettings, averages: Averages) -> Tensor:
    """Return what an arm makes of z (batch, units) before gamma and beta, as PyTorch has it."""
    match arm:
        case "vanilla" | "firstbatch":
            return z
        case "batchnorm":
            return functional.batch_norm(z, *averages, training=averages[0] is None, eps=settings.epsilon)
        case "layernorm":
            return functional.layer_norm(z, [z.shape[1]], eps=settings.epsilon)
        case "groupnorm":
            return functional.group_norm(z, settings.groups, eps=settings.epsilon)
        case "rmsnorm":
            return functional.rms_norm(z, [z.shape[1]], eps=settings.epsilon)
        case "weightnorm":
            return z / weight.square().sum(dim=0).sqrt()
        case _:
            raise ValueError(f"{arm}: expected an arm that is compiled")


def logits_of(
    images: Tensor,
    weights: list[Tensor],
    parameters: list[dict[str, Tensor]],
    settings: TrainingSettings,
    averages: Sequence[Averages],
) -> Tensor:
    """Return the logits, by what PyTorch brings."""
    function = FUNCTIONS[settings.activation]
    is_normalized = [settings.normalize_hidden] * (len(weights) - 1) + [settings.normalize_logits]
    after = settings.position == "after" and settings.normalize_hidden and settings.arm not in WITHOUT_STATISTICS
    hidden = images
    for layer, (weight, own, moving) in enumerate(zip(weights, parameters, averages, strict=True)):
        is_last = layer == len(weights) - 1
        arm: Arm = settings.arm if is_normalized[layer] else "vanilla"
        z = hidden @ weight
        if after and not is_last:
            z = function(z)
        hidden = normalized(arm, z, weight, settings, moving) * own.get("gamma", 1) + own["beta"]
        if not after and not is_last:
            hidden = function(hidden)
    return hidden


@pytest.mark.parametrize("arm", sorted(KINDS))
@pytest.mark.parametrize("activation", sorted(CODES))
@pytest.mark.parametrize(
    "changes",
    [
        *(
            {},
            {"normalize_logits": False},
            {"normalize_hidden": False},
            {"normalize_hidden": False, "position": "after"},
        ),
        *({"position": "after"}, {"trained": "transforms"}, {"parameter_rate": 0.25}),
    ],
)
def test_a_step_is_gradient_descent_as_autograd_has_it(
    arm: Arm, activation: Activation, changes: dict[str, Any]
) -> None:
    settings = small(arm=arm, activation=activation, **changes)
    network, (images, labels) = make_network(settings), some_images()
    weights = [torch.tensor(weight, requires_grad=True) for weight in network.weights]
    parameters = [
        {name: torch.tensor(own, requires_grad=True) for name, own in layer.items()} for layer in network.parameters
    ]
    logits = logits_of(torch.from_numpy(images), weights, parameters, settings, [NONE] * 3)
    loss = functional.cross_entropy(logits, torch.from_numpy(labels))
    of_weights = torch.autograd.grad(loss, weights, retain_graph=True)
    of_parameters = [torch.autograd.grad(loss, list(own.values()), retain_graph=True) for own in parameters]

    np.testing.assert_allclose(network.forward(images), logits.detach().numpy(), rtol=1e-10, atol=1e-12)
    assert network.step(images, labels, RATE).loss == pytest.approx(loss.item(), rel=1e-12)
    rate = 0 if settings.trained == "transforms" else RATE
    for updated, weight, slope in zip(network.weights, weights, of_weights, strict=True):
        np.testing.assert_allclose(updated, (weight - rate * slope).detach().numpy(), rtol=1e-10, atol=1e-12)
    rate = RATE * settings.parameter_rate
    for layer, before, slopes in zip(network.parameters, parameters, of_parameters, strict=True):
        for updated, own, slope in zip(layer.values(), before.values(), slopes, strict=True):
            np.testing.assert_allclose(updated, (own - rate * slope).detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("position", get_args(Position))
@pytest.mark.parametrize("arm", sorted(KINDS))
def test_every_update_is_the_slope_of_the_loss_by_finite_differences(arm: Arm, position: Position) -> None:
    network, (images, labels) = make_network(small(arm=arm, position=position, parameter_rate=0.5)), some_images()

    def loss() -> float:
        return float(-log_softmax(network.forward(images), axis=1)[np.arange(BATCH), labels].mean())

    slopes = {name: np.zeros_like(array) for name, array in network.state().items()}
    for name, array in network.state().items():
        for place, value in enumerate(array.tolist()):
            array[place] = value + 1e-5
            above = loss()
            array[place] = value - 1e-5
            slopes[name][place] = (above - loss()) / 2e-5
            array[place] = value
    assert not slopes["mean"].any()
    assert not slopes["variance"].any()  # in training mode averages are not read

    before = {name: array.copy() for name, array in network.state().items()}
    network.step(images, labels, RATE)
    for name, rate in (("weights", RATE), ("gamma", 0.5 * RATE), ("beta", 0.5 * RATE)):
        update = network.state()[name] - before[name]
        expected = -rate * slopes[name]
        if arm in BIASES and name == "gamma":
            assert not update.any()
        else:
            assert np.abs(update).max() > 1e-3
            np.testing.assert_allclose(update, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("arm", sorted(KINDS))
def test_inference_looks_at_each_image_alone(arm: Arm) -> None:
    network, (images, _) = make_network(small(arm=arm)), some_images()
    network.forward(images)
    together = network.infer(images)
    assert together.shape == (BATCH, 6)
    for image in range(BATCH):
        alone = network.infer(images[image : image + 1])
        np.testing.assert_allclose(alone[0], together[image], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("arm", sorted(KINDS))
def test_inference_changes_nothing_and_only_training_moves_averages(arm: Arm) -> None:
    network, (images, labels) = make_network(small(arm=arm)), some_images()
    before = {name: array.copy() for name, array in network.state().items()}

    def changed() -> set[str]:
        return {name for name, array in network.state().items() if not np.array_equal(array, before[name])}

    network.infer(images)
    network.evaluate((images * 255).astype(np.uint8), labels)
    assert not changed()
    network.forward(images)
    assert changed() == ({"mean", "variance"} if arm == "batchnorm" else set())


@pytest.mark.parametrize("arm", sorted(KINDS))
@pytest.mark.parametrize("activation", sorted(CODES))
@pytest.mark.parametrize(
    "changes", [{}, {"normalize_logits": False}, {"normalize_hidden": False}, {"position": "after"}]
)
def test_inference_is_what_pytorch_makes_of_the_moving_averages(
    arm: Arm, activation: Activation, changes: dict[str, Any]
) -> None:
    settings = small(arm=arm, activation=activation, **changes)
    network, (images, _) = make_network(settings), some_images()
    weights = [torch.from_numpy(weight) for weight in network.weights]
    parameters = [{name: torch.from_numpy(own) for name, own in layer.items()} for layer in network.parameters]
    averages = [(torch.from_numpy(own.mean), torch.from_numpy(own.variance)) for own in network.learned]
    expected = logits_of(torch.from_numpy(images), weights, parameters, settings, averages)
    np.testing.assert_allclose(network.infer(images), expected, rtol=1e-10, atol=1e-12)
    assert (arm == "batchnorm") != np.allclose(network.forward(images), expected)


def test_logits_stay_when_the_network_goes_on() -> None:
    network, (images, _) = make_network(small()), some_images()
    for compute in (network.forward, network.infer):
        logits = compute(images)
        kept = logits.copy()
        compute(images[::-1])
        np.testing.assert_array_equal(logits, kept)


def test_an_observer_sees_every_layer_on_the_way_there_and_back() -> None:
    network = make_network(small(arm="vanilla", activation="relu"), [6, 5, 3])
    betas = [own["beta"] for own in network.parameters]
    (w0, w1), (b0, b1) = ([array.copy() for array in kind] for kind in (network.weights, betas))
    images, _ = some_images([6, 5, 3])
    delta = np.random.default_rng(5).normal(size=(BATCH, 3))
    logits = network.forward(images)
    seen = network.step_from(images, delta)
    z = images @ w0
    hidden = np.maximum(z + b0, 0)
    delta_below = delta @ w1.T * (hidden > 0)
    assert 0 < (hidden > 0).mean() < 1
    for found, expected in (
        (seen.z, [z, hidden @ w1]),
        (seen.output, [hidden, hidden @ w1 + b1]),
        (seen.delta, [delta_below, delta]),
        (seen.weights, [w0 - images.T @ delta_below, w1 - hidden.T @ delta]),
    ):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(seen.output[-1], logits)
    assert np.isnan(seen.loss)


def test_an_observed_step_is_seen_with_its_loss_and_gradient() -> None:
    network, (images, labels) = make_network(small()), some_images()
    logits = network.forward(images)
    seen = network.step(images, labels, RATE)
    assert seen.loss == pytest.approx(-log_softmax(logits, axis=1)[np.arange(BATCH), labels].mean(), rel=1e-12)
    assert [z.shape for z in seen.z] == [output.shape for output in seen.output] == [(BATCH, 8), (BATCH, 4), (BATCH, 6)]
    assert [delta.shape for delta in seen.delta] == [(BATCH, 8), (BATCH, 4), (BATCH, 6)]
    np.testing.assert_array_equal(seen.output[-1], logits)
    for one, other in zip(seen.weights, network.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_seen_stays_when_training_goes_on() -> None:
    network, (images, labels) = make_network(small()), some_images()
    seen = network.step(images, labels, RATE)
    kept = [array.copy() for kind in (seen.z, seen.output, seen.delta, seen.weights) for array in kind]
    network.step(images[::-1], labels, RATE)
    for one, other in zip(kept, [*seen.z, *seen.output, *seen.delta, *seen.weights], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("arm", sorted(KINDS))
def test_the_gradient_at_the_logits_is_all_that_a_step_needs(arm: Arm) -> None:
    (images, labels), settings = some_images(), small(arm=arm)
    by_labels, by_gradient = make_network(settings), make_network(settings)
    slopes = softmax(make_network(settings).forward(images), axis=1) - np.eye(6)[labels]
    seen = by_gradient.step_from(images, RATE / BATCH * slopes)
    expected = by_labels.step(images, labels, RATE)
    for kind in ("z", "output", "delta", "weights"):
        for one, other in zip(getattr(seen, kind), getattr(expected, kind), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)
    for name, array in by_labels.state().items():
        np.testing.assert_allclose(by_gradient.state()[name], array, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("precision", get_args(Precision))
@pytest.mark.parametrize("arm", sorted(KINDS))
def test_training_on_the_bytes_of_a_data_set_is_step_by_step_to_the_bit(arm: Arm, precision: Precision) -> None:
    rng = np.random.default_rng(6)
    pixels, labels = rng.integers(0, 256, (50, 20), np.uint8), rng.integers(0, 6, 50)
    batches = np.array([rng.permutation(50)[:BATCH] for _ in range(7)], np.int32)
    settings, sizes = small(arm=arm, precision=precision), [20, 8, 4, 6]
    at_once, one_by_one = make_network(settings, sizes), make_network(settings, sizes)
    losses = at_once.train(pixels, labels, batches, RATE)
    shown = pixels.astype(at_once.number) / at_once.number(255)
    assert losses.dtype == at_once.number
    for loss, batch in zip(losses, batches, strict=True):
        assert loss == at_once.number(one_by_one.step(shown[batch], labels[batch], RATE).loss)
    for name, array in at_once.state().items():
        np.testing.assert_array_equal(one_by_one.state()[name], array, err_msg=name)


def test_a_step_is_the_same_whatever_the_sizes_of_batches_before_it() -> None:
    images, labels = some_images(images=30)
    plain, other = make_network(small()), make_network(small())
    other.infer(images)
    other.forward(images)
    other.restore(plain.state())
    for network in (plain, other):
        network.step(images[:BATCH], labels[:BATCH], RATE)
        network.step(images[:3], labels[:3], RATE)
    for name, array in plain.state().items():
        np.testing.assert_array_equal(other.state()[name], array, err_msg=name)


def test_accuracy_and_loss_by_hand() -> None:
    # One layer on two pixels, 0 or 1: logits of classes 0 and 1 are ln 3 where the pixel is 1, the others 0.
    weight = np.zeros((784, 10))
    weight[0, 0] = weight[1, 1] = np.log(3)
    network = Network([weight], make_settings(arm="vanilla", hidden_sizes=(), precision="float64"))
    pixels = np.zeros((4, 784), np.uint8)
    pixels[[0, 1], 0] = 255
    pixels[[2, 3], 1] = 255
    accuracy, loss = network.evaluate(pixels, np.array([0, 1, 1, 1]))
    assert accuracy == 0.75
    # The softmax of ln 3 and nine zeros is 3 / 12 and 1 / 12: -ln is ln 4 three times and ln 12 once.
    assert loss == pytest.approx((3 * np.log(4) + np.log(12)) / 4, rel=1e-14)


@pytest.mark.parametrize("count", [1, 249, 250, 251, 700])
def test_every_image_is_evaluated_however_many_there_are(count: int) -> None:
    rng = np.random.default_rng(7)
    pixels, labels = rng.integers(0, 256, (count, 6), np.uint8), rng.integers(0, 6, count)
    network = make_network(small())
    logits = network.infer(pixels / 255)
    accuracy, loss = network.evaluate(pixels, labels)
    assert accuracy == (logits.argmax(axis=1) == labels).mean()
    assert loss == pytest.approx(-log_softmax(logits, axis=1)[np.arange(count), labels].mean(), rel=1e-12)


def test_a_network_that_computes_nan_predicts_the_first_class() -> None:
    network = make_network(small(arm="vanilla"))
    network.weights[0][:] = np.nan
    accuracy, loss = network.evaluate(np.zeros((4, 6), np.uint8), np.array([0, 1, 2, 0]))
    assert accuracy == 0.5
    assert np.isnan(loss)


def test_state_is_all_that_a_step_changes() -> None:
    network, (images, labels) = make_network(small()), some_images()
    before = {name: array.copy() for name, array in network.state().items()}
    assert list(before) == ["weights", "gamma", "beta", "mean", "variance"]
    assert before["weights"].size == 6 * 8 + 8 * 4 + 4 * 6
    assert all(before[name].size == 8 + 4 + 6 for name in ("gamma", "beta", "mean", "variance"))
    network.step(images, labels, RATE)
    for name, array in network.state().items():
        assert (array != before[name]).all(), name
    assert network.numbers.units.tolist() == SIZES
    network.restore(before)
    other = make_network(small())
    assert network.step(images, labels, RATE).loss == other.step(images, labels, RATE).loss
    for name, array in network.state().items():
        np.testing.assert_array_equal(other.state()[name], array, err_msg=name)


@pytest.mark.parametrize(("own", "given"), [("float64", "float32"), ("float32", "float64")])
def test_a_state_of_another_precision_is_rounded(own: Precision, given: Precision) -> None:
    network, other = (make_network(small(precision=precision)) for precision in (own, given))
    other.step(*some_images(), RATE)
    network.restore(other.state())
    for name, array in network.state().items():
        assert array.dtype == own
        np.testing.assert_array_equal(array, other.state()[name].astype(own), err_msg=name)


def test_views_of_the_layers_are_of_the_numbers_themselves() -> None:
    network = make_network(small())
    assert [weight.shape for weight in network.weights] == [*pairwise(SIZES)]
    network.weights[1][2, 3] = 77
    assert network.numbers.weights[6 * 8 + 2 * 4 + 3] == 77
    network.learned[2].variance[5] = 78
    assert network.numbers.variance[8 + 4 + 5] == 78
    network.parameters[1]["gamma"][0] = 79
    assert network.numbers.gamma[8] == 79


@pytest.mark.parametrize("arm", sorted(KINDS))
def test_layers_name_what_they_learn_and_which_of_them_average(arm: Arm) -> None:
    names = ["beta"] if arm in BIASES else ["gamma", "beta"]
    network = make_network(small(arm=arm))
    assert [list(own) for own in network.parameters] == [names] * 3
    assert network.averages == ([0, 1, 2] if arm == "batchnorm" else [])
    without = make_network(small(arm=arm, normalize_logits=False))
    assert [list(own) for own in without.parameters] == [names, names, ["beta"]]
    assert without.averages == ([0, 1] if arm == "batchnorm" else [])
    logits_only = make_network(small(arm=arm, normalize_hidden=False))
    assert [list(own) for own in logits_only.parameters] == [["beta"], ["beta"], names]
    assert logits_only.averages == ([2] if arm == "batchnorm" else [])


def test_the_order_after_the_nonlinearity_is_only_for_what_has_statistics() -> None:
    for arm in KINDS:
        assert plan_of(small(arm=arm, position="after")).after == (arm not in WITHOUT_STATISTICS)
        assert not plan_of(small(arm=arm)).after
        assert not plan_of(small(arm=arm, position="after", normalize_hidden=False)).after


def test_a_network_is_drawn_from_its_stream() -> None:
    settings = make_settings(hidden_sizes=(6, 5), init_std="he")
    network = draw_network(settings, SHAPE, np.random.RandomState(42))
    drawn = initial_weights(np.random.RandomState(42), (784, 6, 5, 10), "he")
    for weight, expected in zip(network.weights, drawn, strict=True):
        np.testing.assert_array_equal(weight, expected)
    for name, start in (("gamma", 1), ("beta", 0), ("mean", 0), ("variance", 1)):
        assert (network.state()[name] == start).all()


@pytest.mark.parametrize("precision", get_args(Precision))
@pytest.mark.parametrize("arm", sorted(KINDS))
def test_one_precision_throughout(arm: Arm, precision: Precision) -> None:
    network, (images, labels) = make_network(small(arm=arm, precision=precision)), some_images()
    seen = network.step(images.astype(precision), labels, RATE)
    arrays = [
        *(*network.state().values(), *seen.z, *seen.output, *seen.delta, *seen.weights),
        *(network.forward(images), network.infer(images)),
        *(array for room in network._rooms.values() for array in room),
    ]
    assert {array.dtype for array in arrays} == {np.dtype(precision)}


def test_double_precision_is_not_rounded_on_the_way() -> None:
    # In single precision so small a change of a weight would not be seen, or not in proportion.
    for arm in KINDS:
        logits = []
        for change in (0, 1e-8, 2e-8):
            network, (images, _) = make_network(small(arm=arm, activation="sigmoid"), [6, 8, 6]), some_images()
            network.weights[0][0, 0] += change
            logits.append(np.concatenate([network.infer(images), network.forward(images)]))
        start, one, two = logits
        assert (np.abs(one - start).reshape(2, -1).max(axis=1) > 1e-11).all()
        np.testing.assert_allclose(two - start, 2 * (one - start), rtol=1e-3, atol=1e-13)


def test_memory_is_aligned() -> None:
    network, (images, labels) = make_network(small(precision="float32"), [7, 5, 3]), some_images([7, 5, 3])
    network.step(images, labels, RATE)
    network.infer(images[:3])
    assert len(network._rooms) == 2
    for arrays in (network.numbers[1:], *network._rooms.values()):
        assert all(array.ctypes.data % 64 == 0 for array in arrays if array.size)


def test_an_arm_that_is_not_compiled_is_not_among_the_kinds() -> None:
    assert {*get_args(BuiltInArm)} - {*KINDS} == {"noisybatchnorm", "batchrenorm", "ghostbatchnorm"}
    assert set(CODES) == set(get_args(BuiltInActivation))
    with pytest.raises(KeyError, match="another"):
        plan_of(make_settings(arm="another"))
