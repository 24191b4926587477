"""Optimizers against values worked out by hand; `test_descent` holds them against torch.optim."""

import pytest
import torch

from bnpipe.modules.optimizers import Adam, Momentum, PlainDescent
from tests.conftest import make_settings


def test_three_steps_of_momentum_by_hand() -> None:
    direction = Momentum(torch.zeros(1, 1, 2), make_settings(momentum=0.5))
    gradient = torch.tensor([[[1.0, -2.0]]])
    found = [direction(gradient * times).tolist() for times in (1, 1, 0)]
    assert found == [[[[1.0, -2.0]]], [[[1.5, -3.0]]], [[[0.75, -1.5]]]]


def test_two_steps_of_adam_by_hand() -> None:
    # Gradients 3 and then -1, beta1 = 0.5, beta2 = 0.75. First step: mean 1.5 / 0.5 = 3, square 2.25 / 0.25 = 9. Second
    # step: mean (0.75 - 0.5) / 0.75 = 1/3, square (1.6875 + 0.25) / 0.4375 = 31/7. Epsilon is 1.
    direction = Adam(torch.zeros(1), make_settings(beta1=0.5, beta2=0.75, adam_epsilon=1.0))
    assert direction(torch.tensor([3.0])).item() == pytest.approx(3 / (3 + 1))
    assert direction(torch.tensor([-1.0])).item() == pytest.approx((1 / 3) / ((31 / 7) ** 0.5 + 1))


def test_plain_descent_keeps_nothing() -> None:
    gradient = torch.ones(2, 3, 4)
    direction = PlainDescent(gradient, make_settings())
    assert direction(gradient) is gradient
    assert direction.state_dict() == {}
