"""Convolutional networks against plain torch.nn, and against values worked out by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnpipe.core.settings import OVERFLOW_PLACES, Arm, Shape, TrainingSettings
from bnpipe.data.packed import Dataset, Images
from bnpipe.modules.devices import open_gpu
from bnpipe.modules.engine import TorchEngine, TorchStack, memory_of_a_run
from bnpipe.modules.network import Convolution
from bnpipe.networks.seeds import BatchOrder, streams_of, weights_of_sizes
from bnpipe.networks.sizes import Grid, weight_sizes
from bnpipe.training.failures import locate_failures
from bnpipe.training.train import train_runs
from tests.conftest import make_runs, make_settings

SHAPE = Shape(channels=3, rows=7, columns=6, classes=4)
SMALL: dict[str, Any] = {
    "network": "convolutional",
    "channels": (4, 4, 8),  # 4 x 3, again 4 x 3, then 2 x 2 pixels
    "batch_size": 20,
    "steps": 25,
    "evaluation_interval": 12,
    "learning_rate": 0.1,
    "precision": "float64",
    "moving_variance": "unbiased",  # PyTorch's
    "diagnostics": True,
}

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)

    def draw(count: int) -> Images:
        labels = rng.integers(0, SHAPE.classes, count)
        pixels = rng.integers(0, 60, (count, SHAPE.pixels))
        pixels[np.arange(count), 20 * labels] += 190  # something to learn
        return Images(pixels.astype(np.uint8), labels, SHAPE)

    return Dataset(draw(150), draw(130), draw(50), sha256="0" * 64)


def plain(settings: TrainingSettings, weights: list[np.ndarray[Any, Any]]) -> nn.Sequential:
    """Build the network of one run from PyTorch's own modules, in double precision."""
    modules: list[nn.Module] = []
    below = SHAPE.channels
    for weight, channels in zip(weights, settings.channels, strict=False):
        convolution = nn.Conv2d(below, channels, 3, stride=2 if channels > below else 1, padding=1)
        kernel = torch.from_numpy(weight).view(3, 3, below, channels)
        convolution.weight.data = kernel.permute(3, 2, 0, 1).double().contiguous()
        modules += [convolution, nn.BatchNorm2d(channels, settings.epsilon, 0.01), nn.Tanh()]
        below = channels
    linear = nn.Linear(32, SHAPE.classes)
    of_last = torch.from_numpy(weights[-1]).view(2, 2, 8, SHAPE.classes)  # rows, columns, channels
    linear.weight.data = of_last.permute(3, 2, 0, 1).flatten(1).double().contiguous()
    modules += [nn.Flatten(), linear, nn.BatchNorm1d(SHAPE.classes, settings.epsilon, 0.01)]
    if settings.arm == "vanilla":
        modules = [module for module in modules if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for module in modules:
        if isinstance(module, nn.Conv2d | nn.Linear):  # batch normalization takes the bias out again
            assert module.bias is not None
            module.bias.data = torch.zeros_like(module.bias, dtype=torch.float64)
    return nn.Sequential(*modules).double()


def shown(images: Images) -> torch.Tensor:
    """Return images as PyTorch's convolutions take them, (images, channels, rows, columns)."""
    return torch.from_numpy(images.shown(np.float64)).view(-1, 7, 6, 3).permute(0, 3, 1, 2)


@pytest.mark.parametrize("arm", ["vanilla", "batchnorm"])
def test_trains_like_a_plain_implementation_from_the_same_weights_and_batches(dataset: Dataset, arm: Arm) -> None:
    runs = make_runs([42, 43], arm=arm, **SMALL)
    curves = train_runs(runs, dataset, engine=TorchEngine())
    for run, seed in enumerate(runs.seeds):
        (stream,) = streams = streams_of([seed])
        network = plain(runs.settings, weights_of_sizes(stream, weight_sizes(runs.settings, SHAPE), 0.1))
        batches = BatchOrder(streams, 150, 20).next_batches(25)[:, :, 0]
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        images, labels = shown(dataset.train), torch.from_numpy(dataset.train.labels)
        for step, batch in enumerate(batches):
            network.train()
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            assert curves.training_loss[run, step] == pytest.approx(loss.item(), rel=1e-6)
            if step % 12 == 0:
                network.eval()
                guesses = network(shown(dataset.validation)).argmax(1).numpy()
                assert curves.accuracy[run, step // 12] == (guesses == dataset.validation.labels).mean()


def test_both_arms_start_from_the_same_weights(dataset: Dataset) -> None:
    stacks = [
        TorchStack(make_runs([42], arm=arm, **SMALL), dataset.train, torch.device("cpu"))
        for arm in ("vanilla", "batchnorm")
    ]
    vanilla, batchnorm = (stack.state() for stack in stacks)
    weights = [name for name in vanilla if name.endswith(".weight")]
    assert len(weights) == 4
    for name in [*weights, *(name for name in vanilla if name.startswith("batches."))]:
        np.testing.assert_array_equal(vanilla[name], batchnorm[name], err_msg=name)


def test_a_convolution_by_hand() -> None:
    # Two channels of 2 x 3 pixels; the kernel of the one filter looks at a pixel, 10 times at its right neighbour and,
    # in the second channel, 100 times at the pixel below.
    weight = torch.zeros(1, 18, 1)
    kernel = weight.view(3, 3, 2)
    kernel[1, 1, 0], kernel[1, 2, 0], kernel[2, 1, 1] = 1, 10, 100
    layer = Convolution(weight, make_settings(arm="vanilla"), Grid(2, 3, 2))
    image = torch.tensor([[[1.0, 5], [2, 6], [3, 7]], [[4, 8], [0, 9], [1, 0]]])  # rows, columns, channels
    z = layer.product(image.reshape(1, 1, 12))
    assert z.shape == (1, 6, 1)
    assert z.flatten().tolist() == [1 + 20 + 800, 2 + 30 + 900, 3, 4, 10, 1]
    fewer = Convolution(weight.expand(1, 18, 3), make_settings(arm="vanilla"), Grid(2, 3, 2))
    assert fewer.product(image.reshape(1, 1, 12))[0, :, 2].tolist() == [821, 3]  # every other row and column


def test_each_channel_is_normalized_over_batch_rows_and_columns(dataset: Dataset) -> None:
    stack = TorchStack(make_runs([42], arm="batchnorm", **SMALL), dataset.train, torch.device("cpu"))
    (seen,) = stack.observed_step()
    assert [z.shape for z in seen.z] == [(20 * 12, 4), (20 * 12, 4), (20 * 4, 8), (20, 4)]
    before = np.arctanh(seen.output[1])
    np.testing.assert_allclose(before.mean(axis=0), 0, atol=1e-12)
    variance = seen.z[1].var(axis=0)
    np.testing.assert_allclose(before.var(axis=0), variance / (variance + 1e-3))


def test_runs_side_by_side_are_trained_as_alone(dataset: Dataset) -> None:
    runs = make_runs([42, 43, 44], **{**SMALL, "learning_rate": [0.1, 0.05, 0.2]})
    together = TorchStack(runs, dataset.train, torch.device("cpu"))
    losses = together.advance(10)
    measured = together.diagnose(dataset.train, dataset.validation)
    for run in range(3):
        alone = TorchStack(runs[run : run + 1], dataset.train, torch.device("cpu"))
        np.testing.assert_allclose(losses[:, run], alone.advance(10)[:, 0], rtol=1e-10)
        for name, values in alone.diagnose(dataset.train, dataset.validation).items():
            np.testing.assert_allclose(measured[name][run], values[0], rtol=1e-5, atol=1e-12, err_msg=name)


def test_layers_are_measured_by_hand(dataset: Dataset) -> None:
    stack = TorchStack(
        make_runs([42], arm="batchnorm", **{**SMALL, "activation": "relu"}), dataset.train, torch.device("cpu")
    )
    measured = {name: values[0] for name, values in stack.diagnose(dataset.train, dataset.validation).items()}
    weights = weights_of_sizes(streams_of([42])[0], weight_sizes(make_settings(**SMALL), SHAPE), 0.1)
    np.testing.assert_allclose(measured["weight_norm"], [np.linalg.norm(weight) for weight in weights], rtol=1e-6)
    assert measured["z_rms"].shape == (4,)
    probe = dataset.train.first(120)
    network = plain(make_settings(**SMALL), weights)
    network[2], network[5], network[8] = nn.ReLU(), nn.ReLU(), nn.ReLU()
    z = network[:4](shown(probe))  # the second convolution's
    logits = network[4:](z)
    losses = nn.functional.cross_entropy(logits, torch.from_numpy(probe.labels), reduction="sum")
    (slope,) = torch.autograd.grad(losses, z)
    assert measured["z_rms"][1] == pytest.approx(z.square().mean().sqrt().item(), rel=1e-6)
    assert measured["delta_rms"][1] == pytest.approx(slope.square().mean().sqrt().item(), rel=1e-6)
    dead = (network[4:6](z).amax(dim=(0, 2, 3)) == 0).double().mean().item()
    assert measured["dead"][1] == dead
    assert np.isnan(measured["dead"][3])


def test_a_training_goes_on_from_its_state_to_the_same_bits(dataset: Dataset) -> None:
    runs = make_runs([42], **{**SMALL, "precision": "float32"})
    whole, half, other = (TorchStack(runs, dataset.train, torch.device("cpu")) for _ in range(3))
    losses = whole.advance(20)
    half.advance(7)
    other.restore({name: array.copy() for name, array in half.state().items()})
    np.testing.assert_array_equal(other.advance(13), losses[7:])


def test_the_failure_of_a_network_is_located(dataset: Dataset) -> None:
    runs = make_runs([42, 43], arm="vanilla", **{**SMALL, "activation": "relu", "learning_rate": [1e200, 0.01]})
    engine = TorchEngine()
    curves = train_runs(runs, dataset, engine=engine)
    first, healthy = locate_failures(runs, curves, dataset.train, engine).tolist()
    assert first[0] == 1
    assert OVERFLOW_PLACES[first[2]] in ("z", "output")
    assert healthy == [-1, -1, -1]


def test_memory_grows_with_batch_and_channels() -> None:
    settings = make_settings(**SMALL)
    units = 7 * 6 * 3 + 12 * 4 + 12 * 4 + 4 * 8 + 4
    weights = 27 * 4 + 36 * 4 + 36 * 8 + 32 * 4
    memory = memory_of_a_run(settings, SHAPE)
    assert memory_of_a_run(replace(settings, batch_size=21), SHAPE) - memory == 8 * 4 * units
    assert memory > 8 * (3 * weights + 20 * units)


@on_a_gpu
@pytest.mark.parametrize("arm", ["vanilla", "batchnorm", "weightnorm"])
def test_a_gpu_agrees_with_the_cpu_and_repeats_itself(dataset: Dataset, arm: Arm) -> None:
    runs = make_runs([42, 43], arm=arm, **SMALL)
    gpu = TorchEngine(open_gpu(tf32=False))
    on_cpu, on_gpu, again = (train_runs(runs, dataset, engine=engine) for engine in (TorchEngine(), gpu, gpu))
    np.testing.assert_allclose(on_gpu.training_loss, on_cpu.training_loss, rtol=1e-6)
    np.testing.assert_array_equal(on_gpu.accuracy, on_cpu.accuracy)
    np.testing.assert_array_equal(on_gpu.training_loss, again.training_loss)
    for name, values in on_cpu.diagnostics.items():
        np.testing.assert_allclose(on_gpu.diagnostics[name], values, rtol=1e-4, atol=1e-8, err_msg=name)
