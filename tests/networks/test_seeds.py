from typing import Any

import numpy as np
import pytest

from bnpipe.core.errors import InputError
from bnpipe.networks.seeds import BatchOrder, initial_weights, streams_of


def test_weights_are_the_first_draws_of_the_stream_layer_by_layer() -> None:
    first, second = initial_weights(np.random.RandomState(42), (3, 2, 4), init_std=0.1)
    stream = np.random.RandomState(42)
    drawn = stream.normal(size=3 * 2 + 2 * 4, scale=0.1).astype(np.float32)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, drawn[:6].reshape(3, 2))
    np.testing.assert_array_equal(second, drawn[6:].reshape(2, 4))


def test_known_first_weight_of_seed_42() -> None:
    # The first standard normal of NumPy's legacy stream 42 is 0.496714...
    (weights,) = initial_weights(np.random.RandomState(42), (784, 100), init_std=1)
    assert weights[0, 0] == np.float32(0.4967141530112327)


def test_a_batch_that_crosses_the_end_takes_the_rest_and_the_front_of_the_new_order() -> None:
    order = BatchOrder([np.random.RandomState(7)], images=5, batch_size=3)
    stream = np.random.RandomState(7)
    first, second, third = np.arange(5), np.arange(5), np.arange(5)
    for permutation in (first, second, third):
        stream.shuffle(permutation)
    epoch_1 = first  # 0..4 in file order, permuted
    epoch_2 = epoch_1[second]  # a shuffle permutes the order that stands
    epoch_3 = epoch_2[third]
    expected = [*epoch_1, *epoch_2, *epoch_3]
    drawn = np.concatenate([order.next_batches(count)[:, :, 0].ravel() for count in (1, 3)])
    np.testing.assert_array_equal(drawn, expected[:12])


def test_an_epoch_that_ends_with_a_batch_is_followed_by_a_shuffle() -> None:
    order = BatchOrder([np.random.RandomState(1)], images=4, batch_size=2)
    epochs = order.next_batches(4).reshape(2, 4)
    assert [sorted(epoch) for epoch in epochs] == [[0, 1, 2, 3]] * 2


def test_each_stream_has_its_own_order_whatever_stands_beside_it() -> None:
    together = BatchOrder([np.random.RandomState(s) for s in (1, 2)], images=10, batch_size=4)
    alone = BatchOrder([np.random.RandomState(2)], images=10, batch_size=4)
    both, one = together.next_batches(8), alone.next_batches(8)
    assert both.shape == (8, 4, 2)  # batches, images, streams
    np.testing.assert_array_equal(both[:, :, 1], one[:, :, 0])
    assert not np.array_equal(both[:, :, 0], both[:, :, 1])


def test_a_batch_does_not_change_after_later_shuffles() -> None:
    order = BatchOrder([np.random.RandomState(3)], images=6, batch_size=6)
    batch = order.next_batches(1)
    before = batch.copy()
    order.next_batches(1)
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize("taken", [0, 1, 2])  # the batch is the first, crosses the end of an order, follows one
def test_who_looks_at_the_next_batch_changes_nothing(taken: int) -> None:
    order, undisturbed = (BatchOrder(streams_of([1, 2]), images=10, batch_size=4) for _ in range(2))
    for either in (order, undisturbed):
        either.next_batches(taken) if taken else None
    seen = order.peek()
    assert seen.shape == (4, 2)
    np.testing.assert_array_equal(order.peek(), seen)
    following = undisturbed.next_batches(9)
    np.testing.assert_array_equal(seen, following[0])
    np.testing.assert_array_equal(order.next_batches(9), following)


@pytest.mark.parametrize("batch_size", [0, 6])
def test_a_batch_larger_than_the_data_is_refused(batch_size: int) -> None:
    expected = rf"^batch_size: expected 1 to 5 \(the number of training images\), got {batch_size}$"
    with pytest.raises(InputError, match=expected):
        BatchOrder([np.random.RandomState(0)], images=5, batch_size=batch_size)


@pytest.mark.parametrize(("scheme", "variance"), [("xavier", 1 / 784), ("he", 2 / 784), (0.5, 0.25)])
def test_initializations_by_name_and_by_number(scheme: Any, variance: float) -> None:
    (weights,) = initial_weights(np.random.RandomState(42), [784, 100], scheme)
    plain = np.random.RandomState(42).normal(size=(784, 100), scale=variance**0.5).astype(np.float32)
    np.testing.assert_array_equal(weights, plain)


@pytest.mark.parametrize("taken", [1, 5, 7])  # within an order, at its end, in the third
def test_an_order_goes_on_from_its_state_as_if_nothing_had_happened(taken: int) -> None:
    def order(seeds: tuple[int, int]) -> BatchOrder:
        streams = [np.random.RandomState(seed) for seed in seeds]
        for stream in streams:
            stream.normal()  # one of a pair: the stream keeps the other
        return BatchOrder(streams, images=10, batch_size=4)

    undisturbed, other = order((7, 8)), order((9, 10))
    undisturbed.next_batches(taken)
    other.restore({name: array.copy() for name, array in undisturbed.state().items()})
    np.testing.assert_array_equal(other.next_batches(9), undisturbed.next_batches(9))
    for name, array in undisturbed.state().items():
        np.testing.assert_array_equal(other.state()[name], array, err_msg=name)


def test_a_seed_opens_the_same_stream_each_time() -> None:
    first, second, again = streams_of([42, 43, 42])
    expected = np.random.RandomState(42).normal(size=3)
    np.testing.assert_array_equal(first.normal(size=3), expected)
    np.testing.assert_array_equal(again.normal(size=3), expected)  # streams of one seed are not one stream
    assert not np.array_equal(second.normal(size=3), expected)
