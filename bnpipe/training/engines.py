"""The engines that train networks: compiled code for the CPU, or PyTorch for GPUs and for all that is not compiled."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.records import Arrays
from bnpipe.core.settings import Device, Runs, Shape, TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.networks.compiled import Array
from bnpipe.networks.network import AVERAGES, Network, Seen, is_compiled
from bnpipe.training.diagnostics import Diagnosis
from bnpipe.training.trainer import Training

Evaluated = tuple[NDArray[np.float64], NDArray[np.float64]]  # accuracies and mean cross-entropies, each (runs,)


class Stack(Protocol):
    """Networks in training side by side, one for each run, each on the mini-batches of its own stream."""

    def advance(self, steps: int) -> NDArray[np.floating]:
        """Train on the next mini-batches; return their losses, (steps, runs), taken before each update."""

    def observed_step(self) -> list[Seen]:
        """Train on the next mini-batch and return what happened in each run."""

    def evaluate(self, images: Images) -> Evaluated:
        """Return accuracy and mean cross-entropy of every run in inference mode."""

    def diagnose(self, training: Images, validation: Images) -> Arrays:
        """Measure the networks: see `bnpipe.training.diagnostics.Diagnosis`; arrays have a first dimension of runs."""

    def finite(self) -> NDArray[np.bool]:
        """Return for every run whether everything that training changes is finite, (runs,)."""

    def weights(self) -> Arrays:
        """Return parameters and moving averages of every run; not all arrays are copies.

        Their names are those of PyTorch's module. The first layer has `layers.0.weight` (runs, fan_in, fan_out), and
        for its transform `layers.0.transform.beta` (runs, 1, units), `gamma`, `mean` and `variance`, if it has them.
        """

    def state(self) -> Arrays:
        """Return everything that decides the next steps; not all arrays are copies."""

    def restore(self, state: Arrays) -> None:
        """Restore what `state` returned."""


class Engine(Protocol):
    """A way to train networks."""

    description: str  # of the device and its arithmetic, as records keep it
    libraries: tuple[str, ...]  # whose arithmetic is used

    def most_runs(self, settings: TrainingSettings, shape: Shape, wanted: int) -> int:
        """Return how many of the wanted runs to train side by side. shape: of the data set."""

    def start(self, runs: Runs, images: Images) -> Stack:
        """Build the networks. images: all training images. Raises InputError if a batch does not fit into them."""


class Single:
    """A stack of one network, compiled."""

    def __init__(self, runs: Runs, images: Images) -> None:
        (self._settings,), (seed,) = runs.each, runs.seeds
        self._training = Training(self._settings, seed, images)
        self._diagnosis: Diagnosis | None = None

    def advance(self, steps: int) -> NDArray[np.floating]:
        if self._is_lost():
            return np.full((steps, 1), np.nan, self._training.network.number)
        return self._training.advance(steps)[:, np.newaxis]

    def observed_step(self) -> list[Seen]:
        return [self._training.observed_step()]

    def evaluate(self, images: Images) -> Evaluated:
        accuracy, loss = self._training.network.evaluate(images.pixels, images.labels)
        return np.array([accuracy]), np.array([loss])

    def diagnose(self, training: Images, validation: Images) -> Arrays:
        self._diagnosis = self._diagnosis or Diagnosis(self._settings, training, validation)
        return {name: values[np.newaxis] for name, values in self._diagnosis.of(self._training.network).items()}

    def finite(self) -> NDArray[np.bool]:
        return np.array([all(np.isfinite(array).all() for array in self._training.network.state().values())])

    def weights(self) -> Arrays:
        network = self._training.network
        found = {f"{number}.weight": weight[np.newaxis] for number, weight in enumerate(network.weights)}
        for number, (parameters, learned) in enumerate(zip(network.parameters, network.learned, strict=True)):
            averages = AVERAGES if number in network.averages else ()
            own = {**parameters, **{name: getattr(learned, name) for name in averages}}
            found |= {f"{number}.transform.{name}": array.reshape(1, 1, -1) for name, array in own.items()}
        return {f"layers.{name}": array for name, array in found.items()}

    def state(self) -> Arrays:
        return self._training.state()

    def restore(self, state: Arrays) -> None:
        self._training.restore(state)

    def _is_lost(self) -> bool:
        """Return whether every logit stays nan, because all weights of a layer are nan.

        Such a network is not trained any further.
        """
        return any(np.isnan(weight).all() for weight in self._training.network.weights)


class Compiled:
    """The engine of CPUs: one network at a time, whose training step is compiled."""

    description = "cpu"
    libraries: tuple[str, ...] = ("numba", "numpy", "scipy")

    def most_runs(self, settings: TrainingSettings, shape: Shape, wanted: int) -> int:  # noqa: ARG002
        return 1

    def start(self, runs: Runs, images: Images) -> Stack:
        return Single(runs, images)


COMPILED = Compiled()


def engine_on_cpu(settings: TrainingSettings) -> Engine:
    """Return the engine that trains networks of these settings on a CPU: PyTorch, if they are not compiled."""
    if is_compiled(settings):
        return COMPILED
    from bnpipe.modules.engine import TorchEngine  # imported here because loading PyTorch takes seconds

    return TorchEngine()


def observe_from(weights: Sequence[Array], settings: TrainingSettings, images: Array, delta: Array) -> Seen:
    """Take images forward through a network on a CPU, and delta from its outputs back; return what happened.

    weights: (fan_in, fan_out) of every layer, first layer first. The settings must not let them learn, so the result
    has the same weights. The arm firstbatch takes them unchanged too, and so computes what vanilla does. images:
    (images, fan_in of the first layer); delta: (images, fan_out of the last). All are in the precision of the settings.
    """
    if is_compiled(settings):
        return Network(weights, settings).step_from(images, delta)
    from bnpipe.modules.engine import observed_from  # see above

    return observed_from(weights, settings, images, delta)


@contextmanager
def granted_engine(settings: TrainingSettings, device: Device, tf32: bool, gpus: int) -> Iterator[Engine]:
    """Yield the engine of a device. If it is a GPU, no other job uses it while the block runs.

    tf32: whether a GPU multiplies in TF32. gpus: how many the job was granted, 0 or 1. Raises InputError if the job
    asks for a GPU but was granted none, or there is none, or none becomes free in time.
    """
    if device == "cpu":
        yield engine_on_cpu(settings)
        return
    from bnpipe.modules.engine import TorchEngine  # see above
    from bnpipe.modules.gpus import granted_gpu

    with granted_gpu(tf32, gpus) as gpu:
        yield TorchEngine(gpu)
