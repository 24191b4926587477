import numpy as np
import pytest
import threadpoolctl
import torch

from bnpipe.networks.kernels import (
    log_softmax,
    network_arithmetic,
    one_thread,
    product,
    subtract_product,
    sum_over_batch,
    tanh_,
)


def values(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def test_product_multiplies_each_run_by_its_matrix() -> None:
    inputs, weight = values(6, 2, 3), values(2, 3, 4)
    expected = torch.stack([inputs[:, run] @ weight[run] for run in range(2)], dim=1)
    torch.testing.assert_close(product(inputs, weight), expected)
    torch.testing.assert_close(product(inputs[:, :1], weight)[:, 1], inputs[:, 0] @ weight[1])  # shared by the runs
    torch.testing.assert_close(product(expected, weight.transpose(1, 2))[:, 1], expected[:, 1] @ weight[1].T)


def test_subtract_product_updates_the_weights_in_place() -> None:
    weight, inputs, delta = values(2, 3, 4), values(6, 2, 3), values(6, 2, 4)
    expected = torch.stack([weight[run] - inputs[:, run].T @ delta[:, run] for run in range(2)])
    subtract_product(weight, inputs, delta)
    torch.testing.assert_close(weight, expected)


@pytest.mark.parametrize("rows", [60, 99, 100, 101, 333])
def test_product_of_many_rows_is_put_together_from_parts(rows: int) -> None:
    inputs, weight = values(rows, 2, 100), values(2, 100, 100)
    torch.testing.assert_close(product(inputs, weight)[:, 1], inputs[:, 1] @ weight[1])


def test_log_softmax_over_the_classes() -> None:
    logits = values(5, 2, 10) * 100
    torch.testing.assert_close(log_softmax(logits), torch.log_softmax(logits, dim=2))
    assert log_softmax(logits).is_contiguous()  # sums of what is made of it must not depend on the stack


def test_sums_over_the_batch_are_added_in_the_order_of_the_images() -> None:
    # In float32 1e8 + 1 is 1e8: only this order leaves 0.
    values = torch.tensor([1e8, 1.0, -1e8]).view(3, 1, 1).repeat(1, 2, 37)
    assert torch.equal(sum_over_batch(values), torch.zeros(2, 37))


def test_tanh_in_single_precision_is_exact_to_two_units_in_the_last_place() -> None:
    x = torch.cat([torch.logspace(-30, 1, 5000), -torch.logspace(-30, 1, 5000), torch.tensor([0.0, -0.0])])
    exact = torch.tanh(x.double()).numpy()
    error = np.abs(tanh_(x.clone()).numpy() - exact)
    assert (error <= 2 * np.spacing(np.abs(exact).astype(np.float32))).all()


def test_one_thread_and_back() -> None:
    before, torch_before = threadpoolctl.threadpool_info(), torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
        assert {library["num_threads"] for library in threadpoolctl.threadpool_info()} == {1}
    assert threadpoolctl.threadpool_info() == before
    assert torch.get_num_threads() == torch_before


def test_networks_compute_without_autograd_on_one_thread_and_in_silence() -> None:
    before, torch_before = np.geterr(), torch.get_num_threads()
    with network_arithmetic():
        assert torch.is_inference_mode_enabled()
        assert torch.get_num_threads() == 1
        assert np.isnan(np.float32(3e38) * np.float32(10) * np.float32(0))  # a warning would be an error here
        assert {**np.geterr(), "over": "ignore", "invalid": "ignore"} == np.geterr()
        assert np.geterr()["divide"] == before["divide"]
    assert not torch.is_inference_mode_enabled()
    assert (np.geterr(), torch.get_num_threads()) == (before, torch_before)
