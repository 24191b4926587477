from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from bnpipe.core.errors import InputError
from bnpipe.core.settings import Arm, InitScheme
from bnpipe.data.packed import Dataset, Images
from bnpipe.networks.kernels import network_arithmetic
from bnpipe.networks.seeds import initial_weights, streams_of
from bnpipe.training.trainer import Training, build_network, evaluate, part_of, preprocess, training_subset
from tests.conftest import make_runs, make_settings


def test_weights_stay_where_only_the_transforms_learn(dataset: Dataset) -> None:
    training = Training(make_runs([42], trained="transforms"), dataset.train)
    before = {name: tensor.clone() for name, tensor in training.network.state().items()}
    with torch.inference_mode():
        training.advance(3)
    for name, tensor in training.network.state().items():
        assert torch.equal(tensor, before[name]) == name.endswith("weight"), name


def test_every_network_is_drawn_from_its_own_stream_with_its_own_initialization() -> None:
    stds: list[float | InitScheme] = [0.1, "he", 1.0]
    runs = make_runs([42, 42, 43], init_std=stds, hidden_sizes=(6, 5))
    network = build_network(runs, streams_of(runs.seeds))
    for run, (seed, init_std) in enumerate(zip(runs.seeds, stds, strict=True)):
        drawn = initial_weights(np.random.RandomState(seed), (784, 6, 5, 10), init_std)
        for (weight, _), expected in zip(network.layers, drawn, strict=True):
            np.testing.assert_array_equal(weight[run], expected)


def test_every_run_descends_at_its_own_learning_rate(dataset: Dataset) -> None:
    # From the same weights, on the same batch, the first update is in proportion to the learning rate.
    runs = make_runs([42, 42], learning_rate=[0.1, 0.3], arm="vanilla", hidden_sizes=(6,), precision="float64")
    training = Training(runs, dataset.train)
    assert training.learning_rate.tolist() == [[0.1], [0.3]]
    before = [weight.clone() for weight, _ in training.network.layers]
    with network_arithmetic():
        training.advance(1)
    for (weight, _), start in zip(training.network.layers, before, strict=True):
        update = weight - start
        torch.testing.assert_close(update[1], 3 * update[0], rtol=1e-9, atol=1e-15)
        assert update.abs().max() > 1e-6


def test_a_batch_of_more_images_than_are_trained_on_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InputError, match=r"^batch_size: expected 1 to 50 "):
        Training(make_runs([42], batch_size=60, training_images=50), dataset.train)


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_training_continues_from_a_state_to_the_same_bits(dataset: Dataset, arm: Arm) -> None:
    runs = make_runs([42, 43], arm=arm, hidden_sizes=(8,))
    training, other = Training(runs, dataset.train), Training(runs.change(init_std="he"), dataset.train)
    with network_arithmetic():
        training.advance(20)
        other.restore({name: array.copy() for name, array in training.state().items()})
        assert torch.equal(other.advance(20), training.advance(20))
    for name, array in training.state().items():
        np.testing.assert_array_equal(other.state()[name], array, err_msg=name)


def test_losses_are_those_of_the_steps_however_they_are_counted(dataset: Dataset) -> None:
    runs = make_runs([42, 43], hidden_sizes=(8,))
    at_once, in_parts = Training(runs, dataset.train), Training(runs, dataset.train)
    with network_arithmetic():
        losses = at_once.advance(130)
        parts = [in_parts.advance(end - begin) for begin, end in pairwise((0, 1, 60, 130))]
    assert losses.shape == (130, 2)
    assert torch.equal(torch.cat(parts), losses)


def test_accuracy_and_loss_by_hand() -> None:
    # One layer on two pixels, 0 or 1: logits of classes 0 and 1 are ln 3 where the pixel is 1, the others 0.
    runs = make_runs([42], arm="vanilla", hidden_sizes=(), precision="float64")
    network = build_network(runs, streams_of([42]))
    ((weight, _),) = network.layers
    weight.zero_()
    weight[0, 0, 0] = weight[0, 1, 1] = np.log(3)
    pixels = torch.zeros(4, 784, dtype=torch.uint8)
    pixels[[0, 1], 0] = 255
    pixels[[2, 3], 1] = 255
    with network_arithmetic():
        accuracy, loss = evaluate(network, Images(pixels, torch.tensor([0, 1, 1, 1])))
    assert accuracy.tolist() == [0.75]
    # The softmax of ln 3 and nine zeros is 3 / 12 and 1 / 12: -ln is ln 4 three times and ln 12 once.
    assert loss.tolist() == pytest.approx([(3 * np.log(4) + np.log(12)) / 4], rel=1e-14)


def test_images_are_trained_on_as_the_settings_say(dataset: Dataset) -> None:
    images = dataset.train
    assert preprocess(make_settings(), images) is images
    black_and_white = preprocess(make_settings(binarize=True), images)
    assert torch.equal(black_and_white.pixels, (images.pixels >= 128).to(torch.uint8) * 255)
    few = training_subset(replace(make_settings(binarize=True), training_images=7), images)
    assert torch.equal(few.pixels, black_and_white.pixels[:7])
    assert torch.equal(few.labels, images.labels[:7])
    assert len(training_subset(make_settings(), images)) == 1000


def test_a_part_of_a_state_is_told_by_its_prefix() -> None:
    one, two = np.zeros(1), np.ones(1)
    assert part_of({"network.0.weight": one, "log.network.": two}, "network.") == {"0.weight": one}
