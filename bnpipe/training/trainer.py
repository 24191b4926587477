"""One network in training: how it is built, takes its steps and is evaluated, and on which images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bnpipe.core.records import Arrays
from bnpipe.core.settings import Runs, TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.networks.first_batch import normalize_first_batch
from bnpipe.networks.network import Seen, draw_network
from bnpipe.networks.seeds import BatchOrder, streams_of

STEPS_AT_ONCE = 100  # steps whose mini-batches are looked up together
NETWORK, BATCHES = "network.", "batches."  # prefixes of the parts of a training's state
OnEvaluation = Callable[[int, NDArray[np.floating]], None]  # is given a step and the accuracies (runs,) after it


class Training:
    """One network in training, on the mini-batches of its seed's stream."""

    def __init__(self, settings: TrainingSettings, seed: int, images: Images) -> None:
        """Build the network. images: all training images.

        Raises InputError if a batch does not fit into them, and ValueError if the settings have another optimizer.
        """
        if not settings.is_plain_descent:
            raise ValueError(
                f"only plain gradient descent is compiled, got {settings.optimizer} and weight decay "
                f"{settings.weight_decay}"
            )
        streams = streams_of([seed])
        self.network = draw_network(settings, images.shape, streams[0])
        self.rate = settings.learning_rate
        self._images = training_subset(settings, images)
        self._batches = BatchOrder(streams, len(self._images), settings.batch_size)
        if settings.arm == "firstbatch":
            normalize_first_batch(self.network, settings, self.next_batch().shown(np.float64))

    def advance(self, steps: int) -> NDArray[Any]:
        """Train on the next mini-batches; return their losses (steps,), taken before each update."""
        losses = [np.empty(0, self.network.number)]
        for first in range(0, steps, STEPS_AT_ONCE):
            batches = self._next_batches(min(STEPS_AT_ONCE, steps - first))
            losses.append(self.network.train(self._images.pixels, self._images.labels, batches, self.rate))
        return np.concatenate(losses)

    def next_batch(self) -> Images:
        """Return the next mini-batch, without moving on: it stays the next."""
        return self._images.take(self._batches.peek()[:, 0])

    def observed_step(self) -> Seen:
        """Train on the next mini-batch and return what happened."""
        batch = self._images.take(self._next_batches(1)[0])
        return self.network.step(batch.shown(self.network.number), batch.labels, self.rate)

    def state(self) -> Arrays:
        """Return everything that decides the next steps; not all arrays are copies."""
        network = {NETWORK + name: array for name, array in self.network.state().items()}
        return network | {BATCHES + name: array for name, array in self._batches.state().items()}

    def restore(self, state: Arrays) -> None:
        """Restore what `state` returned."""
        self.network.restore(part_of(state, NETWORK))
        self._batches.restore(part_of(state, BATCHES))

    def _next_batches(self, steps: int) -> NDArray[np.int32]:
        """Return the next mini-batches, (steps, batch) indices of the images."""
        return np.ascontiguousarray(self._batches.next_batches(steps)[:, :, 0])


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep matrix products on one thread, because a product that is split over threads is rounded differently."""
    with threadpool_limits(limits=1):
        yield


@contextmanager
def network_arithmetic() -> Iterator[None]:
    """Compute as all networks do: on one thread, and without warnings, since a diverged run keeps training."""
    with one_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        yield


def on_all(on_evaluation: OnEvaluation, runs: Runs, stack: slice) -> OnEvaluation:
    """Return a function for one stack that calls on_evaluation with the step that all runs have reached on average.

    stack: its place among the runs. Stacks are trained one after the other, so earlier ones have taken all their steps
    and later ones none.
    """
    steps, own = runs.settings.steps, stack.stop - stack.start

    def report(step: int, accuracy: NDArray[np.floating]) -> None:
        taken = stack.start * steps + own * (step + 1)
        on_evaluation(-(-taken // len(runs)) - 1, accuracy)

    return report


def preprocess(settings: TrainingSettings, images: Images) -> Images:
    """Return images as the networks see them."""
    return images.binarized() if settings.binarize else images


def training_subset(settings: TrainingSettings, images: Images) -> Images:
    """Return the training images that networks are trained on, as the networks see them."""
    return preprocess(settings, images).first(settings.training_images)


def part_of(state: Arrays, prefix: str) -> Arrays:
    """Return the arrays whose names have a prefix, by their names without it."""
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
