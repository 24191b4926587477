import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnpipe.modules.batch_norms import BatchRenorm, GhostBatchNorm
from bnpipe.modules.norms import BatchNorm
from tests.conftest import make_settings
from tests.modules.test_norms import EPSILON, FAN_IN, RUNS, UNITS, draw, slopes

BATCH = 12
NEWEST = 0.01  # weight of the newest batch in a moving average


@pytest.fixture
def z() -> Tensor:
    return 2 * draw(RUNS, BATCH, UNITS) + 1


def make(kind: type[BatchNorm], **changes: Any) -> Any:
    """Return a module with some gamma, beta and moving averages, in double precision."""
    settings = make_settings(**{"renorm_start": 0, "renorm_ramp": 1, **changes})
    module = kind(torch.ones(RUNS, FAN_IN, UNITS, dtype=torch.float64), settings)
    with torch.no_grad():
        for seed, own in enumerate([*module.parameters(), module.mean]):
            own.copy_(draw(*own.shape, seed=10 + seed))
        module.variance.copy_(1 + draw(*module.variance.shape, seed=20).square())
    return module


# Batch renormalization.


def test_renormalization_by_hand() -> None:
    # One unit, batch 1, 3, epsilon 0: mean 2, standard deviation 1. Moving mean 1.5, variance 4: r = 1 / 2, and
    # d = (2 - 1.5) / 2 = 1 / 4. x_hat = -1/2 + 1/4 and 1/2 + 1/4, which is (z - 1.5) / 2, as in inference.
    settings = make_settings(epsilon=0.0, renorm_start=0, renorm_ramp=1, renorm_max_scale=2, renorm_max_shift=0.5)
    norm = BatchRenorm(torch.ones(1, 1, 1, dtype=torch.float64), settings)
    z = torch.tensor([[[1.0], [3.0]]], dtype=torch.float64)
    norm.step.fill_(1)
    norm.mean.fill_(1.5)
    norm.variance.fill_(4.0)
    assert norm(z).flatten().tolist() == pytest.approx([-0.25, 0.75], rel=1e-14)
    assert norm.step.item() == 2
    assert norm.mean.item() == pytest.approx(1.5 + 0.01 * 0.5, rel=1e-14)
    assert norm.variance.item() == pytest.approx(4 - 0.01 * 3, rel=1e-14)
    # Moving mean 4, variance 1/16: r = 4 is cut to 2, d = (2 - 4) * 4 = -8 to -1/2. x_hat = -2 - 1/2 and 2 - 1/2.
    norm.mean.fill_(4)
    norm.variance.fill_(1 / 16)
    assert norm(z).flatten().tolist() == pytest.approx([-2.5, 1.5], rel=1e-14)
    # Moving mean 0, variance 16: r = 1/4 is cut to 1/2, d = 2/4 is just at its limit.
    norm.mean.fill_(0)
    norm.variance.fill_(16)
    assert norm(z).flatten().tolist() == pytest.approx([0, 1], abs=1e-14)


@pytest.mark.parametrize(("steps", "r_max", "d_max"), [(0, 1, 0), (10, 1, 0), (14, 1.8, 2), (20, 3, 5), (99, 3, 5)])
def test_limits_rise_in_a_straight_line_after_the_start(z: Tensor, steps: int, r_max: float, d_max: float) -> None:
    norm = make(BatchRenorm, renorm_start=10, renorm_ramp=10)
    norm.step.fill_(steps)
    variance, mean = torch.var_mean(z, dim=1, keepdim=True, correction=0)
    r, d = norm.correction(1e9 + mean, 1e9 * variance)
    assert torch.unique(r).tolist() == pytest.approx([r_max])
    assert torch.unique(d).tolist() == pytest.approx([d_max])
    r, d = norm.correction(mean - 1e9, 0 * variance)
    assert (r >= 1 / r_max - 1e-12).all()
    assert torch.unique(d).tolist() == pytest.approx([-d_max])


def test_renormalization_begins_as_batch_normalization_with_its_gradients(z: Tensor) -> None:
    norm, plain = make(BatchRenorm, renorm_start=3), make(BatchNorm)
    for _ in range(4):  # with the step of this number the limits have not risen yet
        found, expected = (slopes(own, z, *own.parameters()) for own in (norm, plain))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-13)
        assert torch.equal(norm.mean, plain.mean)
        assert torch.equal(norm.variance, plain.variance)
    assert not torch.allclose(norm(z), plain(z))


def test_renormalization_agrees_with_torchs_layers_in_output_and_gradients(z: Tensor) -> None:
    # torch.nn.functional.batch_norm normalizes the batch; r and d are numbers that it does not know of.
    norm = make(BatchRenorm, renorm_max_scale=1.5, renorm_max_shift=0.5)
    norm.step.fill_(1)
    for run in range(RUNS):
        batch = z[run].clone().requires_grad_()
        mean, deviation = batch.detach().mean(dim=0), (batch.detach().var(dim=0, correction=0) + EPSILON).sqrt()
        moving = (norm.variance[run, 0] + EPSILON).sqrt()
        r = (deviation / moving).clamp(1 / 1.5, 1.5)
        d = ((mean - norm.mean[run, 0]) / moving).clamp(-0.5, 0.5)
        x_hat = nn.functional.batch_norm(batch, None, None, training=True, eps=EPSILON)
        expected = (x_hat * r + d) * norm.gamma[run, 0] + norm.beta[run, 0]
        (of_batch,) = torch.autograd.grad(expected, batch, draw(RUNS, BATCH, UNITS, seed=6)[run])
        again = make(BatchRenorm, renorm_max_scale=1.5, renorm_max_shift=0.5)
        again.step.fill_(1)
        output, of_z = slopes(again, z)
        torch.testing.assert_close(output[run], expected)
        torch.testing.assert_close(of_z[run], of_batch)


def test_without_limits_training_computes_what_inference_does(z: Tensor) -> None:
    norm = make(BatchRenorm, renorm_max_scale=1e9, renorm_max_shift=1e9)
    norm.step.fill_(1)
    state = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    training = norm(z)
    norm.load_state_dict(state)
    torch.testing.assert_close(training, norm.eval()(z))
    assert all(torch.equal(tensor, state[name]) for name, tensor in norm.state_dict().items())  # inference moves none


# Ghost batch normalization.


@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_every_ghost_batch_is_normalized_by_itself(z: Tensor, size: int) -> None:
    ghosts = make(GhostBatchNorm, ghost_size=size)
    found = slopes(ghosts, z, *ghosts.parameters())
    plain = make(BatchNorm)
    expected = slopes(
        lambda batch: torch.cat([plain(part) for part in torch.split(batch, size, dim=1)], dim=1),
        z,
        *plain.parameters(),
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_ghost_averages_by_hand() -> None:
    # One unit, ghosts (1, 3) and (4, 10): means 2 and 7, biased variances 1 and 9, on average 4.5 and 5.
    z = torch.tensor([[[1.0], [3.0], [4.0], [10.0]]], dtype=torch.float64)
    for convention, variance in (("biased", 5.0), ("unbiased", 10.0)):  # times 2 / (2 - 1)
        settings = make_settings(ghost_size=2, moving_variance=convention)
        norm = GhostBatchNorm(torch.ones(1, 1, 1, dtype=torch.float64), settings)
        norm(z)
        assert norm.mean.item() == pytest.approx(NEWEST * 4.5, rel=1e-14)
        assert norm.variance.item() == pytest.approx(1 + NEWEST * (variance - 1), rel=1e-14)
        norm.eval()
        deviation = math.sqrt(1 + NEWEST * (variance - 1) + EPSILON)
        assert norm(z)[0, 3, 0].item() == pytest.approx((10 - NEWEST * 4.5) / deviation, rel=1e-14)


def test_one_ghost_is_batch_normalization(z: Tensor) -> None:
    for size in (BATCH, 2 * BATCH):
        ghost, plain = make(GhostBatchNorm, ghost_size=size), make(BatchNorm)
        torch.testing.assert_close(ghost(z), plain(z), rtol=0, atol=1e-14)
        torch.testing.assert_close(ghost.mean, plain.mean)
        torch.testing.assert_close(ghost.variance, plain.variance)


def test_images_that_are_left_are_a_smaller_ghost(z: Tensor) -> None:
    ghosts, plain = make(GhostBatchNorm, ghost_size=5), make(BatchNorm)
    torch.testing.assert_close(ghosts(z)[:, 10:], plain(z[:, 10:]))
