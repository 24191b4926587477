from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from bnpipe.core.settings import Arm, BuiltInArm
from bnpipe.modules.norms import BatchNorm, Bias, NoisyBatchNorm, Scaled
from bnpipe.modules.parts import TRANSFORMS, WITHOUT_STATISTICS
from bnpipe.networks.network import KINDS, plan_of
from tests.conftest import make_settings

BIASES: tuple[Arm, ...] = ("vanilla", "firstbatch")  # arms without a gamma
EPSILON = 1e-3
RUNS, BATCH, UNITS, FAN_IN = 3, 60, 8, 5


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def z() -> Tensor:
    return 2 * draw(RUNS, BATCH, UNITS) + 1


def make(arm: Arm, weight: Tensor | None = None, **changes: object) -> Any:
    """Return a module in the middle of its training, in double precision."""
    weight = torch.ones(RUNS, FAN_IN, UNITS, dtype=torch.float64) if weight is None else weight
    module = TRANSFORMS[arm](weight, make_settings(arm=arm, groups=4, **changes))
    with torch.no_grad():
        for seed, own in enumerate(module.parameters()):
            own.copy_(draw(*own.shape, seed=10 + seed))
    return module


def slopes(module: Callable[[Tensor], Tensor], z: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
    """Return the output, and the gradients at z and at the parameters for some gradient at the output."""
    leaf = z.clone().requires_grad_()
    output = module(leaf)
    return output, *torch.autograd.grad(output, [leaf, *parameters], draw(*output.shape, seed=6))


def test_every_arm_of_the_configuration_has_a_transform() -> None:
    assert set(TRANSFORMS) == set(get_args(BuiltInArm))
    assert KINDS.keys() <= TRANSFORMS.keys()


def test_arms_without_statistics_are_those_of_the_compiled_engine() -> None:
    for arm in KINDS:
        assert plan_of(make_settings(arm=arm, position="after")).after == (arm not in WITHOUT_STATISTICS)


def test_batch_normalization_starts_as_the_formula_and_moves_its_averages_by_hand() -> None:
    # One unit, batch 1, 3: mean 2, biased variance 1; (1 - 2) / sqrt(1 + 0.001) = -0.99950037...
    norm = BatchNorm(torch.ones(1, 1, 1, dtype=torch.float64), make_settings(batch_size=2))
    y = norm(torch.tensor([[[1.0], [3.0]]], dtype=torch.float64))
    torch.testing.assert_close(y.flatten().tolist(), [-0.9995003746877732, 0.9995003746877732], rtol=1e-14, atol=0)
    # moving averages start at 0 and 1: 0 + 0.01 * (2 - 0) = 0.02 and 1 + 0.01 * (1 - 1) = 1
    assert norm.mean.item() == pytest.approx(0.02, rel=1e-14)
    assert norm.variance.item() == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("convention", ["biased", "unbiased"])
def test_batch_normalization_agrees_with_torchs_in_both_modes(z: Tensor, convention: str) -> None:
    norm = make("batchnorm", moving_variance=convention)
    oracle = [nn.BatchNorm1d(UNITS, eps=EPSILON, momentum=0.01).double() for _ in range(RUNS)]
    for run, layer in enumerate(oracle):
        layer.load_state_dict({"weight": norm.gamma[run, 0], "bias": norm.beta[run, 0]}, strict=False)
    for step in range(5):
        batch = (1 + step) * z
        expected = torch.stack([layer(run) for layer, run in zip(oracle, batch, strict=True)])
        torch.testing.assert_close(norm(batch), expected, rtol=0, atol=1e-12)
    means, variances = (
        torch.stack([layer.state_dict()[name] for layer in oracle]).unsqueeze(1)
        for name in ("running_mean", "running_var")
    )
    torch.testing.assert_close(norm.mean, means, rtol=0, atol=1e-12)
    if convention == "biased":  # torch averages m / (m - 1) times the batch variance, from the same start 1
        start = 0.99**5
        variances = start + (variances - start) * (BATCH - 1) / BATCH
        for layer, variance in zip(oracle, variances, strict=True):
            layer.load_state_dict({"running_var": variance[0]}, strict=False)
    torch.testing.assert_close(norm.variance, variances, rtol=0, atol=1e-12)
    expected = torch.stack([layer.eval()(run) for layer, run in zip(oracle, z, strict=True)])
    torch.testing.assert_close(norm.eval()(z), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(norm.mean, means, rtol=0, atol=1e-12)  # inference leaves it alone


def test_with_weight_1_the_averages_are_the_statistics_of_the_newest_batch_whatever_its_size(z: Tensor) -> None:
    for convention, correction in (("biased", 0), ("unbiased", 1)):
        norm = make("batchnorm", moving_average_weight=1.0, moving_variance=convention, batch_size=BATCH)
        norm(z)
        norm(z[:, :7])
        variance, mean = torch.var_mean(z[:, :7], dim=1, keepdim=True, correction=correction)
        torch.testing.assert_close(norm.mean, mean)
        torch.testing.assert_close(norm.variance, variance)


def test_averages_carry_no_gradient(z: Tensor) -> None:
    norm = make("batchnorm")
    for _ in range(2):
        norm(z.requires_grad_())
        assert not norm.mean.requires_grad
        assert not norm.variance.requires_grad


def test_batch_normalization_is_the_identity_with_gamma_the_standard_deviation_and_beta_the_mean(z: Tensor) -> None:
    norm = make("batchnorm")
    variance, mean = torch.var_mean(z, dim=1, keepdim=True, correction=0)
    norm.load_state_dict({"gamma": torch.sqrt(variance + EPSILON), "beta": mean}, strict=False)
    torch.testing.assert_close(norm(z), z, rtol=0, atol=1e-13)


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("arm", ["layernorm", "groupnorm", "rmsnorm"])
def test_norms_over_units_agree_with_torchs_in_both_modes_and_in_every_gradient(
    z: Tensor, arm: Arm, is_training: bool
) -> None:
    norm = make(arm).train(is_training)
    x_hat: dict[Arm, Callable[[Tensor], Tensor]] = {
        "layernorm": lambda x: nn.functional.layer_norm(x, [UNITS], eps=EPSILON),
        "groupnorm": lambda x: nn.functional.group_norm(x.flatten(0, 1), 4, eps=EPSILON).view_as(x),
        "rmsnorm": lambda x: nn.functional.rms_norm(x, [UNITS], eps=EPSILON),
    }
    gamma, beta = (own.detach().clone().requires_grad_() for own in norm.parameters())
    expected = slopes(lambda x: x_hat[arm](x) * gamma + beta, z, gamma, beta)
    for one, other in zip(slopes(norm, z, *norm.parameters()), expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("is_training", [True, False])
def test_weight_normalization_agrees_with_torchs_in_both_modes_and_in_every_gradient(is_training: bool) -> None:
    inputs, weight = draw(RUNS, 9, FAN_IN), draw(RUNS, FAN_IN, UNITS, seed=2).requires_grad_()
    norm = make("weightnorm", weight).train(is_training)
    output = norm(inputs @ weight)
    delta = draw(*output.shape, seed=6)
    found = torch.autograd.grad(output, [weight, *norm.parameters()], delta)
    for run in range(RUNS):
        linear = parametrizations.weight_norm(nn.Linear(FAN_IN, UNITS).double())
        beta, gamma, direction = linear.parameters()
        with torch.no_grad():
            gamma.copy_(norm.gamma[run].T)
            beta.copy_(norm.beta[run, 0])
            direction.copy_(weight[run].T)
        expected = linear(inputs[run])
        torch.testing.assert_close(output[run], expected)
        of_weight, of_gamma, of_beta = torch.autograd.grad(expected, [direction, gamma, beta], delta[run])
        torch.testing.assert_close(found[0][run], of_weight.T)
        torch.testing.assert_close(found[1][run], of_gamma.T)
        torch.testing.assert_close(found[2][run, 0], of_beta)


def test_a_bias_adds_and_its_gradient_is_the_sum_over_the_batch(z: Tensor) -> None:
    bias = make("vanilla")
    output, of_z, of_beta = slopes(bias, z, *bias.parameters())
    torch.testing.assert_close(output, z + bias.beta)
    torch.testing.assert_close(of_beta, of_z.sum(dim=1, keepdim=True))


@pytest.mark.parametrize("arm", sorted(TRANSFORMS))
def test_a_transform_starts_as_a_mere_normalization(arm: Arm) -> None:
    settings = make_settings(arm=arm, groups=4)
    module = TRANSFORMS[arm](torch.ones(RUNS, FAN_IN, UNITS, dtype=torch.float64), settings)
    assert isinstance(module, Bias if arm in BIASES else Scaled)
    for name, own in module.state_dict().items():
        assert (own == {"gamma": 1, "beta": 0, "mean": 0, "variance": 1, "key": 0, "step": 0}[name]).all()


@pytest.mark.parametrize("arm", sorted(TRANSFORMS))
def test_a_transform_names_what_it_learns_and_the_averages_it_keeps(arm: Arm) -> None:
    module = make(arm)
    assert [name for name, _ in module.named_parameters()] == (["beta"] if arm in BIASES else ["gamma", "beta"])
    averages = ["mean", "variance"]
    buffers = {
        "batchnorm": averages,
        "noisybatchnorm": [*averages, "key", "step"],
        "batchrenorm": [*averages, "step"],
        "ghostbatchnorm": averages,
    }
    assert [name for name, _ in module.named_buffers()] == buffers.get(arm, [])
    for name, tensor in module.state_dict().items():
        is_count = name in ("key", "step")
        assert (tensor.shape, tensor.dtype) == (
            (RUNS, 1, 1 if is_count else UNITS),
            torch.int64 if is_count else torch.float64,
        )


@pytest.mark.parametrize("arm", sorted(TRANSFORMS))
def test_runs_have_nothing_to_do_with_each_other(z: Tensor, arm: Arm) -> None:
    weight = draw(RUNS, FAN_IN, UNITS, seed=2)
    together, alone = make(arm, weight), make(arm, weight[1:2])
    alone.load_state_dict({name: own[1:2] for name, own in together.state_dict().items()})
    torch.testing.assert_close(together(z)[1], alone(z[1:2])[0])
    torch.testing.assert_close(together.eval()(z)[1], alone.eval()(z[1:2])[0])


# Noisy batch normalization. Bounds on statistics of random numbers are five standard errors, or wider.


def noisy(seeds: list[int], layer: int = 0, units: int = UNITS) -> NoisyBatchNorm:
    module = NoisyBatchNorm(torch.ones(len(seeds), FAN_IN, units, dtype=torch.float64), make_settings())
    module.seed(seeds, layer)
    return module


def test_the_noise_is_that_of_the_paper() -> None:
    # Over units mu is uniform on (-0.5, 0.5) and sigma on (1, 1.25): standard deviations 1 and 0.25 over sqrt(12).
    units, images = 2000, 500
    scale, shift = noisy([42], units=units).draw(images, units)
    assert scale.shape == shift.shape == (1, images, units)
    sigma, mu = scale.mean(dim=1).flatten(), shift.mean(dim=1).flatten()
    for values, middle, width in ((mu, 0.0, 1.0), (sigma, 1.125, 0.25)):
        deviation = width / 12**0.5
        assert values.mean().item() == pytest.approx(middle, abs=5 * deviation / units**0.5)
        assert values.std().item() == pytest.approx(deviation, rel=0.05)
        # Each is the mean of 500 images, within 0.1 / sqrt(500) of what its unit drew, at most five times this away.
        assert (values - middle).abs().max().item() < width / 2 + 5 * 0.1 / images**0.5
        assert (values - middle).abs().max().item() > width / 2 * 0.99
    within_scale, within_shift = scale - scale.mean(dim=1, keepdim=True), shift - shift.mean(dim=1, keepdim=True)
    # Over images s is normal with deviation 0.1, and m uniform on 0.2 around mu, with deviation 0.2 / sqrt(12).
    for values, deviation in ((within_scale, 0.1), (within_shift, 0.2 / 12**0.5)):
        assert values.std().item() == pytest.approx(deviation, rel=0.01)
    assert within_shift.abs().max().item() < 0.1 + 0.02
    kurtosis = (within_scale**4).mean() / (within_scale**2).mean() ** 2
    assert kurtosis.item() == pytest.approx(3, abs=0.05)  # of a normal distribution; of a uniform one 1.8
    numbers = torch.stack([within_scale.flatten(), within_shift.flatten()])
    assert torch.corrcoef(numbers)[0, 1].abs().item() < 5 / (units * images) ** 0.5
    assert torch.corrcoef(torch.stack([sigma, mu]))[0, 1].abs().item() < 5 / units**0.5


def test_noise_differs_by_seed_layer_step_image_and_unit(z: Tensor) -> None:
    plain, other_seed, other_layer, later = noisy([42]), noisy([43]), noisy([42], layer=1), noisy([42])
    later(z[:1])
    kinds = [module.draw(BATCH, UNITS) for module in (plain, other_seed, other_layer, later)]
    numbers = torch.cat([values.flatten() for kind in kinds for values in kind])
    assert len({*numbers.tolist()}) == len(numbers) == 4 * 2 * BATCH * UNITS


def test_noise_scales_and_shifts_the_normalized_output_in_training_alone(z: Tensor) -> None:
    module, plain = noisy([1, 2, 3]), BatchNorm(torch.ones(RUNS, FAN_IN, UNITS, dtype=torch.float64), make_settings())
    for learned in (module, plain):
        nn.init.constant_(learned.gamma, 1.5)
        nn.init.constant_(learned.beta, -0.25)
    for step in range(3):
        assert (module.step == step).all()
        scale, shift = module.draw(BATCH, UNITS)
        torch.testing.assert_close(module(z), scale * plain(z) + shift, rtol=0, atol=1e-14)
    assert torch.equal(module.eval()(z), plain.eval()(z))
    assert (module.step == 3).all()
    assert torch.equal(module.mean, plain.mean)
    assert torch.equal(module.variance, plain.variance)


def test_noise_is_the_same_alone_and_among_others_in_batches_of_any_size_and_from_a_state(z: Tensor) -> None:
    together, alone, resumed = noisy([41, 42, 43]), noisy([42]), noisy([7])
    for _ in range(2):
        for one, other in zip(together.draw(BATCH, UNITS), alone.draw(BATCH, UNITS), strict=True):
            assert torch.equal(one[1], other[0])
        for one, other in zip(alone.draw(BATCH, UNITS), alone.draw(7, UNITS - 2), strict=True):
            assert torch.equal(one[:, :7, : UNITS - 2], other)
        together(z)
        alone(z[1:2])
    resumed.load_state_dict(alone.state_dict())
    assert torch.equal(resumed(z[1:2]), alone(z[1:2]))


def test_noise_of_either_precision_is_the_same_but_for_rounding(z: Tensor) -> None:
    single = NoisyBatchNorm(torch.ones(RUNS, FAN_IN, UNITS), make_settings())
    single.seed([1, 2, 3], 0)
    output = single(z.float())
    assert output.dtype == torch.float32
    torch.testing.assert_close(output.double(), noisy([1, 2, 3])(z), rtol=1e-5, atol=1e-5)
