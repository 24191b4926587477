from typing import get_args

import pytest
import torch
from torch import Tensor

from bnpipe.core.settings import Arm, Position
from bnpipe.networks.nonlinearities import IDENTITY
from bnpipe.networks.norms import TRANSFORMS, AfterNonlinearity, BatchNorm, transforms_of
from bnpipe.networks.transforms import Bias
from tests.conftest import make_settings

EPSILON = 1e-3


@pytest.fixture
def z() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(60, 3, 7, generator=generator, dtype=torch.float64) * 2 + 1


def batchnorm(runs: int = 3, features: int = 7, **changes: object) -> BatchNorm:
    return BatchNorm(torch.empty(runs, 5, features, dtype=torch.float64), make_settings(**changes))


def test_every_arm_of_the_configuration_has_a_transform() -> None:
    assert set(TRANSFORMS) == set(get_args(Arm))


def test_values_worked_out_by_hand() -> None:
    # One feature, batch 1, 3: mean 2, biased variance 1; (1 - 2) / sqrt(1 + 0.001) = -0.99950037...
    norm = batchnorm(runs=1, features=1, batch_size=2)
    y = norm.forward(torch.tensor([[[1.0]], [[3.0]]], dtype=torch.float64))
    torch.testing.assert_close(y.flatten().tolist(), [-0.9995003746877732, 0.9995003746877732], rtol=1e-14, atol=0)
    # moving averages start at 0 and 1: 0 + 0.01 * (2 - 0) = 0.02 and 1 + 0.01 * (1 - 1) = 1
    assert norm.moving_mean.item() == pytest.approx(0.02, rel=1e-14)
    assert norm.moving_variance.item() == pytest.approx(1.0, rel=1e-14)


def test_unbiased_moving_variance_by_hand() -> None:
    # Batch 1, 3: unbiased variance 2; 1 + 0.01 * (2 - 1) = 1.01
    norm = batchnorm(runs=1, features=1, batch_size=2, moving_variance="unbiased")
    norm.forward(torch.tensor([[[1.0]], [[3.0]]], dtype=torch.float64))
    assert norm.moving_variance.item() == pytest.approx(1.01, rel=1e-14)


@pytest.mark.parametrize("convention", ["biased", "unbiased"])
def test_agrees_with_torch_in_both_modes(z: Tensor, convention: str) -> None:
    norm = batchnorm(moving_variance=convention)
    oracle = [torch.nn.BatchNorm1d(7, eps=EPSILON, momentum=0.01).double() for _ in range(3)]
    for _ in range(5):
        expected = torch.stack([layer(run) for layer, run in zip(oracle, z.unbind(1), strict=True)], dim=1)
        torch.testing.assert_close(norm.forward(z.clone()), expected.detach(), rtol=0, atol=1e-12)
    variance = torch.stack([layer.running_var for layer in oracle if layer.running_var is not None])
    if convention == "biased":  # torch averages m / (m - 1) times the batch variance, from the same start 1
        start = 0.99**5
        variance = start + (variance - start) * 59 / 60
    torch.testing.assert_close(norm.moving_variance.view(3, 7), variance, rtol=0, atol=1e-12)
    if convention == "unbiased":
        expected = torch.stack([layer.eval()(run) for layer, run in zip(oracle, z.unbind(1), strict=True)], dim=1)
        torch.testing.assert_close(norm.infer(z.clone()), expected.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("fused", [False, True])
def test_backward_is_the_gradient_and_updates_the_parameters(
    z: Tensor, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(2)
    norm = batchnorm()
    if fused:  # what a GPU is given
        monkeypatch.setattr(norm, "_gradients", norm._fused_gradients)
    norm.gamma.copy_(torch.rand(norm.gamma.shape, generator=generator) + 0.5)
    norm.beta.copy_(torch.rand(norm.beta.shape, generator=generator))
    gamma, beta, x = (tensor.clone().requires_grad_() for tensor in (norm.gamma, norm.beta, z))
    variance, mean = torch.var_mean(x, dim=0, correction=0)
    expected = gamma.view(3, 7) * (x - mean) / torch.sqrt(variance + EPSILON) + beta.view(3, 7)
    delta = torch.randn(z.shape, generator=generator, dtype=torch.float64)
    slopes = torch.autograd.grad(expected, (x, gamma, beta), delta)

    torch.testing.assert_close(norm.forward(z.clone()), expected.detach())
    torch.testing.assert_close(norm.backward(delta.clone()), slopes[0])
    torch.testing.assert_close(norm.gamma, gamma.detach() - slopes[1])
    torch.testing.assert_close(norm.beta, beta.detach() - slopes[2])


def test_identity_with_gamma_the_standard_deviation_and_beta_the_mean(z: Tensor) -> None:
    norm = batchnorm()
    variance, mean = torch.var_mean(z.flatten(1), dim=0, correction=0)
    norm.gamma.copy_(torch.sqrt(variance + EPSILON))
    norm.beta.copy_(mean)
    torch.testing.assert_close(norm.forward(z.clone()), z, rtol=0, atol=1e-13)


@pytest.mark.parametrize("arm", ["layernorm", "groupnorm", "rmsnorm"])
def test_norms_over_features_agree_with_torch_in_both_modes_and_in_every_gradient(z: Tensor, arm: Arm) -> None:
    z = torch.cat([z, z[:, :, :1]], dim=2)  # 8 features
    norm = TRANSFORMS[arm](
        torch.empty(3, 5, 8, dtype=torch.float64), make_settings(arm=arm, groups=4, parameter_rate=0.5)
    )
    gamma, beta = (
        norm.state()[name].uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(5)) for name in ("gamma", "beta")
    )
    before = gamma.clone(), beta.clone()
    leaves = [tensor.clone().requires_grad_() for tensor in (z, gamma, beta)]
    x_hat = {
        "layernorm": lambda x: torch.nn.functional.layer_norm(x, [8], eps=EPSILON),
        "groupnorm": lambda x: torch.nn.functional.group_norm(x.flatten(0, 1), 4, eps=EPSILON).view_as(x),
        "rmsnorm": lambda x: torch.nn.functional.rms_norm(x, [8], eps=EPSILON),
    }[arm](leaves[0])
    expected = x_hat * leaves[1] + leaves[2]
    delta = torch.randn(z.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    slopes = torch.autograd.grad(expected, leaves, delta)

    torch.testing.assert_close(norm.infer(z.clone()), expected.detach())
    torch.testing.assert_close(norm.forward(z.clone()), expected.detach())
    torch.testing.assert_close(norm.backward(delta.clone()), slopes[0])
    torch.testing.assert_close(gamma, before[0] - 0.5 * slopes[1])
    torch.testing.assert_close(beta, before[1] - 0.5 * slopes[2])


def test_weight_normalization_and_its_gradients() -> None:
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randn(9, 2, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    delta = torch.randn(9, 2, 4, generator=generator, dtype=torch.float64)
    norm = TRANSFORMS["weightnorm"](weight, make_settings(arm="weightnorm"))
    norm.state()["gamma"].fill_(1.5)
    leaf = weight.clone().requires_grad_()
    expected = 1.5 * torch.einsum("bri,rij->brj", inputs, leaf / leaf.pow(2).sum(1, keepdim=True).sqrt())
    (slope,) = torch.autograd.grad(expected, leaf, delta)

    z = torch.einsum("bri,rij->brj", inputs, weight)
    torch.testing.assert_close(norm.infer(z.clone()), expected.detach())
    torch.testing.assert_close(norm.forward(z.clone()), expected.detach())
    delta_z = norm.backward(delta.clone())
    updated = weight.clone()
    norm.update_weight(updated)
    torch.testing.assert_close(updated - torch.einsum("bri,brj->rij", inputs, delta_z), weight - slope)


def test_the_order_after_the_nonlinearity_is_only_for_what_has_statistics() -> None:
    weights = [torch.ones(1, 4, 4), torch.ones(1, 4, 10)]
    for arm in get_args(Arm):
        transforms, nonlinearity = transforms_of(weights, make_settings(arm=arm, position="after", groups=2))
        moved = arm not in ("vanilla", "weightnorm")
        assert (nonlinearity is IDENTITY) == moved
        assert isinstance(transforms[0], AfterNonlinearity) == moved
        assert not isinstance(transforms[1], AfterNonlinearity)


def test_logits_that_are_not_normalized_have_a_bias() -> None:
    weights = [torch.ones(1, 4, 4), torch.ones(1, 4, 10)]
    transforms, _ = transforms_of(weights, make_settings(normalize_logits=False))
    assert [type(transform) for transform in transforms] == [BatchNorm, Bias]


AVERAGES = ["moving_mean", "unbiased_moving_variance"]


@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize("arm", sorted(TRANSFORMS))
def test_a_transform_names_what_it_learns_and_the_averages_it_keeps(arm: Arm, position: Position) -> None:
    weights = [torch.ones(2, 4, 4), torch.ones(2, 4, 10)]
    transform = transforms_of(weights, make_settings(arm=arm, groups=2, position=position))[0][0]
    assert list(transform.parameters()) == (["bias"] if arm == "vanilla" else ["gamma", "beta"])
    assert list(transform.averages()) == (AVERAGES if arm == "batchnorm" else [])
    assert transform.state() == {**transform.parameters(), **transform.averages()}
    assert all(tensor.numel() == 2 * 4 for tensor in transform.state().values())


@pytest.mark.parametrize("convention", ["biased", "unbiased"])
def test_averages_are_set_in_the_convention_of_the_settings(convention: str) -> None:
    norm = batchnorm(runs=1, features=2, batch_size=5, moving_variance=convention)
    norm.set_averages(torch.tensor([1.0, 2.0]).double(), torch.tensor([3.0, 4.0]).double())
    assert norm.moving_mean.tolist() == [1, 2]
    assert norm.moving_variance.tolist() == pytest.approx([3, 4], rel=1e-15)
    assert norm.averages()["unbiased_moving_variance"].tolist() == pytest.approx(
        [3 * 5 / 4, 4 * 5 / 4] if convention == "biased" else [3, 4], rel=1e-15
    )
