"""Steps against those of torch.optim."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnpipe.core.settings import Optimizer, TrainingSettings
from bnpipe.modules.descent import Descent
from bnpipe.modules.network import StackedNetwork, losses_of
from bnpipe.modules.parts import OPTIMIZERS
from tests.conftest import make_settings

RATES = (0.05, 0.002)  # of the two runs
REFERENCES: dict[Optimizer, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=0, momentum=0.8),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0, betas=(0.7, 0.95), eps=1e-6),
}
OWN_KEYS: dict[Optimizer, dict[str, float]] = {
    "sgd": {},
    "momentum": {"momentum": 0.8},
    "adam": {"beta1": 0.7, "beta2": 0.95, "adam_epsilon": 1e-6},
}


def settings_of(optimizer: Optimizer, **changes: Any) -> TrainingSettings:
    return make_settings(optimizer=optimizer, **OWN_KEYS[optimizer], **changes)


def network_of(settings: TrainingSettings, runs: int) -> StackedNetwork:
    """Return networks with 6 inputs, 5 and 4 units; every run has weights of its own."""
    generator = torch.Generator().manual_seed(7)
    sizes = ((6, 5), (5, 4))
    weights = [torch.randn(2, *size, generator=generator, dtype=torch.float64)[-runs:] for size in sizes]
    return StackedNetwork(weights, settings)


def batches(runs: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through mini-batches of 9 images, the same for all runs."""
    generator = torch.Generator().manual_seed(8)
    while True:
        images = torch.randn(9, 6, generator=generator, dtype=torch.float64)
        labels = torch.randint(4, (9,), generator=generator)
        yield images.expand(runs, -1, -1), labels.expand(runs, -1)


def groups_of(network: nn.Module, rate: float, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Return what torch.optim is told of the weights, and of what the transforms learn."""
    named = [(name, own) for name, own in network.named_parameters() if own.requires_grad]
    weights = [own for name, own in named if name.endswith(".weight")]
    others = [own for name, own in named if not name.endswith(".weight")]
    groups = [
        {"params": weights, "lr": rate, "weight_decay": settings.weight_decay},
        {"params": others, "lr": rate * settings.parameter_rate},
    ]
    return [group for group in groups if group["params"]]


@pytest.mark.parametrize("changes", [{}, {"weight_decay": 0.1}, {"parameter_rate": 0.5}, {"trained": "transforms"}])
@pytest.mark.parametrize("arm", ["vanilla", "batchnorm", "weightnorm"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_step_is_that_of_torch_optim(optimizer: Optimizer, arm: Any, changes: dict[str, Any]) -> None:
    settings = settings_of(optimizer, arm=arm, **changes)
    stacked = network_of(settings, runs=2)
    descend = Descent(stacked, torch.tensor(RATES, dtype=torch.float64), settings)
    singles = [network_of(settings, runs=2) for _ in RATES]
    references = [
        REFERENCES[optimizer](groups_of(single, rate, settings)) for single, rate in zip(singles, RATES, strict=True)
    ]
    first = {name: own.detach().clone() for name, own in stacked.named_parameters()}
    for _, (images, labels) in zip(range(20), batches(2), strict=False):
        descend(losses_of(stacked(images), labels))
        for single, reference in zip(singles, references, strict=True):
            reference.zero_grad()
            torch.autograd.backward(losses_of(single(images), labels).sum())
            reference.step()
        for run, single in enumerate(singles):
            expected = dict(single.named_parameters())
            for name, own in stacked.named_parameters():
                torch.testing.assert_close(own[run], expected[name][run], rtol=1e-12, atol=1e-14)
    changed = {name for name, own in stacked.named_parameters() if not torch.equal(own, first[name])}
    assert changed == {name for name, own in stacked.named_parameters() if own.requires_grad}


def test_weights_decay_and_nothing_else_does() -> None:
    # Without a gradient a step of size 0.1 with decay 0.5 takes the weights to 0.95 of what they were.
    settings = make_settings(weight_decay=0.5)
    network = network_of(settings, runs=2)
    with torch.no_grad():
        for own in network.parameters():
            own.fill_(2)
    Descent(network, torch.full((2,), 0.1, dtype=torch.float64), settings)(
        sum(own.sum(dim=(1, 2)) for own in network.parameters()) * torch.zeros(1, dtype=torch.float64)
    )
    for name, own in network.named_parameters():
        expected = 1.9 if name.endswith(".weight") else 2
        torch.testing.assert_close(own.detach(), torch.full_like(own, expected))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_is_kept_is_changed_in_place_so_that_a_recorded_step_can_be_replayed(optimizer: Optimizer) -> None:
    settings = settings_of(optimizer)
    network = network_of(settings, runs=1)
    descend = Descent(network, torch.tensor(RATES[:1], dtype=torch.float64), settings)
    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in descend.state_dict().items()}
    for _, (images, labels) in zip(range(2), batches(1), strict=False):
        descend(losses_of(network(images), labels))
    after = descend.state_dict()
    assert {name: tensor.data_ptr() for name, tensor in after.items()} == {n: place for n, (place, _) in before.items()}
    assert not any(torch.equal(tensor, before[name][1]) for name, tensor in after.items())
