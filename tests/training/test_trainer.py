from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.settings import Arm
from bnpipe.data.packed import Dataset
from bnpipe.networks.seeds import BatchOrder, streams_of
from bnpipe.training.trainer import Training, part_of, preprocess, training_subset
from tests.conftest import make_settings


def test_a_batch_of_more_images_than_are_trained_on_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InputError, match=r"^batch_size: expected 1 to 50 "):
        Training(make_settings(batch_size=60, training_images=50), 42, dataset.train)


@pytest.mark.parametrize("changes", [{"optimizer": "momentum"}, {"weight_decay": 0.1}])
def test_what_is_not_compiled_is_not_trained_as_something_else(dataset: Dataset, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^only plain gradient descent is compiled, got "):
        Training(make_settings(**changes), 42, dataset.train)


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_training_continues_from_a_state_to_the_same_bits(dataset: Dataset, arm: Arm) -> None:
    settings = make_settings(arm=arm, hidden_sizes=(8,))
    training, other = (Training(replace(settings, init_std=std), 42, dataset.train) for std in (0.1, 1.0))
    training.advance(20)
    other.restore({name: array.copy() for name, array in training.state().items()})
    np.testing.assert_array_equal(other.advance(20), training.advance(20))
    for name, array in training.state().items():
        np.testing.assert_array_equal(other.state()[name], array, err_msg=name)


def test_losses_are_those_of_the_steps_however_they_are_counted(dataset: Dataset) -> None:
    at_once, in_parts = (Training(make_settings(hidden_sizes=(8,)), 42, dataset.train) for _ in range(2))
    losses = at_once.advance(130)
    parts = [in_parts.advance(end - begin) for begin, end in pairwise((0, 1, 60, 130))]
    assert losses.shape == (130,)
    np.testing.assert_array_equal(np.concatenate(parts), losses)


def test_an_observed_step_is_an_ordinary_one(dataset: Dataset) -> None:
    watched, plain = (Training(make_settings(hidden_sizes=(8,)), 42, dataset.train) for _ in range(2))
    seen = [watched.observed_step().loss for _ in range(3)]
    np.testing.assert_array_equal(np.array(seen, np.float32), plain.advance(3))
    np.testing.assert_array_equal(watched.network.numbers.weights, plain.network.numbers.weights)


def test_mini_batches_are_those_of_the_seeds_stream(dataset: Dataset) -> None:
    training = Training(make_settings(hidden_sizes=(8,)), 42, dataset.train)
    stream = streams_of([42])
    for fan_in, fan_out in ((784, 8), (8, 10)):
        stream[0].normal(size=(fan_in, fan_out))  # weights come first
    batches = BatchOrder(stream, 1000, 60).next_batches(2)[:, :, 0]
    for batch in batches:
        chosen = dataset.train.take(batch)
        np.testing.assert_array_equal(training.network.forward(chosen.shown()), training.observed_step().output[-1])


@pytest.mark.parametrize("changes", [{}, {"binarize": True, "training_images": 200}, {"normalize_logits": False}])
def test_the_first_mini_batch_alone_is_normalized_and_taken_by_all_arms_alike(
    dataset: Dataset, changes: dict[str, Any]
) -> None:
    vanilla, batchnorm, firstbatch = (
        Training(make_settings(arm=arm, hidden_sizes=(20, 15), precision="float64", **changes), 42, dataset.train)
        for arm in ("vanilla", "batchnorm", "firstbatch")
    )
    biases = [own["beta"].copy() for own in firstbatch.network.parameters]
    seen = firstbatch.observed_step()
    for layer in range(2):
        np.testing.assert_allclose((seen.z[layer] + biases[layer]).mean(axis=0), 0, atol=1e-12)
    assert seen.loss == pytest.approx(batchnorm.advance(1).item(), rel=1e-12)  # it starts as batch normalization does
    # From there on it is a vanilla network of other numbers on the same mini-batches.
    vanilla.advance(1)
    vanilla.network.restore(firstbatch.network.state())
    np.testing.assert_array_equal(vanilla.advance(30), firstbatch.advance(30))
    for name, array in vanilla.state().items():
        np.testing.assert_array_equal(firstbatch.state()[name], array, err_msg=name)


def test_images_are_trained_on_as_the_settings_say(dataset: Dataset) -> None:
    images = dataset.train
    assert preprocess(make_settings(), images) is images
    black_and_white = preprocess(make_settings(binarize=True), images)
    np.testing.assert_array_equal(black_and_white.pixels, (images.pixels >= 128) * 255)
    few = training_subset(make_settings(binarize=True, training_images=7), images)
    np.testing.assert_array_equal(few.pixels, black_and_white.pixels[:7])
    np.testing.assert_array_equal(few.labels, images.labels[:7])
    assert len(training_subset(make_settings(), images)) == 1000


def test_a_part_of_a_state_is_told_by_its_prefix() -> None:
    one, two = np.zeros(1), np.ones(1)
    assert part_of({"network.0.weight": one, "log.network.": two}, "network.") == {"0.weight": one}
