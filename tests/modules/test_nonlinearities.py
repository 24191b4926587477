from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bnpipe.networks.nonlinearities import NONLINEARITIES

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}


@pytest.mark.parametrize("name", sorted(NONLINEARITIES))
def test_nonlinearities_and_their_derivatives(name: str) -> None:
    function = FUNCTIONS[name]
    x = torch.linspace(-12, 12, 1001, dtype=torch.float64, requires_grad=True)
    out = NONLINEARITIES[name].forward(x.detach().clone())
    torch.testing.assert_close(out, function(x).detach(), rtol=0, atol=1e-15)
    (slope,) = torch.autograd.grad(function(x).sum(), x)
    torch.testing.assert_close(NONLINEARITIES[name].backward(torch.ones_like(out), out), slope)
