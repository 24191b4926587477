"""Train all runs of a stack side by side in PyTorch, with gradients by autograd; on a GPU, a step is a CUDA graph."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnpipe.core.records import Arrays
from bnpipe.core.settings import Runs, Shape, TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.modules.descent import Descent
from bnpipe.modules.devices import captured, describe_device, free_memory
from bnpipe.modules.network import PRECISIONS, StackedNetwork, draw_stack, losses_of
from bnpipe.modules.norms import BatchNorm
from bnpipe.modules.parts import optimizer_of
from bnpipe.networks.compiled import Array
from bnpipe.networks.first_batch import normalize_first_batch
from bnpipe.networks.network import Network, Seen
from bnpipe.networks.seeds import BatchOrder, streams_of
from bnpipe.networks.sizes import units, weight_sizes
from bnpipe.training.diagnostics import ACCURACY_IMAGES, PROBE_IMAGES, measure_layers
from bnpipe.training.trainer import BATCHES, NETWORK, STEPS_AT_ONCE, part_of, training_subset

CPU = torch.device("cpu")
EVALUATION_ROWS = 500  # images evaluated at a time
OPTIMIZER = "optimizer."  # prefix of what the optimizer keeps, in the state of a training
AVERAGES = (".mean", ".variance")  # with which the names of moving averages end


class TorchStack:
    """Networks in training side by side: see `bnpipe.training.engines.Stack`."""

    def __init__(self, runs: Runs, images: Images, device: torch.device) -> None:
        settings, streams = runs.settings, streams_of(runs.seeds)
        self._settings = settings
        self._precision = PRECISIONS[settings.precision]
        self._network = draw_stack(runs, images.shape, streams, device)
        self._rates = torch.tensor(runs.learning_rates, dtype=self._precision, device=device)
        self._descend = Descent(self._network, self._rates, settings)
        chosen = training_subset(settings, images)
        self._pixels, self._labels = on_device(chosen, device)
        self._batches = BatchOrder(streams, len(chosen), settings.batch_size)
        if settings.arm == "firstbatch":
            self._normalize_first_batch(chosen)
        # A step reads and writes these two in place, so that a recorded step can be replayed.
        self._indices = torch.zeros(len(runs), settings.batch_size, dtype=torch.int64, device=device)
        self._loss = torch.zeros(len(runs), dtype=self._precision, device=device)
        on_gpu = device.type == "cuda"
        self._step = captured(self._eager_step, self._state().values()) if on_gpu else self._eager_step

    def advance(self, steps: int) -> NDArray[np.floating]:
        losses = self._loss.new_empty(steps, len(self._loss))
        for first in range(0, steps, STEPS_AT_ONCE):
            some = losses[first : first + STEPS_AT_ONCE]
            for batch, loss in zip(self._next_batches(len(some)), some, strict=True):
                self._indices.copy_(batch)
                self._step()
                loss.copy_(self._loss)
        return to_numpy(losses)

    def observed_step(self) -> list[Seen]:
        self._indices.copy_(self._next_batches(1)[0])
        return self._look(*self._mini_batch())

    def evaluate(self, images: Images) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        correct = loss = torch.zeros((), dtype=torch.float64, device=self._loss.device)
        for part in images.chunks(EVALUATION_ROWS):
            logits, labels = self._infer(part)
            correct = correct + (logits.argmax(dim=2) == labels).sum(dim=1)
            loss = loss + losses_of(logits, labels).double() * len(part)
        return to_numpy(correct) / len(images), to_numpy(loss) / len(images)

    def diagnose(self, training: Images, validation: Images) -> Arrays:
        probe, few = training.first(PROBE_IMAGES), validation.first(ACCURACY_IMAGES)
        kept = {name: tensor.clone() for name, tensor in self._state().items()}
        moving = self._accuracy(few)
        norms = [module for module in self._network.modules() if isinstance(module, BatchNorm)]
        weights = [norm.newest for norm in norms]
        for norm in norms:
            norm.newest = 1.0  # moving averages are then the probe's statistics
        seen = self._look(*self._shared(probe))
        for norm, weight in zip(norms, weights, strict=True):
            norm.newest = weight
        statistics = {name: tensor for name, tensor in self._network.state_dict().items() if name.endswith(AVERAGES)}
        statistics = {NETWORK + name: tensor.clone() for name, tensor in statistics.items()}
        self._load({**kept, **statistics})
        population = self._accuracy(few) if norms else np.full_like(moving, np.nan)
        self._load(kept)
        layers = [
            measure_layers(of_run, self._weights_of(run), self._parameters_of(run), rate, self._settings.activation)
            for run, (of_run, rate) in enumerate(zip(seen, self._rates.tolist(), strict=True))
        ]
        measured = {name: np.array([of_run[name] for of_run in layers]) for name in layers[0]}
        whole = {"moving_accuracy": moving, "population_accuracy": population}
        return {name: values.astype(np.float32) for name, values in {**measured, **whole}.items()}

    def finite(self) -> NDArray[np.bool]:
        arrays = map(to_numpy, self._network.state_dict().values())
        finite = [np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in arrays]
        result: NDArray[np.bool] = np.logical_and.reduce(finite)
        return result

    def weights(self) -> Arrays:
        return {name: to_numpy(tensor) for name, tensor in self._network.state_dict().items()}

    def state(self) -> Arrays:
        arrays = {name: to_numpy(tensor) for name, tensor in self._state().items()}
        return arrays | {BATCHES + name: array for name, array in self._batches.state().items()}

    def restore(self, state: Arrays) -> None:
        self._load({name: torch.from_numpy(state[name]) for name in self._state()})
        self._batches.restore(part_of(state, BATCHES))

    @torch.no_grad()
    def _normalize_first_batch(self, images: Images) -> None:
        """Set the first weights and biases of every run to exactly what the compiled engine sets."""
        for run, batch in enumerate(self._batches.peek().T):
            network = Network(self._weights_of(run), self._settings)
            normalize_first_batch(network, self._settings, images.take(batch).shown(np.float64))
            for layer, weight, learned in zip(self._network.layers, network.weights, network.learned, strict=True):
                layer.weight[run] = torch.from_numpy(weight)
                layer.get_parameter("transform.beta")[run] = torch.from_numpy(learned.beta)

    def _eager_step(self) -> None:
        images, labels = self._mini_batch()
        losses = losses_of(self._network(images), labels)
        self._descend(losses)
        self._loss.copy_(losses.detach())

    def _look(self, images: Tensor, labels: Tensor) -> list[Seen]:
        """Train on a mini-batch and return what happened in each run."""
        layers = self._network.observed(images.clone().requires_grad_())  # so that every z has a gradient
        losses = losses_of(layers[-1][1], labels)
        deltas = torch.autograd.grad(losses.sum(), [z for z, _ in layers], retain_graph=True)
        self._descend(losses)
        rates = to_numpy(self._rates)
        zs, outputs = ([to_numpy(values) for values in kind] for kind in zip(*layers, strict=True))
        return [
            Seen(
                z=[z[run] for z in zs],
                output=[output[run] for output in outputs],
                delta=[to_numpy(delta[run]) * rates[run] for delta in deltas],
                loss=loss,
                weights=self._weights_of(run),
            )
            for run, loss in enumerate(losses.tolist())
        ]

    def _mini_batch(self) -> tuple[Tensor, Tensor]:
        """Return the images (runs, batch, pixels) and labels (runs, batch) of the indices that are set."""
        return self._pixels[self._indices].to(self._precision) / 255, self._labels[self._indices]

    def _shared(self, images: Images) -> tuple[Tensor, Tensor]:
        """Return images (runs, batch, pixels) and labels (runs, batch), the same for all runs."""
        pixels, labels = on_device(images, self._loss.device)
        runs = len(self._loss)
        return (pixels.to(self._precision) / 255).expand(runs, -1, -1), labels.expand(runs, -1)

    def _next_batches(self, steps: int) -> Tensor:
        """Return the next mini-batches, (steps, runs, batch) indices, on the device."""
        indices = torch.from_numpy(self._batches.next_batches(steps)).transpose(1, 2).to(torch.int64).contiguous()
        return indices.pin_memory().to(self._loss.device, non_blocking=True) if self._loss.is_cuda else indices

    @torch.no_grad()
    def _infer(self, images: Images) -> tuple[Tensor, Tensor]:
        """Return the logits (runs, images, classes) in inference mode, and the labels (runs, images)."""
        pixels, labels = self._shared(images)
        self._network.eval()
        logits: Tensor = self._network(pixels)
        self._network.train()
        return logits, labels

    def _accuracy(self, images: Images) -> NDArray[np.float64]:
        logits, labels = self._infer(images)
        return to_numpy((logits.argmax(dim=2) == labels).double().mean(dim=1))

    def _state(self) -> dict[str, Tensor]:
        """Return the tensors that a step changes: those of the networks, and what the optimizer keeps."""
        parts = {NETWORK: self._network, OPTIMIZER: self._descend}
        return {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.state_dict().items()}

    @torch.no_grad()
    def _load(self, state: Mapping[str, Tensor]) -> None:
        """Overwrite the tensors of `_state` in place."""
        for name, tensor in self._state().items():
            tensor.copy_(state[name])

    def _weights_of(self, run: int) -> list[NDArray[np.floating]]:
        return [to_numpy(layer.weight[run]).copy() for layer in self._network.layers]

    def _parameters_of(self, run: int) -> list[dict[str, NDArray[np.floating]]]:
        """Return what each layer's transform has learned, by name."""
        return [
            {name: to_numpy(own[run]).ravel() for name, own in layer.transform.named_parameters()}
            for layer in self._network.layers
        ]


class TorchEngine:
    """The engine for GPUs, and for networks that are not compiled: see `bnpipe.training.engines.Engine`."""

    libraries: tuple[str, ...] = ("numba", "numpy", "scipy", "torch")  # numba, scipy: for firstbatch's first weights

    def __init__(self, device: torch.device = CPU) -> None:
        self._device = device
        if device.type == "cpu":
            torch.set_num_threads(1)  # a sum that is split over threads is rounded differently
        self.description = describe_device(device)

    def most_runs(self, settings: TrainingSettings, shape: Shape, wanted: int) -> int:
        if self._device.type == "cpu":
            return 1  # sums are rounded in an order that depends on the place in a stack
        room = int(0.8 * free_memory(self._device))
        parts = min(wanted, -(-wanted * memory_of_a_run(settings, shape) // room))
        return -(-wanted // parts)

    def start(self, runs: Runs, images: Images) -> TorchStack:
        return TorchStack(runs, images, self._device)


def observed_from(weights: Sequence[Array], settings: TrainingSettings, images: Array, delta: Array) -> Seen:
    """Take images forward through a network and delta back: see `bnpipe.training.engines.observe_from`."""
    torch.set_num_threads(1)  # see `TorchEngine`
    *stacked, inputs, slopes = (torch.from_numpy(array).unsqueeze(0) for array in (*weights, images, delta))
    layers = StackedNetwork(stacked, settings).observed(inputs.requires_grad_())  # so that every z has a gradient
    zs, outputs = zip(*layers, strict=True)
    deltas = torch.autograd.grad(outputs[-1], zs, slopes)
    z, output, found = ([to_numpy(values[0]) for values in kind] for kind in (zs, outputs, deltas))
    return Seen(z, output, found, np.nan, list(weights))


def memory_of_a_run(settings: TrainingSettings, shape: Shape) -> int:
    """Estimate the bytes that one more run in a stack takes on a GPU; the factors were measured on a GPU.

    A CUDA graph keeps the memory that its step allocated, so nothing else can use it between steps. shape: of the data
    set.
    """
    pixels, *outputs = units(settings, shape)
    weights = sum(map(prod, weight_sizes(settings, shape)))
    kept = len([*optimizer_of(settings.optimizer, torch.zeros(1), settings).buffers()])  # by the optimizer, at most
    step = (2 + 2 * kept) * weights + 4 * settings.batch_size * (pixels + sum(outputs))  # gradients, autograd's share
    evaluation = EVALUATION_ROWS * 2 * (sum(outputs) + max(outputs))
    look = (4 + kept) * weights  # to measure layers: a copy of the network, gradients, and their products with the rate
    bytes_of_a_number = 8 if settings.precision == "float64" else 4
    return bytes_of_a_number * (weights + step + max(evaluation, look))


def on_device(images: Images, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return pixels (images, pixels), uint8, and labels (images,), int64, on a device."""
    return torch.from_numpy(images.pixels).to(device), torch.from_numpy(images.labels).to(device)


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """Return the numbers of a tensor on any device."""
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
