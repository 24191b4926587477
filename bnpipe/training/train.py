"""Train a stack of runs: seeds under one condition and one arm, side by side on one device."""

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from bnpipe.core.records import TRAINING_SET, Curves, join
from bnpipe.core.settings import TrainingSettings, common_settings
from bnpipe.data.packed import Dataset, Images
from bnpipe.networks.kernels import log_softmax, one_thread
from bnpipe.networks.network import Observe, StackedNetwork, cross_entropy
from bnpipe.networks.norms import transforms_of
from bnpipe.networks.seeds import BatchOrder, initial_weights
from bnpipe.training.checkpoints import Arrays, Checkpoints
from bnpipe.training.devices import captured, free_memory
from bnpipe.training.diagnostics import diagnose

CPU = torch.device("cpu")
EVALUATION_ROWS = 500  # images evaluated at a time: activations of a stack stay in the processor's cache
STACK_MEMORY = 150_000_000  # bytes of a stack on a CPU: one of 1.1 GB took a third longer a run
STEPS_AT_ONCE = 100  # whose mini-batches are looked up, and brought to a GPU, together
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
OnEvaluation = Callable[[int, Tensor], None]
NETWORK, BATCHES, LOG = "network.", "batches.", "log."  # begin the names of the parts of a training's state

log = logging.getLogger(__name__)


def train_stack(
    settings: TrainingSettings | Sequence[TrainingSettings],
    seeds: Sequence[int],
    dataset: Dataset,
    on_evaluation: OnEvaluation = lambda *_: None,
    device: torch.device = CPU,
    checkpoints: Checkpoints | None = None,
) -> Curves:
    """Train one network for each seed, side by side, and return their curves.

    settings: of all runs alike, or one for each, see `bnpipe.core.settings.common_settings`. Too many runs for one
    stack are trained in several, one after the other. ``on_evaluation(step, accuracy)`` is called after each evaluation
    with the accuracies (runs,) of the stack, and the step that the runs have come to, in the mean over all stacks.
    checkpoints: where the training's state is kept and, where one stands there, taken up again.
    A run whose numbers stop being finite goes on: its accuracy is what argmax makes of them.
    """
    # A run that overflows goes on, and NumPy is to be as silent about it as PyTorch.
    with torch.inference_mode(), one_thread(), np.errstate(over="ignore", invalid="ignore"):
        each = of_each_run(settings, len(seeds))
        size = most_runs(common_settings(each), device, len(seeds))
        stacks = [slice(first, min(first + size, len(seeds))) for first in range(0, len(seeds), size)]
        parts = []
        for stack in stacks:
            course = TrainingRun(each[stack], seeds[stack], dataset, device)
            _train(course, _on_all(on_evaluation, each, stack), checkpoints, stack)
            parts.append(course.curves())
            if checkpoints and len(stacks) > 1:  # Finished stacks are not to be trained again either.
                checkpoints.write(stack, course.state())
        return join(parts)


def of_each_run(settings: TrainingSettings | Sequence[TrainingSettings], runs: int) -> Sequence[TrainingSettings]:
    """Return the settings of each run, given those of all runs alike or of each."""
    return [settings] * runs if isinstance(settings, TrainingSettings) else settings


def most_runs(settings: TrainingSettings, device: torch.device, wanted: int) -> int:
    """Say how many of the wanted runs to train side by side."""
    on_cpu = device.type == "cpu"
    if on_cpu and min(settings.layer_sizes) == 1:
        return 1  # Matrices become vectors, whose sums round by the number of runs.
    room = STACK_MEMORY if on_cpu else int(0.8 * free_memory(device))
    parts = min(wanted, -(-wanted * memory_of_a_run(settings) // room))
    return -(-wanted // parts)


def memory_of_a_run(settings: TrainingSettings) -> int:
    """Estimate the bytes that a further run of a stack takes while it trains and is evaluated."""
    sizes = settings.layer_sizes
    weights = 2 * sum(fan_in * fan_out for fan_in, fan_out in pairwise(sizes))  # with a copy for the graph's capture
    activations = 4 * settings.batch_size * sum(sizes)  # inputs, products, normalized ones, gradients
    evaluation = 4 * EVALUATION_ROWS * max(sizes[1:])
    bytes_of_a_number = 8 if settings.precision == "float64" else 4
    return bytes_of_a_number * (weights + activations + evaluation)


class Training:
    """A stack of networks in training: one for each seed, each on the mini-batches of its own stream."""

    def __init__(
        self,
        settings: TrainingSettings | Sequence[TrainingSettings],
        seeds: Sequence[int],
        images: Images,
        device: torch.device = CPU,
    ) -> None:
        each = of_each_run(settings, len(seeds))
        common = common_settings(each)
        streams = [np.random.RandomState(seed) for seed in seeds]
        self.network = build_network(each, streams, device)
        self._images = training_subset(common, images).to(device)
        self._precision = PRECISIONS[common.precision]
        rates = [run.learning_rate for run in each]
        self.learning_rate = torch.tensor(rates, dtype=self._precision, device=device).unsqueeze(1)  # (runs, 1)
        self._batches = BatchOrder(streams, len(self._images), common.batch_size)
        # A step reads and writes these two in place, so that a recorded one can be replayed.
        self._indices = torch.zeros(common.batch_size, len(seeds), dtype=torch.int32, device=device)
        self._loss = torch.zeros(len(seeds), dtype=self._precision, device=device)
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
        """Train on the next mini-batch and show an observer what stands in the layers, and the "loss" between."""
        self._indices.copy_(torch.from_numpy(self._batches.next_batches(1)[0]))
        self._eager_step(observe)

    def state(self) -> Arrays:
        """Everything that decides the steps to come, by name; on the CPU they are no copies."""
        network = {NETWORK + name: tensor.cpu().numpy() for name, tensor in self.network.state().items()}
        return network | {BATCHES + name: array for name, array in self._batches.state().items()}

    def restore(self, state: Arrays) -> None:
        """Bring back what `state` returned."""
        kept = _part(state, NETWORK)
        for name, tensor in self.network.state().items():
            tensor.copy_(torch.from_numpy(kept[name]))
        self._batches.restore(_part(state, BATCHES))

    def _eager_step(self, observe: Observe | None = None) -> None:
        images, labels = self._images.batch(self._indices, self._precision)
        loss, gradient = cross_entropy(self.network.forward(images, observe), labels)
        if observe:
            observe("loss", len(self.network.layers) - 1, loss.view(1, -1, 1))
        self.network.descend(gradient.mul_(self.learning_rate), observe)
        self._loss.copy_(loss)


class TrainingRun:
    """The course of a stack's training: the networks, and what has been measured on them so far."""

    def __init__(
        self, settings: Sequence[TrainingSettings], seeds: Sequence[int], dataset: Dataset, device: torch.device
    ) -> None:
        self._settings = common = common_settings(settings)
        self._seeds = seeds
        self._training = Training(settings, seeds, dataset.train, device)
        self._validation = preprocess(common, dataset.validation).to(device)
        self._looked_at = training_subset(common, dataset.train).first(len(self._validation)).to(device)
        self._test = dataset.test
        self._device = device
        self._training_loss: list[Tensor] = []  # of the mini-batches so far, each (some steps, runs)
        self._log: dict[str, list[Tensor]] = {}  # what every evaluation found, by name, each (runs, ...)
        self.steps_done = 0

    @property
    def is_finished(self) -> bool:
        """Whether the last step is done."""
        return self.steps_done == self._settings.steps

    def advance(self, on_evaluation: OnEvaluation) -> None:
        """Train up to the next evaluation, which is made, but no more than STEPS_AT_ONCE steps."""
        interval = self._settings.evaluation_interval
        evaluated = -(-self.steps_done // interval) * interval + 1
        end = min(self.steps_done + STEPS_AT_ONCE, evaluated, self._settings.steps)
        self._training_loss.append(self._training.advance(end - self.steps_done))
        self.steps_done = end
        if end == evaluated:
            for name, value in self._evaluate().items():
                self._log.setdefault(name, []).append(value)
            self._report(on_evaluation)

    def _evaluate(self) -> dict[str, Tensor]:
        network, settings = self._training.network, self._settings
        values = dict(zip(("accuracy", "loss"), evaluate(network, self._validation), strict=True))
        if settings.evaluate_training:
            values |= zip(TRAINING_SET, evaluate(network, self._looked_at), strict=True)
        if settings.diagnostics:
            values |= diagnose(network, self._training.learning_rate, settings, self._looked_at, self._validation)
        return values

    def _report(self, on_evaluation: OnEvaluation) -> None:
        steps, accuracies = self._settings.evaluated_steps, self._log["accuracy"]
        if len(accuracies) > 1:  # One behind: a GPU need not be waited for while it has the next steps to do.
            on_evaluation(steps[len(accuracies) - 2], accuracies[-2])
        if len(accuracies) == len(steps):
            on_evaluation(steps[-1], accuracies[-1])

    def state(self) -> Arrays:
        """Everything that decides the steps to come, and what has been measured, by name; not all are copies."""
        measured = {LOG + name: torch.stack(values).cpu().numpy() for name, values in self._log.items()}
        return {**self._training.state(), "training_loss": torch.cat(self._training_loss).cpu().numpy(), **measured}

    def restore(self, state: Arrays) -> None:
        """Bring back what `state` returned."""
        self._training.restore(state)
        self._training_loss = [torch.from_numpy(state["training_loss"]).to(self._device)]
        measured = _part(state, LOG).items()
        self._log = {name: list(torch.from_numpy(array).to(self._device)) for name, array in measured}
        self.steps_done = len(state["training_loss"])

    def curves(self) -> Curves:
        """Measure the networks on the test images and return all that was measured."""
        test_accuracy, test_loss = evaluate(
            self._training.network, preprocess(self._settings, self._test).to(self._device)
        )
        state = self._training.network.state().values()
        runs = len(self._seeds)
        finite = torch.stack([torch.isfinite(tensor).view(runs, -1).all(dim=1) for tensor in state]).all(dim=0)
        measured = {name: torch.stack(values, dim=1).cpu().numpy() for name, values in self._log.items()}
        return Curves(
            seeds=np.array(self._seeds, dtype=np.int64),
            steps=np.array(self._settings.evaluated_steps, dtype=np.int64),
            training_loss=torch.cat(self._training_loss).T.contiguous().cpu().numpy(),
            test_accuracy=test_accuracy.cpu().numpy(),
            test_loss=test_loss.cpu().numpy(),
            finite_weights=finite.to(torch.uint8).cpu().numpy(),
            accuracy=measured.pop("accuracy"),
            loss=measured.pop("loss"),
            training_set_accuracy=measured.pop("training_set_accuracy", None),
            training_set_loss=measured.pop("training_set_loss", None),
            diagnostics=measured,
        )


def _on_all(on_evaluation: OnEvaluation, settings: Sequence[TrainingSettings], stack: slice) -> OnEvaluation:
    """Turn the steps of a stack into those of all runs: the stacks before it took all of theirs, those behind none."""
    steps, own = settings[0].steps, stack.stop - stack.start

    def report(step: int, accuracy: Tensor) -> None:
        taken = stack.start * steps + own * (step + 1)
        on_evaluation(-(-taken // len(settings)) - 1, accuracy)

    return report


def _train(course: TrainingRun, on_evaluation: OnEvaluation, checkpoints: Checkpoints | None, runs: slice) -> None:
    """Take a stack from where it stood last to its last step; runs: its place among the runs of the job."""
    if checkpoints:
        _take_up(course, checkpoints, runs)
    while not course.is_finished:
        course.advance(on_evaluation)
        if checkpoints:
            checkpoints.keep(runs, course.state)


def _take_up(course: TrainingRun, checkpoints: Checkpoints, runs: slice) -> None:
    state = checkpoints.read(runs)
    if state is not None:
        course.restore(state)
        log.info("%s: going on after %d steps", checkpoints.path(runs), course.steps_done)


def _part(state: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


def preprocess(settings: TrainingSettings, images: Images) -> Images:
    """Return the images as networks see them."""
    return images.binarized() if settings.binarize else images


def training_subset(settings: TrainingSettings, images: Images) -> Images:
    """Return those of the training images that networks are trained on, as they see them."""
    return preprocess(settings, images).first(settings.training_images)


def build_network(
    settings: TrainingSettings | Sequence[TrainingSettings],
    streams: Sequence[np.random.RandomState],
    device: torch.device = CPU,
) -> StackedNetwork:
    """Draw the weights of one network from each stream and stack them.

    settings: of all runs alike, or one for each, see `bnpipe.core.settings.common_settings`.
    """
    each = of_each_run(settings, len(streams))
    common = common_settings(each)
    drawn = [initial_weights(stream, run.layer_sizes, run.init_std) for stream, run in zip(streams, each, strict=True)]
    # Into memory of PyTorch's, which begins at a multiple of 64 bytes: products on NumPy's take up to a quarter more.
    stacked = [torch.stack([torch.from_numpy(run) for run in layer]) for layer in zip(*drawn, strict=True)]
    weights = [layer.to(device, PRECISIONS[common.precision]) for layer in stacked]
    return StackedNetwork(weights, *transforms_of(weights, common), weights_learn=common.trained == "all")


def evaluate(network: StackedNetwork, images: Images) -> tuple[Tensor, Tensor]:
    """Accuracy and mean cross-entropy of every run in inference mode, each (runs,), float64."""
    correct = loss = torch.zeros((), dtype=torch.float64, device=images.labels.device)
    for pixels, labels in images.chunks(EVALUATION_ROWS, network.precision):
        logits = network.infer(pixels)  # (rows, runs, classes)
        hits = logits.argmax(dim=2) == labels.unsqueeze(1)
        picked = labels.view(-1, 1, 1).expand(-1, logits.shape[1], 1)
        log_probabilities = log_softmax(logits).gather(2, picked).squeeze(2)  # of the true classes
        correct = correct + hits.sum(dim=0)
        loss = loss - log_probabilities.T.contiguous().sum(dim=1, dtype=torch.float64)
    return correct / len(images), loss / len(images)
