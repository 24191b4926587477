"""Train a stack of runs: the seeds of a chunk, under one condition and one arm."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from bnpipe.data.packed import Dataset, Images
from bnpipe.networks import StackedNetwork, cross_entropy
from bnpipe.norms import ARMS
from bnpipe.records import Curves, join
from bnpipe.seeds import BatchOrder, initial_weights
from bnpipe.settings import TrainingSettings

EVALUATION_ROWS = 512  # images evaluated at a time: activations of a stack stay in the processor's cache
ALIGNMENT = 32  # bytes

OnEvaluation = Callable[[int, Tensor], None]


def train_stack(
    settings: TrainingSettings,
    seeds: Sequence[int],
    dataset: Dataset,
    on_evaluation: OnEvaluation = lambda *_: None,
) -> Curves:
    """Train one network for each seed, side by side, and return their curves.

    ``on_evaluation(step, accuracy)`` is called after each evaluation with the accuracies (runs,).
    A run whose numbers stop being finite goes on: its accuracy is what argmax makes of them.
    """
    torch.set_num_threads(1)  # a product split over threads gives other bits
    stacks = [seeds] if aligned(settings) else [[seed] for seed in seeds]
    return join([_train(settings, stack, dataset, on_evaluation) for stack in stacks])


def aligned(settings: TrainingSettings) -> bool:
    """Say whether each run's part of every stacked tensor begins at a multiple of 32 bytes.

    Where it does not, the matrix library works on other boundaries in a stack than alone, and the last bits
    differ. (For a layer of one unit they differ anyway: a single product becomes a product with a vector.)
    """
    sizes = settings.layer_sizes
    parts = [settings.batch_size * size for size in sizes[1:]]
    parts += [fan_in * fan_out for fan_in, fan_out in pairwise(sizes)]
    return min(sizes) > 1 and all(4 * part % ALIGNMENT == 0 for part in parts)


def _train(settings: TrainingSettings, seeds: Sequence[int], dataset: Dataset, on_evaluation: OnEvaluation) -> Curves:
    streams = [np.random.RandomState(seed) for seed in seeds]
    network = build_network(settings, streams)
    batches = BatchOrder(streams, len(dataset.train), settings.batch_size)
    evaluations: list[tuple[Tensor, Tensor]] = []
    training_loss = torch.empty(settings.steps, len(seeds))
    with torch.inference_mode():
        for step in range(settings.steps):
            images, labels = dataset.train.batch(torch.from_numpy(batches.next_batch()))
            loss, gradient = cross_entropy(network.forward(images), labels)
            network.descend(gradient.mul_(settings.learning_rate))
            training_loss[step] = loss
            if step % settings.evaluation_interval == 0:
                evaluations.append(evaluate(network, dataset.validation))
                on_evaluation(step, evaluations[-1][0])
        test_accuracy, test_loss = evaluate(network, dataset.test)
        finite = torch.stack([torch.isfinite(state).flatten(1).all(1) for state in network.state_dict().values()])
    accuracy, validation_loss = (torch.stack(values, dim=1) for values in zip(*evaluations, strict=True))
    return Curves(
        seeds=np.array(seeds, dtype=np.int64),
        steps=np.array(settings.evaluated_steps, dtype=np.int64),
        accuracy=accuracy.numpy(),
        loss=validation_loss.numpy(),
        training_loss=training_loss.T.contiguous().numpy(),
        test_accuracy=test_accuracy.numpy(),
        test_loss=test_loss.numpy(),
        finite_weights=finite.all(dim=0).to(torch.uint8).numpy(),
    )


def build_network(settings: TrainingSettings, streams: Sequence[np.random.RandomState]) -> StackedNetwork:
    """Draw the weights of one network from each stream and stack them."""
    drawn = [initial_weights(stream, settings.layer_sizes, settings.init_std) for stream in streams]
    weights = [torch.from_numpy(np.stack(layer)) for layer in zip(*drawn, strict=True)]
    transforms = [ARMS[settings.arm](len(streams), weight.shape[2], settings) for weight in weights]
    return StackedNetwork(weights, transforms, settings.activation)


def evaluate(network: StackedNetwork, images: Images) -> tuple[Tensor, Tensor]:
    """Accuracy and mean cross-entropy of every run in inference mode, each (runs,), float64."""
    runs = network.weights[0].shape[0]
    correct = torch.zeros(runs, dtype=torch.float64)
    loss = torch.zeros(runs, dtype=torch.float64)
    for pixels, labels in images.chunks(EVALUATION_ROWS):
        filled_up = torch.nn.functional.pad(pixels, (0, 0, 0, -len(pixels) % 16))  # aligned, as training is
        logits = network.infer(filled_up)[:, : len(pixels)]
        correct += (logits.argmax(dim=2) == labels).sum(dim=1)
        picked = labels.expand(runs, -1).unsqueeze(2)
        loss -= torch.log_softmax(logits, dim=2).gather(2, picked).sum(dim=(1, 2), dtype=torch.float64)
    return correct / len(images), loss / len(images)
