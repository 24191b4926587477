"""The contestants that use PyTorch: bnpipe's own engine for GPUs, and what people would write instead."""

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.contestants import Contestant
from benchmarks.made_up import SHAPE
from bnpipe.core.settings import Device, Runs, TrainingSettings
from bnpipe.data.layouts import FILES
from bnpipe.data.packed import Images
from bnpipe.modules.devices import captured, open_gpu
from bnpipe.modules.engine import TorchEngine
from bnpipe.networks.seeds import initial_weights


def make_of_torch(what: str, settings: TrainingSettings, stack: int, images: Images, name: Device) -> Contestant:
    """Build a contestant; see `benchmarks.contestants.make`."""
    device = open_gpu(tf32=False) if name == "cuda" else torch.device("cpu")
    match what:
        case "bnpipe, PyTorch":
            return TorchEngine(device).start(Runs.of_seeds(settings, range(stack)), images)
        case "plain":
            return PlainLoop(settings, images, device)
        case "dataloader":
            return DataLoaderLoop(settings, images, device)
        case "products":
            return StackedProducts(settings, stack, device)
        case _:
            raise ValueError(what)


def network_of_modules(settings: TrainingSettings) -> nn.Sequential:
    """Build the network of one run from PyTorch's own modules."""
    drawn = initial_weights(np.random.RandomState(0), settings.layer_sizes(SHAPE), settings.init_std)
    modules: list[nn.Module] = []
    for weight in drawn:
        fan_in, fan_out = weight.shape
        linear = nn.Linear(fan_in, fan_out, bias=settings.arm == "vanilla")
        linear.weight.data = torch.from_numpy(weight.T.copy())
        modules.append(linear)
        if settings.arm == "vanilla":
            nn.init.zeros_(linear.bias)
        else:
            modules.append(nn.BatchNorm1d(fan_out, settings.epsilon, settings.moving_average_weight))
        modules.append({"tanh": nn.Tanh, "relu": nn.ReLU}[settings.activation]())
    return nn.Sequential(*modules[:-1])


class PlainLoop:
    """One network with PyTorch's modules, autograd and optimizer. The images are in memory as float32."""

    def __init__(self, settings: TrainingSettings, images: Images, device: torch.device) -> None:
        self._network = network_of_modules(settings).to(device)
        self._optimizer = torch.optim.SGD(self._network.parameters(), lr=settings.learning_rate)
        self._batch_size = settings.batch_size
        self._device = device
        self._batches = self._endless(images)

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            images, labels = next(self._batches)
            loss = nn.functional.cross_entropy(self._network(images), labels)
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        finish(self._device)

    def _endless(self, images: Images) -> Iterator[tuple[Tensor, Tensor]]:
        pixels, labels = (torch.from_numpy(array).to(self._device) for array in (images.shown(), images.labels))
        while True:
            order = torch.randperm(len(labels), device=self._device)
            for indices in torch.split(order, self._batch_size):
                yield pixels[indices], labels[indices]


class DataLoaderLoop(PlainLoop):
    """The same network, fed by torchvision's data set and a DataLoader, as in tutorials."""

    def _endless(self, images: Images) -> Iterator[tuple[Tensor, Tensor]]:
        from torchvision.datasets import MNIST
        from torchvision.transforms import ToTensor

        with tempfile.TemporaryDirectory() as folder:
            write_idx(images, Path(folder) / "MNIST/raw")
            shown = MNIST(folder, train=True, transform=ToTensor())
        loader = torch.utils.data.DataLoader(shown, batch_size=self._batch_size, shuffle=True)
        while True:
            for pixels, labels in loader:
                yield pixels.flatten(1).to(self._device), labels.to(self._device)


class StackedProducts:
    """The matrix products of a step of stacked networks, on a GPU: forward, backward, gradient and update.

    They are launched as one CUDA graph, as bnpipe's step is. Otherwise launching them takes longer than multiplying.
    """

    def __init__(self, settings: TrainingSettings, stack: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return (torch.randn(shape, generator=generator) * 0.01).to(device)

        batch = settings.batch_size
        self._device = device
        self._layers = [
            (draw(stack, fan_in, fan_out), draw(stack, batch, fan_in), draw(stack, batch, fan_out))
            for fan_in, fan_out in pairwise(settings.layer_sizes(SHAPE))
        ]
        weights = [weight for weight, _, _ in self._layers]
        self._step = captured(self._multiply, weights) if device.type == "cuda" else self._multiply

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            self._step()
        finish(self._device)

    def _multiply(self) -> None:
        for weight, inputs, _delta in self._layers:
            torch.bmm(inputs, weight)
        for weight, inputs, delta in reversed(self._layers):
            if weight is not self._layers[0][0]:
                torch.bmm(delta, weight.transpose(1, 2))
            weight.baddbmm_(inputs.transpose(1, 2), delta, alpha=-1e-9)


def finish(device: torch.device) -> None:
    """Wait until a GPU has finished all of its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def write_idx(images: Images, folder: Path) -> None:
    """Write images and labels as the IDX files that torchvision reads."""
    folder.mkdir(parents=True)
    pixels, labels = images.pixels.reshape(-1, 28, 28), images.labels.astype(np.uint8)
    for name, array in zip(FILES, (pixels, labels, pixels[:1], labels[:1]), strict=True):
        (folder / name).write_bytes(_idx(array))


def _idx(array: NDArray[np.uint8]) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return header + array.tobytes()
