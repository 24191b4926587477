"""Networks in training: how a stack is built, takes its steps and is evaluated, and on which images."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from bnpipe.core.records import Arrays
from bnpipe.core.settings import Runs, TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.networks.kernels import log_softmax
from bnpipe.networks.network import Observe, StackedNetwork, cross_entropy
from bnpipe.networks.norms import transforms_of
from bnpipe.networks.seeds import BatchOrder, initial_weights, streams_of
from bnpipe.training.devices import captured

CPU = torch.device("cpu")
EVALUATION_ROWS = 500  # images evaluated at a time: the activations of a stack stay in the processor's cache
STEPS_AT_ONCE = 100  # steps whose mini-batches are looked up, and brought to a GPU, together
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
NETWORK, BATCHES = "network.", "batches."  # prefixes of the parts of a training's state
OnEvaluation = Callable[[int, Tensor], None]  # is given a step and the accuracies (runs,) after it


class Training:
    """A stack of networks in training, one for each run, each on the mini-batches of its own stream."""

    def __init__(self, runs: Runs, images: Images, device: torch.device = CPU) -> None:
        """Build the networks. images: all training images. Raises InputError if a batch does not fit into them."""
        streams = streams_of(runs.seeds)
        settings = runs.settings
        self.network = build_network(runs, streams, device)
        self._images = training_subset(settings, images).to(device)
        self._precision = PRECISIONS[settings.precision]
        rates = torch.tensor(runs.learning_rates, dtype=self._precision, device=device)
        self.learning_rate = rates.unsqueeze(1)  # (runs, 1)
        self._batches = BatchOrder(streams, len(self._images), settings.batch_size)
        # A step reads and writes these two in place, so that a recorded one can be replayed.
        self._indices = torch.zeros(settings.batch_size, len(runs), dtype=torch.int32, device=device)
        self._loss = torch.zeros(len(runs), dtype=self._precision, device=device)
        on_gpu = device.type == "cuda"
        self._step = captured(self._eager_step, self.network.state().values()) if on_gpu else self._eager_step

    def advance(self, steps: int) -> Tensor:
        """Train on the next mini-batches; return their losses, (steps, runs), taken before each update."""
        losses = self._loss.new_empty(steps, len(self._loss))
        for first in range(0, steps, STEPS_AT_ONCE):
            some = losses[first : first + STEPS_AT_ONCE]
            indices = torch.from_numpy(self._batches.next_batches(len(some)))
            if losses.is_cuda:
                indices = indices.pin_memory().to(losses.device, non_blocking=True)
            for batch, loss in zip(indices, some, strict=True):
                self._indices.copy_(batch)
                self._step()
                loss.copy_(self._loss)
        return losses

    def observed_step(self, observe: Observe) -> None:
        """Train on the next mini-batch; show an observer what the network does, and the "loss" (1, runs, 1)."""
        self._indices.copy_(torch.from_numpy(self._batches.next_batches(1)[0]))
        self._eager_step(observe)

    def state(self) -> Arrays:
        """Return everything that decides the next steps; on the CPU the arrays are not copies."""
        network = {NETWORK + name: tensor.cpu().numpy() for name, tensor in self.network.state().items()}
        return network | {BATCHES + name: array for name, array in self._batches.state().items()}

    def restore(self, state: Arrays) -> None:
        """Restore what `state` returned."""
        kept = part_of(state, NETWORK)
        for name, tensor in self.network.state().items():
            tensor.copy_(torch.from_numpy(kept[name]))
        self._batches.restore(part_of(state, BATCHES))

    def _eager_step(self, observe: Observe | None = None) -> None:
        images, labels = self._images.batch(self._indices, self._precision)
        loss, gradient = cross_entropy(self.network.forward(images, observe), labels)
        if observe:
            observe("loss", len(self.network.layers) - 1, loss.view(1, -1, 1))
        self.network.descend(gradient.mul_(self.learning_rate), observe)
        self._loss.copy_(loss)


def build_network(runs: Runs, streams: Sequence[np.random.RandomState], device: torch.device = CPU) -> StackedNetwork:
    """Draw the weights of each run from its stream, and stack the networks."""
    each = zip(streams, runs.init_stds, strict=True)
    drawn = [initial_weights(stream, runs.settings.layer_sizes, init_std) for stream, init_std in each]
    # Into PyTorch's memory, which is aligned to 64 bytes: products on NumPy's memory take up to a quarter longer.
    stacked = [torch.stack([torch.from_numpy(run) for run in layer]) for layer in zip(*drawn, strict=True)]
    weights = [layer.to(device, PRECISIONS[runs.settings.precision]) for layer in stacked]
    transforms, nonlinearity = transforms_of(weights, runs.settings)
    return StackedNetwork(weights, transforms, nonlinearity, weights_learn=runs.settings.trained == "all")


def evaluate(network: StackedNetwork, images: Images) -> tuple[Tensor, Tensor]:
    """Return accuracy and mean cross-entropy of every run in inference mode, each (runs,), float64."""
    correct = loss = torch.zeros((), dtype=torch.float64, device=images.labels.device)
    for pixels, labels in images.chunks(EVALUATION_ROWS, network.precision):
        logits = network.infer(pixels)  # (rows, runs, classes)
        hits = logits.argmax(dim=2) == labels.unsqueeze(1)
        picked = labels.view(-1, 1, 1).expand(-1, logits.shape[1], 1)
        log_probabilities = log_softmax(logits).gather(2, picked).squeeze(2)  # of the true classes
        correct = correct + hits.sum(dim=0)
        loss = loss - log_probabilities.T.contiguous().sum(dim=1, dtype=torch.float64)
    return correct / len(images), loss / len(images)


def preprocess(settings: TrainingSettings, images: Images) -> Images:
    """Return images as the networks see them."""
    return images.binarized() if settings.binarize else images


def training_subset(settings: TrainingSettings, images: Images) -> Images:
    """Return those of the training images that networks are trained on, as the networks see them."""
    return preprocess(settings, images).first(settings.training_images)


def part_of(state: Arrays, prefix: str) -> Arrays:
    """Return the arrays whose names have a prefix, by their names without it."""
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
