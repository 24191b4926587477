import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.made_up import SHAPE
from bnpipe.core.settings import Activation, Arm, InitScheme, TrainingSettings
from bnpipe.modules.network import PRECISIONS, StackedNetwork, draw_stack, losses_of
from bnpipe.modules.norms import BatchNorm, Bias, NoisyBatchNorm
from bnpipe.modules.parts import NONLINEARITIES, TRANSFORMS
from bnpipe.networks.network import CODES, KINDS, NUMBERS, Network
from bnpipe.networks.seeds import initial_weights, streams_of
from tests.conftest import make_runs, make_settings

SIZES, RUNS, BATCH = [6, 8, 4, 6], 2, 8
CPU = torch.device("cpu")


def small(**changes: Any) -> TrainingSettings:
    return make_settings(**{"batch_size": BATCH, "groups": 2, "precision": "float64", **changes})


def draw(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_stack(settings: TrainingSettings) -> StackedNetwork:
    weights = [draw(RUNS, fan_in, fan_out) for fan_in, fan_out in pairwise(SIZES)]
    return StackedNetwork([weight.to(PRECISIONS[settings.precision]) for weight in weights], settings)


def test_losses_by_hand() -> None:
    # Logits 0, ln 3: probabilities 1/4 and 3/4. Labels 0 and 1: loss (ln 4 + ln 4/3) / 2; labels 1 and 1: ln 4/3.
    logits = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64).expand(2, 2, 2)
    losses = losses_of(logits, torch.tensor([[0, 1], [1, 1]]))
    assert losses.tolist() == pytest.approx([(math.log(4) + math.log(4 / 3)) / 2, math.log(4 / 3)], rel=1e-14)


FUNCTIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "tanh": lambda x: 1 - 2 / (torch.exp(2 * x) + 1),
    "relu": lambda x: x * (x > 0),
    "sigmoid": lambda x: 1 / (1 + torch.exp(-x)),
}


@pytest.mark.parametrize("activation", sorted(NONLINEARITIES))
def test_nonlinearities(activation: Activation) -> None:
    x = torch.linspace(-12, 12, 1001, dtype=torch.float64)
    torch.testing.assert_close(NONLINEARITIES[activation](x), FUNCTIONS[activation](x), rtol=0, atol=1e-15)


def test_both_engines_know_the_same_nonlinearities_and_precisions() -> None:
    assert NONLINEARITIES.keys() == CODES.keys()
    assert PRECISIONS.keys() == NUMBERS.keys()


@pytest.mark.parametrize("arm", sorted(KINDS))
@pytest.mark.parametrize("activation", sorted(NONLINEARITIES))
@pytest.mark.parametrize(
    "changes",
    [
        *({}, {"normalize_logits": False}, {"position": "after"}),
        *({"normalize_hidden": False}, {"normalize_hidden": False, "position": "after"}),
    ],
)
def test_every_run_of_a_stack_computes_as_a_compiled_network(
    arm: Arm, activation: Activation, changes: dict[str, Any]
) -> None:
    settings = small(arm=arm, activation=activation, **changes)
    stack, images = make_stack(settings), torch.rand(RUNS, BATCH, SIZES[0], dtype=torch.float64)
    compiled = [
        Network([layer.weight[run].detach().numpy() for layer in stack.layers], settings) for run in range(RUNS)
    ]
    for mode in ("forward", "forward", "infer"):  # the first moves averages from where they start
        logits = stack.train(mode == "forward")(images).detach()
        for network, of_run, seen in zip(compiled, logits, images, strict=True):
            np.testing.assert_allclose(of_run, getattr(network, mode)(seen.numpy()), rtol=1e-10, atol=1e-12)


def test_every_layer_is_observed() -> None:
    stack, images = make_stack(small(arm="vanilla", activation="relu")), draw(RUNS, BATCH, SIZES[0], seed=4)
    (z0, hidden), (z1, above), (z2, logits) = stack.observed(images)
    torch.testing.assert_close(z0, torch.einsum("rbi,rij->rbj", images, stack.layers[0].weight))
    torch.testing.assert_close(hidden, z0.relu())
    torch.testing.assert_close(z1, torch.einsum("rbi,rij->rbj", hidden, stack.layers[1].weight))
    torch.testing.assert_close(above, z1.relu())
    torch.testing.assert_close(logits, z2)  # the last layer is linear
    assert torch.equal(logits, stack(images))


def test_the_order_after_the_nonlinearity_is_only_for_what_has_statistics() -> None:
    images = draw(RUNS, BATCH, SIZES[0], seed=4)
    for arm in TRANSFORMS:
        settings = small(arm=arm, position="after", activation="relu")
        z, output = make_stack(settings).observed(images)[0]
        before, after = (fresh.layers[0].transform for fresh in (make_stack(settings), make_stack(settings)))
        if arm in ("vanilla", "weightnorm", "firstbatch"):
            torch.testing.assert_close(output, before(z).relu())
        else:
            torch.testing.assert_close(output, after(z.relu()))
            assert not torch.allclose(output, before(z).relu())


def test_logits_that_are_not_normalized_have_a_bias() -> None:
    stack = make_stack(small(normalize_logits=False))
    assert [type(layer.transform) for layer in stack.layers] == [BatchNorm, BatchNorm, Bias]
    assert [type(layer.transform) for layer in make_stack(small()).layers] == [BatchNorm] * 3


def test_hidden_layers_that_are_not_normalized_have_a_bias() -> None:
    stack = make_stack(small(normalize_hidden=False))
    assert [type(layer.transform) for layer in stack.layers] == [Bias, Bias, BatchNorm]


def test_noise_is_for_hidden_layers_of_every_run_and_layer_its_own() -> None:
    stack = make_stack(small(arm="noisybatchnorm"))
    assert [type(layer.transform) for layer in stack.layers] == [NoisyBatchNorm, NoisyBatchNorm, BatchNorm]
    runs = make_runs([42, 43], arm="noisybatchnorm", hidden_sizes=(6, 5))
    drawn = draw_stack(runs, SHAPE, streams_of(runs.seeds), CPU)
    keys = [layer.get_buffer("transform.key")[run].item() for layer in drawn.layers[:2] for run in range(2)]
    again = draw_stack(runs[1:], SHAPE, streams_of([43]), CPU)
    assert len({*keys}) == 4
    assert [layer.get_buffer("transform.key").item() for layer in again.layers[:2]] == keys[1::2]


def test_weights_learn_if_the_settings_say_so() -> None:
    for trained in ("all", "transforms"):
        learning = {name for name, own in make_stack(small(trained=trained)).named_parameters() if own.requires_grad}
        assert {f"layers.{layer}.weight" for layer in range(3)} <= learning or trained == "transforms"
        assert {name for name in learning if name.endswith("weight")} == set() or trained == "all"
        assert {f"layers.{layer}.transform.{name}" for layer in range(3) for name in ("gamma", "beta")} <= learning


@pytest.mark.parametrize("arm", sorted(TRANSFORMS))
def test_inference_looks_at_each_image_alone(arm: Arm) -> None:
    stack, images = make_stack(small(arm=arm)), draw(RUNS, BATCH, SIZES[0], seed=4)
    stack(images)
    together = stack.eval()(images)
    assert together.shape == (RUNS, BATCH, SIZES[-1])
    torch.testing.assert_close(stack(images[:, 3:4]), together[:, 3:4])


@pytest.mark.parametrize("precision", sorted(PRECISIONS))
@pytest.mark.parametrize("arm", sorted(TRANSFORMS))
def test_one_precision_throughout(arm: Arm, precision: str) -> None:
    stack = make_stack(small(arm=arm, precision=precision))
    layers = stack.observed(torch.rand(RUNS, BATCH, SIZES[0], dtype=PRECISIONS[precision]))
    tensors = [*stack.state_dict().values(), *(tensor for layer in layers for tensor in layer)]
    counts = {torch.int64} if arm in ("noisybatchnorm", "batchrenorm") else set()
    assert {tensor.dtype for tensor in tensors} == {PRECISIONS[precision], *counts}


def test_every_network_is_drawn_from_its_own_stream_with_its_own_initialization() -> None:
    stds: list[float | InitScheme] = [0.1, "he", 1.0]
    runs = make_runs([42, 42, 43], init_std=stds, hidden_sizes=(6, 5))
    stack = draw_stack(runs, SHAPE, streams_of(runs.seeds), CPU)
    for run, (seed, init_std) in enumerate(zip(runs.seeds, stds, strict=True)):
        drawn = initial_weights(np.random.RandomState(seed), (784, 6, 5, 10), init_std)
        for layer, expected in zip(stack.layers, drawn, strict=True):
            np.testing.assert_array_equal(layer.weight[run].detach(), expected)
