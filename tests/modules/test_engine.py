"""The contract of `bnpipe.training.engines`, kept by both engines for every arm; and what is PyTorch's own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import threadpoolctl
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.made_up import SHAPE
from bnpipe.analysis.tables import LAYER_COLUMNS, PROBE_ACCURACIES
from bnpipe.core.errors import InputError
from bnpipe.core.records import Curves
from bnpipe.core.settings import Activation, Arm, Runs
from bnpipe.data.packed import Dataset, Images
from bnpipe.modules import engine as module
from bnpipe.modules.devices import open_gpu
from bnpipe.modules.engine import TorchEngine, TorchStack, observed_from
from bnpipe.modules.parts import TRANSFORMS
from bnpipe.networks.network import KINDS, Seen
from bnpipe.training.diagnostics import Diagnosis
from bnpipe.training.engines import COMPILED, Engine, Single, Stack, engine_on_cpu, observe_from
from bnpipe.training.train import train_runs
from bnpipe.training.trainer import network_arithmetic, one_thread
from tests.conftest import make_runs, make_settings

ARMS = sorted(TRANSFORMS)
ENGINES: dict[str, Callable[[], Engine]] = {"compiled": lambda: COMPILED, "torch": TorchEngine}
SMALL: dict[str, Any] = {
    "hidden_sizes": (10, 14),
    "groups": 2,  # groups of two units leave nothing but the order of two numbers, which rounding may change
    "precision": "float64",
    "learning_rate": 0.1,
    "parameter_rate": 0.5,
    "renorm_start": 2,
    "renorm_ramp": 10,
    "steps": 25,
    "evaluation_interval": 12,
    "diagnostics": True,
    "evaluate_training": True,
    "keep_weights": True,
}
CPU = torch.device("cpu")
NOT_LEARNED = ("mean", "variance", "key", "step")  # names of what training changes, but not down the slope, or needs
every_arm = pytest.mark.parametrize("arm", ARMS)
every_compiled_arm = pytest.mark.parametrize("arm", sorted(KINDS))
every_arm_of_both_engines = pytest.mark.parametrize(
    ("make_engine", "arm"),
    [
        pytest.param(make_engine, arm, id=f"{name}-{arm}")
        for name, make_engine in ENGINES.items()
        for arm in ARMS
        if name == "torch" or arm in KINDS
    ],
)
both_engines = pytest.mark.parametrize("make_engine", ENGINES.values(), ids=ENGINES)
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")


def small(seeds: list[int], **changes: Any) -> Runs:
    return make_runs(seeds, **{**SMALL, **changes})


def some_stacks(runs: Runs, images: Images) -> list[tuple[Stack, int]]:
    """Start the runs in PyTorch, and compiled if it is one run of such an arm; return the stacks with their sizes."""
    stacks: list[tuple[Stack, int]] = [(TorchStack(runs, images, CPU), len(runs))]
    if len(runs) == 1 and runs.settings.arm in KINDS:
        stacks.append((COMPILED.start(runs, images), 1))
    return stacks


# Both engines.


@both_engines
def test_an_engine_on_a_cpu_trains_one_network_after_the_other(make_engine: Callable[[], Engine]) -> None:
    engine = make_engine()
    assert engine.most_runs(make_settings(), SHAPE, 100) == 1
    assert engine.description.startswith("cpu")
    assert "numpy" in engine.libraries


@pytest.mark.parametrize("count", [1, 3])
@every_arm
def test_shapes_of_what_a_stack_returns(dataset: Dataset, arm: Arm, count: int) -> None:
    runs = small([42, 43, 44][:count], arm=arm, precision="float32")
    for stack, size in some_stacks(runs, dataset.train):
        losses = stack.advance(3)
        assert (losses.shape, losses.dtype) == ((3, size), np.dtype(np.float32))
        assert stack.advance(0).shape == (0, size)
        assert stack.finite().tolist() == [True] * size
        for measured in stack.evaluate(dataset.validation):
            assert (measured.shape, measured.dtype) == ((size,), np.dtype(np.float64))
        found = stack.diagnose(dataset.train, dataset.validation)
        assert set(found) == {*LAYER_COLUMNS[5:], *PROBE_ACCURACIES}
        for name, values in found.items():
            assert values.shape == ((size,) if name in PROBE_ACCURACIES else (size, 3)), name
            assert values.dtype == np.float32
        seen = stack.observed_step()
        assert len(seen) == size
        for of_run in seen:
            for kind in (of_run.z, of_run.output, of_run.delta):
                assert [(values.shape, values.dtype) for values in kind] == [
                    ((60, units), np.dtype(np.float32)) for units in (10, 14, 10)
                ]
            assert [weight.shape for weight in of_run.weights] == [(784, 10), (10, 14), (14, 10)]
            assert np.isfinite(of_run.loss)


OPTIONS: list[dict[str, Any]] = [
    {"activation": "tanh"},
    {"activation": "relu", "normalize_logits": False, "moving_variance": "unbiased", "moving_average_weight": 0.1},
    {"activation": "sigmoid", "position": "after", "trained": "transforms", "binarize": True, "init_std": "xavier"},
    {"activation": "tanh", "position": "after", "normalize_hidden": False},
]
OPTION_NAMES = ["tanh", "relu", "sigmoid", "logits-only"]


@pytest.mark.parametrize("changes", OPTIONS, ids=OPTION_NAMES)
@every_compiled_arm
def test_the_engines_agree(dataset: Dataset, arm: Arm, changes: dict[str, Any]) -> None:
    runs = small([42], arm=arm, **changes)
    compiled, torchs = (train_runs(runs, dataset, engine=make_engine()) for make_engine in ENGINES.values())
    compare(compiled, torchs, rtol=1e-6)
    assert np.ptp(compiled.training_loss) > 1e-3  # it learned, or there was nothing to compare


def compare(one: Curves, other: Curves, rtol: float) -> None:
    """Compare all that was measured on the same runs, nan included."""
    for name in ("accuracy", "loss", "training_loss", "test_accuracy", "test_loss", "finite_weights"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, err_msg=name)
    for name in ("training_set_accuracy", "training_set_loss"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, err_msg=name)
    assert one.diagnostics.keys() == other.diagnostics.keys()
    for name, values in one.diagnostics.items():
        np.testing.assert_allclose(values, other.diagnostics[name], rtol=rtol, atol=1e-9, err_msg=name)
    assert sorted(one.weights) == sorted(other.weights)
    for name, values in one.weights.items():
        np.testing.assert_allclose(values, other.weights[name], rtol=rtol, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@every_compiled_arm
def test_the_engines_see_the_same_in_a_step(dataset: Dataset, arm: Arm, activation: Activation) -> None:
    seen: list[Seen] = []
    for make_engine in ENGINES.values():
        stack = make_engine().start(small([42], arm=arm, activation=activation), dataset.train)
        stack.advance(2)
        seen += stack.observed_step()
    one, other = seen
    assert one.loss == pytest.approx(other.loss, rel=1e-9)
    for name in ("z", "output", "delta", "weights"):
        for values, expected in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("position", ["before", "after"])
@every_compiled_arm
def test_the_engines_see_the_same_from_a_given_gradient(arm: Arm, position: str) -> None:
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=size) for size in ((6, 8), (8, 10), (10, 4))]
    images, delta = rng.normal(size=(9, 6)), rng.normal(size=(9, 4))
    settings = make_settings(**{**SMALL, "arm": arm, "position": position, "trained": "transforms"})
    one, other = (observe(weights, settings, images, delta) for observe in (observe_from, observed_from))
    assert one.delta[-1].shape == (9, 4)
    for name in ("z", "output", "delta", "weights"):
        for values, expected in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_statistics_of_the_probe_are_those_of_its_own_size(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The unbiased variance of 120 images is 120 / 119 of the biased one, though batches have 4. The accuracy is too
    # coarse to show it, so look at what the copy of the compiled network computes with, and at PyTorch's.
    settings = make_settings(**SMALL, batch_size=4, moving_variance="unbiased", epsilon=0.5)
    stack = Single(Runs.of_seeds(settings, [42]), dataset.train)
    diagnosis = Diagnosis(settings, dataset.train, dataset.validation)
    diagnosis.of(stack._training.network)
    probe = dataset.train.first(120).shown(np.float64)
    z = probe @ stack._training.network.weights[0]
    np.testing.assert_allclose(diagnosis._copy.learned[0].variance, z.var(axis=0, ddof=1), rtol=1e-12)

    torchs = TorchStack(Runs.of_seeds(settings, [42]), dataset.train, CPU)
    used: list[Tensor] = []

    def accuracy(_: Images) -> NDArray[np.float64]:
        used.append(torchs._network.state_dict()["layers.0.transform.variance"].clone())
        return np.zeros(1)

    monkeypatch.setattr(torchs, "_accuracy", accuracy)
    torchs.diagnose(dataset.train, dataset.validation)
    moving, population = used
    assert (moving == 1).all()
    np.testing.assert_allclose(population.flatten(), z.var(axis=0, ddof=1), rtol=1e-12)


@every_arm_of_both_engines
def test_looking_changes_nothing(dataset: Dataset, arm: Arm, make_engine: Callable[[], Engine]) -> None:
    stack = make_engine().start(small([42], arm=arm), dataset.train)
    stack.advance(5)
    before = copy_of(stack)
    first = stack.diagnose(dataset.train, dataset.validation), stack.evaluate(dataset.test)
    second = stack.diagnose(dataset.train, dataset.validation), stack.evaluate(dataset.test)
    for name, array in stack.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    for name, values in first[0].items():
        np.testing.assert_array_equal(values, second[0][name], err_msg=name)
    np.testing.assert_array_equal(first[1], second[1])


def copy_of(stack: Stack) -> dict[str, NDArray[Any]]:
    return {name: array.copy() for name, array in stack.state().items()}


@every_arm_of_both_engines
def test_training_resumes_from_a_state_to_the_same_bits(
    dataset: Dataset, arm: Arm, make_engine: Callable[[], Engine]
) -> None:
    engine, runs = make_engine(), small([42], arm=arm, precision="float32")
    stack, other = engine.start(runs, dataset.train), engine.start(runs.change(init_std=1.0), dataset.train)
    stack.advance(20)
    state = copy_of(stack)
    other.advance(3)
    other.restore(state)
    for _ in range(2):
        np.testing.assert_array_equal(other.advance(7), stack.advance(7))  # over the end of an epoch
        np.testing.assert_array_equal(other.observed_step()[0].z[-1], stack.observed_step()[0].z[-1])
        np.testing.assert_array_equal(other.evaluate(dataset.test), stack.evaluate(dataset.test))
    changed = set()
    for name, array in stack.state().items():
        np.testing.assert_array_equal(other.state()[name], array, err_msg=name)
        changed |= {name} if not np.array_equal(array, state[name]) else set()
    if arm == "batchnorm":  # nothing is kept that training leaves alone, but what a generator may leave
        assert changed >= set(state) - {"batches.has_gauss", "batches.gauss"}


@both_engines
def test_losses_are_those_of_the_steps_however_they_are_counted(
    dataset: Dataset, make_engine: Callable[[], Engine]
) -> None:
    at_once, in_parts = (make_engine().start(small([42]), dataset.train) for _ in range(2))
    losses = at_once.advance(130)
    parts = [in_parts.advance(steps) for steps in (1, 59, 0, 69)]
    seen = in_parts.observed_step()[0].loss
    np.testing.assert_array_equal(np.concatenate(parts), losses[:129])
    assert seen == pytest.approx(losses[129, 0], rel=1e-12)


@every_arm_of_both_engines
def test_weights_stay_where_only_the_transforms_learn(
    dataset: Dataset, arm: Arm, make_engine: Callable[[], Engine]
) -> None:
    stack = make_engine().start(small([42], arm=arm, trained="transforms"), dataset.train)
    (first,) = stack.observed_step()
    before = copy_of(stack)
    stack.advance(3)
    (later,) = stack.observed_step()
    for one, other in zip(first.weights, later.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    for name, array in stack.state().items():
        if name.startswith("network."):
            keeps_averages = arm in ("batchnorm", "noisybatchnorm", "batchrenorm", "ghostbatchnorm")
            kept = name.endswith("key") or "weight" in name
            kept |= not keeps_averages and ("mean" in name or "variance" in name)
            kept |= arm in ("vanilla", "firstbatch") and "gamma" in name
            assert np.array_equal(array, before[name]) == kept, name


@every_arm_of_both_engines
def test_parameters_descend_at_their_own_rate(dataset: Dataset, arm: Arm, make_engine: Callable[[], Engine]) -> None:
    # From the same start, on the same batch, the first update is in proportion to the rates.
    moved = []
    for rate in (1.0, 0.25):
        stack = make_engine().start(small([42], arm=arm, parameter_rate=rate), dataset.train)
        before = copy_of(stack)
        stack.advance(1)
        moved.append({name: array - before[name] for name, array in stack.state().items() if "network." in name})
    for name, update in moved[0].items():
        factor = 0.25 if "gamma" in name or "beta" in name else 1
        np.testing.assert_allclose(moved[1][name], factor * update, rtol=1e-9, atol=1e-15, err_msg=name)
        assert name.endswith(("gamma", *NOT_LEARNED)) or np.abs(update).max() > 1e-6


@both_engines
def test_a_batch_that_does_not_fit_is_one_line(dataset: Dataset, make_engine: Callable[[], Engine]) -> None:
    with pytest.raises(InputError, match=r"^batch_size: expected 1 to 50 \(.*\), got 60$") as raised:
        make_engine().start(small([42], batch_size=60, training_images=50), dataset.train)
    assert "\n" not in str(raised.value)


@both_engines
def test_a_run_that_overflows_goes_on_and_is_told(dataset: Dataset, make_engine: Callable[[], Engine]) -> None:
    overflowing = {"arm": "vanilla", "activation": "relu", "init_std": 1.0, "learning_rate": 1e9}
    runs = small([42], **overflowing, precision="float32", hidden_sizes=(30,) * 9)
    with network_arithmetic():
        stack = make_engine().start(runs, dataset.train)
        losses = stack.advance(10)
        assert np.isfinite(losses[0, 0])
        assert np.isnan(losses[5:]).all()
        assert stack.finite().tolist() == [False]
        accuracy, loss = stack.evaluate(dataset.validation)
        found = stack.diagnose(dataset.train, dataset.validation)
    assert accuracy[0] == (dataset.validation.labels == 0).mean()  # argmax of not-a-number is class 0
    assert np.isnan(loss[0])
    assert np.isnan(found["z_rms"][0, -1])


@both_engines
def test_images_are_those_of_the_settings(dataset: Dataset, make_engine: Callable[[], Engine]) -> None:
    # Training on 60 images in batches of 60 sees each of them in each step, whatever their order.
    runs = small([42], arm="vanilla", training_images=60, binarize=True)
    stack = make_engine().start(runs, dataset.train)
    (seen,) = stack.observed_step()
    black_and_white = dataset.train.first(60).binarized()
    _, loss = make_engine().start(runs, dataset.train).evaluate(black_and_white)
    assert seen.loss == pytest.approx(loss[0], rel=1e-9)


# Stacks of several runs, in PyTorch.


@every_arm
def test_a_run_alone_is_what_it_is_beside_others(dataset: Dataset, arm: Arm) -> None:
    runs = small([42, 43, 44], arm=arm, init_std=[0.1, "he", 0.2], learning_rate=[0.1, 0.01, 0.2])
    together = TorchStack(runs, dataset.train, CPU)
    alone = [TorchStack(runs.take([place]), dataset.train, CPU) for place in range(3)]
    losses = together.advance(20)
    assert not np.allclose(losses[:, 0], losses[:, 1])
    evaluated = together.evaluate(dataset.validation)
    found = together.diagnose(dataset.train, dataset.validation)
    for run, stack in enumerate(alone):
        np.testing.assert_allclose(stack.advance(20)[:, 0], losses[:, run], rtol=1e-9)
        for values, expected in zip(stack.evaluate(dataset.validation), evaluated, strict=True):
            assert values[0] == pytest.approx(expected[run], rel=1e-9)
        for name, values in stack.diagnose(dataset.train, dataset.validation).items():
            np.testing.assert_allclose(values[0], found[name][run], rtol=1e-6, atol=1e-9, err_msg=name)
    for run, (seen, stack) in enumerate(zip(together.observed_step(), alone, strict=True)):
        (by_itself,) = stack.observed_step()
        for name in ("z", "output", "delta", "weights"):
            for one, other in zip(getattr(seen, name), getattr(by_itself, name), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=f"{name} of run {run}")


@every_arm
def test_every_run_descends_at_its_own_learning_rate(dataset: Dataset, arm: Arm) -> None:
    # From the same weights, on the same batch, the first update is in proportion to the learning rate.
    stack = TorchStack(small([42, 42], arm=arm, learning_rate=[0.1, 0.3]), dataset.train, CPU)
    before = copy_of(stack)
    stack.advance(1)
    for name, array in stack.state().items():
        if name.startswith("network.") and not name.endswith(NOT_LEARNED):
            slow, fast = array - before[name]
            np.testing.assert_allclose(fast, 3 * slow, rtol=1e-9, atol=1e-15, err_msg=name)
            assert name.endswith("gamma") or np.abs(slow).max() > 1e-6


def test_each_run_is_told_by_itself_whether_it_is_finite(dataset: Dataset) -> None:
    stack = TorchStack(small([42, 43, 44]), dataset.train, CPU)
    with torch.no_grad():
        stack._network.layers[1].weight[1, 2, 3] = torch.inf
    assert stack.finite().tolist() == [True, False, True]
    stack._network.state_dict()["layers.0.transform.variance"][2] = torch.nan
    assert stack.finite().tolist() == [True, False, False]


# Optimizers.

EVERY_OPTIMIZER: dict[str, dict[str, Any]] = {
    "momentum": {"optimizer": "momentum"},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "weight decay": {"weight_decay": 0.05},
    "adam, transforms": {"optimizer": "adam", "trained": "transforms"},
}
every_optimizer = pytest.mark.parametrize("changes", EVERY_OPTIMIZER.values(), ids=EVERY_OPTIMIZER)


@every_optimizer
def test_another_optimizer_is_for_pytorch_even_on_a_cpu(changes: dict[str, Any]) -> None:
    settings = make_settings(**changes)
    assert isinstance(engine_on_cpu(settings), TorchEngine)
    assert engine_on_cpu(make_settings()) is COMPILED


@every_optimizer
def test_whoever_names_no_engine_gets_that_of_the_optimizer(dataset: Dataset, changes: dict[str, Any]) -> None:
    runs = small([42], **changes)
    named, other = train_runs(runs, dataset, engine=TorchEngine()), train_runs(runs, dataset)
    np.testing.assert_array_equal(other.training_loss, named.training_loss)
    assert not np.allclose(train_runs(small([42]), dataset).training_loss, named.training_loss)


@every_optimizer
def test_a_stack_of_any_optimizer_is_left_as_it_was_and_resumes_to_the_same_bits(
    dataset: Dataset, changes: dict[str, Any]
) -> None:
    runs = small([42, 43], precision="float32", **changes)
    stack, other = (TorchStack(runs.change(init_std=std), dataset.train, CPU) for std in (0.1, 1.0))
    stack.advance(5)
    before = copy_of(stack)
    first = stack.diagnose(dataset.train, dataset.validation)
    for name, array in stack.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    other.advance(3)
    other.restore(before)
    assert other.diagnose(dataset.train, dataset.validation).keys() == first.keys()
    for _ in range(2):
        np.testing.assert_array_equal(other.advance(4), stack.advance(4))
    assert any(name.startswith("optimizer.") for name in before) == ("optimizer" in changes)
    for name, array in stack.state().items():
        np.testing.assert_array_equal(other.state()[name], array, err_msg=name)
        if name.startswith("optimizer."):
            assert not np.array_equal(array, before[name]), name


@every_optimizer
def test_a_run_of_any_optimizer_has_its_own_rate_whatever_is_beside_it(
    dataset: Dataset, changes: dict[str, Any]
) -> None:
    runs = small([42, 43, 44], **{**changes, "learning_rate": [0.1, 0.01, 0.02]})
    losses = TorchStack(runs, dataset.train, CPU).advance(12)
    for run in range(3):
        alone = TorchStack(runs.take([run]), dataset.train, CPU).advance(12)
        np.testing.assert_allclose(alone[:, 0], losses[:, run], rtol=1e-9)


def test_an_optimizer_that_has_overflowed_is_no_matter_of_finite_weights(dataset: Dataset) -> None:
    stack = TorchStack(small([42], optimizer="adam"), dataset.train, CPU)
    stack._descend.state_dict()["directions.0.square"].fill_(torch.inf)
    assert stack.finite().tolist() == [True]


def test_a_stack_leaves_room_for_what_an_optimizer_keeps() -> None:
    memory = {
        name: module.memory_of_a_run(make_settings(optimizer=name), SHAPE) for name in ("sgd", "momentum", "adam")
    }
    weights = 4 * (784 * 100 + 8 * 100 * 100 + 100 * 10)
    assert memory["momentum"] - memory["sgd"] >= 2 * weights  # and the copy of it while a graph is recorded
    assert memory["adam"] - memory["sgd"] >= 4 * weights


# Arms that start or compute in a way of their own.


def test_both_engines_normalize_the_first_batch_to_the_same_bits(dataset: Dataset) -> None:
    runs = small([42, 43], arm="firstbatch", init_std=[0.1, "he"], precision="float32", normalize_hidden=True)
    together = TorchStack(runs, dataset.train, CPU).state()
    for run in range(2):
        compiled = COMPILED.start(runs.take([run]), dataset.train).state()
        weights = [together[f"network.layers.{layer}.weight"][run].ravel() for layer in range(3)]
        biases = [together[f"network.layers.{layer}.transform.beta"][run].ravel() for layer in range(3)]
        np.testing.assert_array_equal(np.concatenate(weights), compiled["network.weights"])
        np.testing.assert_array_equal(np.concatenate(biases), compiled["network.beta"])
        assert np.abs(np.concatenate(biases)).min() > 0


def test_noise_comes_and_goes_with_training_mode(dataset: Dataset) -> None:
    # Before its first step a noisy network infers as a batch-normalized one; then it takes another step.
    noisy, plain = (TorchStack(small([42], arm=arm), dataset.train, CPU) for arm in ("noisybatchnorm", "batchnorm"))
    np.testing.assert_array_equal(noisy.evaluate(dataset.validation), plain.evaluate(dataset.validation))
    assert abs(noisy.advance(1) - plain.advance(1)) > 1e-3
    learned = noisy._network.state_dict()
    plain._network.load_state_dict({name: learned[name] for name in plain._network.state_dict()})
    np.testing.assert_array_equal(noisy.evaluate(dataset.validation), plain.evaluate(dataset.validation))


# What is PyTorch's own.


def test_pytorch_on_a_cpu_keeps_to_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    TorchEngine()
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)


def test_one_thread_and_back() -> None:
    before, torch_before = threadpoolctl.threadpool_info(), torch.get_num_threads()
    with one_thread():
        assert {library["num_threads"] for library in threadpoolctl.threadpool_info()} == {1}
    assert threadpoolctl.threadpool_info() == before
    assert torch.get_num_threads() == torch_before


def test_networks_compute_on_one_thread_and_in_silence() -> None:
    before = np.geterr()
    with network_arithmetic():
        assert {library["num_threads"] for library in threadpoolctl.threadpool_info()} == {1}
        assert np.isnan(np.float32(3e38) * np.float32(10) * np.float32(0))  # a warning would be an error here
        assert {**np.geterr(), "over": "ignore", "invalid": "ignore", "divide": "ignore"} == np.geterr()
    assert np.geterr() == before


@pytest.mark.parametrize(("free", "expected"), [(2**40, 100), (100 * 4_000_000, 50), (4_000_000, 1), (400, 1)])
def test_a_stack_is_split_evenly_where_a_gpu_has_no_room(
    free: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "describe_device", lambda _: "cuda (pretended)")
    monkeypatch.setattr(module, "free_memory", lambda _: free)
    monkeypatch.setattr(module, "memory_of_a_run", lambda *_: 4_000_000)
    engine = TorchEngine(torch.device("cuda"))
    assert engine.description == "cuda (pretended)"
    assert engine.most_runs(make_settings(), SHAPE, 100) == expected


def test_a_run_in_double_precision_takes_twice_the_memory() -> None:
    settings = make_settings()
    memory = module.memory_of_a_run(settings, SHAPE)
    weights = 784 * 100 + 8 * 100 * 100 + 100 * 10
    assert 4 * weights < memory < 100 * 4 * weights
    assert module.memory_of_a_run(replace(settings, precision="float64"), SHAPE) == 2 * memory


@pytest.mark.parametrize(
    ("changes", "measured_mb"),
    [  # the most of any arm on an H200 with PyTorch 2.11: weights, what the graph keeps, and the largest need beside it
        ({}, 7.0),
        ({"batch_size": 4}, 5.6),
        ({"batch_size": 256}, 11.9),
        ({"hidden_sizes": (100,) * 12}, 8.2),
        ({"hidden_sizes": (400,) * 3}, 16.2),
        ({"precision": "float64"}, 12.4),
    ],
)
def test_no_less_memory_is_planned_than_was_measured(changes: dict[str, Any], measured_mb: float) -> None:
    settings = make_settings(**{"hidden_sizes": (100,) * 9, "batch_size": 60, **changes})
    estimate = module.memory_of_a_run(settings, SHAPE)
    assert measured_mb < estimate / 2**20 < 1.7 * measured_mb


@on_a_gpu
@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_a_gpu_agrees_with_the_cpu(dataset: Dataset, arm: Arm) -> None:
    # tanh with small weights is not chaotic: rounding stays rounding. Stated for 601 steps of ten layers.
    runs = make_runs([42, 43, 44], arm=arm, steps=601)
    on_cpu = train_runs(runs, dataset)
    on_gpu = train_runs(runs, dataset, engine=TorchEngine(open_gpu(tf32=False)))
    np.testing.assert_allclose(on_gpu.training_loss, on_cpu.training_loss, rtol=1e-3)
    np.testing.assert_allclose(on_gpu.loss, on_cpu.loss, rtol=1e-3)
    np.testing.assert_allclose(on_gpu.accuracy, on_cpu.accuracy, atol=2.5 / 700)  # two images of 700
    assert on_gpu.finite_weights.all()


@on_a_gpu
@pytest.mark.parametrize("changes", OPTIONS, ids=OPTION_NAMES)
@every_arm
def test_in_double_precision_a_gpu_agrees_in_everything(dataset: Dataset, arm: Arm, changes: dict[str, Any]) -> None:
    runs = small([42, 43], arm=arm, **changes)
    on_cpu = train_runs(runs, dataset, engine=engine_on_cpu(runs.settings))
    compare(on_cpu, train_runs(runs, dataset, engine=TorchEngine(open_gpu(tf32=False))), rtol=1e-6)


@on_a_gpu
@every_optimizer
def test_a_recorded_step_of_any_optimizer_is_that_of_the_cpu(dataset: Dataset, changes: dict[str, Any]) -> None:
    runs = small([42, 43], **changes)
    on_cpu = train_runs(runs, dataset)
    compare(on_cpu, train_runs(runs, dataset, engine=TorchEngine(open_gpu(tf32=False))), rtol=1e-6)


@on_a_gpu
@every_arm
def test_on_a_gpu_training_resumes_where_it_was(dataset: Dataset, arm: Arm) -> None:
    engine, runs = TorchEngine(open_gpu(tf32=False)), small([42, 43], arm=arm)
    stack, other = engine.start(runs, dataset.train), engine.start(runs.change(init_std=1.0), dataset.train)
    stack.advance(20)
    other.advance(3)
    other.restore(copy_of(stack))
    np.testing.assert_allclose(other.advance(10), stack.advance(10), rtol=1e-9)
