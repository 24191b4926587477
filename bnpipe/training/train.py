"""Train the runs of a job: as stacks, side by side on one device, evaluated on the way."""

import logging
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from bnpipe.core.records import TRAINING_SET, Arrays, Curves, join
from bnpipe.core.settings import Runs, TrainingSettings
from bnpipe.data.packed import Dataset
from bnpipe.networks.kernels import network_arithmetic
from bnpipe.training.checkpoints import Checkpoints
from bnpipe.training.devices import free_memory
from bnpipe.training.diagnostics import diagnose
from bnpipe.training.trainer import (
    CPU,
    EVALUATION_ROWS,
    STEPS_AT_ONCE,
    OnEvaluation,
    Training,
    evaluate,
    part_of,
    preprocess,
    training_subset,
)

STACK_MEMORY = 150_000_000  # bytes of a stack on a CPU: in one of 1.1 GB a run took a third longer
LOG = "log."  # prefix of what evaluations found, in the state of a training run

log = logging.getLogger(__name__)


def train_stack(
    runs: Runs,
    dataset: Dataset,
    on_evaluation: OnEvaluation = lambda *_: None,
    device: torch.device = CPU,
    checkpoints: Checkpoints | None = None,
) -> Curves:
    """Train one network for each run, side by side, and return their curves.

    If the runs are too many for one stack, several stacks are trained, one after the other.
    ``on_evaluation(step, accuracy)`` is called after each evaluation with the accuracies (runs,) of the stack, and the
    step that the runs have reached on average over all stacks. checkpoints: where the state of the training is kept; if
    there is a state already, training resumes from it. A diverged run keeps training; its accuracy is whatever argmax
    returns. Raises InputError if a mini-batch needs more images than there are.
    """
    with network_arithmetic():
        size = most_runs(runs.settings, device, len(runs))
        stacks = [slice(first, min(first + size, len(runs))) for first in range(0, len(runs), size)]
        parts = []
        for stack in stacks:
            training_run = TrainingRun(runs[stack], dataset, device)
            _train(training_run, _on_all(on_evaluation, runs, stack), checkpoints, stack)
            parts.append(training_run.curves())
            if checkpoints and len(stacks) > 1:  # A resumed job must not train finished stacks again either.
                checkpoints.write(stack, training_run.state())
        return join(parts)


def most_runs(settings: TrainingSettings, device: torch.device, wanted: int) -> int:
    """Return how many of the wanted runs to train side by side."""
    on_cpu = device.type == "cpu"
    if on_cpu and min(settings.layer_sizes) == 1:
        return 1  # Matrices become vectors, and the rounding of their sums depends on the number of runs.
    room = STACK_MEMORY if on_cpu else int(0.8 * free_memory(device))
    parts = min(wanted, -(-wanted * memory_of_a_run(settings) // room))
    return -(-wanted // parts)


def memory_of_a_run(settings: TrainingSettings) -> int:
    """Estimate the bytes that one more run in a stack takes during training and evaluation."""
    sizes = settings.layer_sizes
    weights = 2 * sum(fan_in * fan_out for fan_in, fan_out in pairwise(sizes))  # with a copy for the graph's capture
    activations = 4 * settings.batch_size * sum(sizes)  # inputs, products, normalized ones, gradients
    evaluation = 4 * EVALUATION_ROWS * max(sizes[1:])
    bytes_of_a_number = 8 if settings.precision == "float64" else 4
    return bytes_of_a_number * (weights + activations + evaluation)


class TrainingRun:
    """One stack on its way from the first step to the last: the networks, and what has been measured on them so far."""

    def __init__(self, runs: Runs, dataset: Dataset, device: torch.device) -> None:
        self._runs = runs
        self._training = Training(runs, dataset.train, device)
        self._validation = preprocess(runs.settings, dataset.validation).to(device)
        self._evaluated_training = training_subset(runs.settings, dataset.train).first(len(self._validation)).to(device)
        self._test = dataset.test
        self._device = device
        self._training_loss: list[Tensor] = []  # of the mini-batches so far, each (some steps, runs)
        self._log: dict[str, list[Tensor]] = {}  # what every evaluation found, by name, each (runs, ...)
        self.steps_done = 0

    @property
    def is_finished(self) -> bool:
        """Whether the last step is done."""
        return self.steps_done == self._runs.settings.steps

    def advance(self, on_evaluation: OnEvaluation) -> None:
        """Train up to the next evaluation and make it, but take at most STEPS_AT_ONCE steps."""
        interval = self._runs.settings.evaluation_interval
        evaluated = -(-self.steps_done // interval) * interval + 1
        end = min(self.steps_done + STEPS_AT_ONCE, evaluated, self._runs.settings.steps)
        self._training_loss.append(self._training.advance(end - self.steps_done))
        self.steps_done = end
        if end == evaluated:
            for name, value in self._evaluate().items():
                self._log.setdefault(name, []).append(value)
            self._report(on_evaluation)

    def _evaluate(self) -> dict[str, Tensor]:
        network, settings = self._training.network, self._runs.settings
        values = dict(zip(("accuracy", "loss"), evaluate(network, self._validation), strict=True))
        if settings.evaluate_training:
            values |= zip(TRAINING_SET, evaluate(network, self._evaluated_training), strict=True)
        if settings.diagnostics:
            values |= diagnose(
                network, self._training.learning_rate, settings, self._evaluated_training, self._validation
            )
        return values

    def _report(self, on_evaluation: OnEvaluation) -> None:
        steps, accuracies = self._runs.settings.evaluated_steps, self._log["accuracy"]
        if len(accuracies) > 1:  # One behind: then nobody waits for a GPU that still has steps to do.
            on_evaluation(steps[len(accuracies) - 2], accuracies[-2])
        if len(accuracies) == len(steps):
            on_evaluation(steps[-1], accuracies[-1])

    def state(self) -> Arrays:
        """Return everything that decides the next steps, and what has been measured; not all arrays are copies."""
        measured = {LOG + name: torch.stack(values).cpu().numpy() for name, values in self._log.items()}
        return {**self._training.state(), "training_loss": torch.cat(self._training_loss).cpu().numpy(), **measured}

    def restore(self, state: Arrays) -> None:
        """Restore what `state` returned."""
        self._training.restore(state)
        self._training_loss = [torch.from_numpy(state["training_loss"]).to(self._device)]
        measured = part_of(state, LOG).items()
        self._log = {name: list(torch.from_numpy(array).to(self._device)) for name, array in measured}
        self.steps_done = len(state["training_loss"])

    def curves(self) -> Curves:
        """Evaluate the networks on the test images and return all that was measured."""
        test_images = preprocess(self._runs.settings, self._test).to(self._device)
        test_accuracy, test_loss = evaluate(self._training.network, test_images)
        state = self._training.network.state().values()
        finite = torch.stack([torch.isfinite(tensor).view(len(self._runs), -1).all(dim=1) for tensor in state])
        measured = {name: torch.stack(values, dim=1).cpu().numpy() for name, values in self._log.items()}
        return Curves(
            seeds=np.array(self._runs.seeds, dtype=np.int64),
            steps=np.array(self._runs.settings.evaluated_steps, dtype=np.int64),
            training_loss=torch.cat(self._training_loss).T.contiguous().cpu().numpy(),
            test_accuracy=test_accuracy.cpu().numpy(),
            test_loss=test_loss.cpu().numpy(),
            finite_weights=finite.all(dim=0).to(torch.uint8).cpu().numpy(),
            accuracy=measured.pop("accuracy"),
            loss=measured.pop("loss"),
            training_set_accuracy=measured.pop("training_set_accuracy", None),
            training_set_loss=measured.pop("training_set_loss", None),
            diagnostics=measured,
        )


def _on_all(on_evaluation: OnEvaluation, runs: Runs, stack: slice) -> OnEvaluation:
    """Turn the steps of a stack into those of all runs: earlier stacks have taken all their steps, later ones none."""
    steps, own = runs.settings.steps, stack.stop - stack.start

    def report(step: int, accuracy: Tensor) -> None:
        taken = stack.start * steps + own * (step + 1)
        on_evaluation(-(-taken // len(runs)) - 1, accuracy)

    return report


def _train(
    training_run: TrainingRun, on_evaluation: OnEvaluation, checkpoints: Checkpoints | None, stack: slice
) -> None:
    """Take a stack from its last checkpoint to its last step; stack: its place among the runs of the job."""
    if checkpoints:
        _resume(training_run, checkpoints, stack)
    while not training_run.is_finished:
        training_run.advance(on_evaluation)
        if checkpoints:
            checkpoints.keep(stack, training_run.state)


def _resume(training_run: TrainingRun, checkpoints: Checkpoints, stack: slice) -> None:
    state = checkpoints.read(stack)
    if state is not None:
        training_run.restore(state)
        log.info("%s: resuming after %d steps", checkpoints.path(stack), training_run.steps_done)
