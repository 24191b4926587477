"""Train the runs of a job: in stacks, evaluated on the way."""

import logging

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.records import TRAINING_SET, Arrays, Curves, join
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Dataset
from bnpipe.training.checkpoints import Checkpoints
from bnpipe.training.engines import COMPILED, Engine
from bnpipe.training.trainer import (
    STEPS_AT_ONCE,
    OnEvaluation,
    network_arithmetic,
    on_all,
    part_of,
    preprocess,
    training_subset,
)

LOG = "log."  # prefix of what evaluations found, in the state of a training run

log = logging.getLogger(__name__)


def train_runs(
    runs: Runs,
    dataset: Dataset,
    on_evaluation: OnEvaluation = lambda *_: None,
    engine: Engine = COMPILED,
    checkpoints: Checkpoints | None = None,
) -> Curves:
    """Train one network for each run and return their curves.

    engine: what trains. It says how many networks make a stack; stacks are trained one after the other.
    ``on_evaluation(step, accuracy)`` is called after each evaluation with the accuracies (runs,) of the stack, and the
    step that the runs have reached on average over all stacks. checkpoints: where the state of the training is kept; if
    there is a state already, training resumes from it. A diverged run keeps training; its accuracy is whatever argmax
    returns. Raises InputError if a mini-batch needs more images than there are.
    """
    with network_arithmetic():
        size = engine.most_runs(runs.settings, len(runs))
        stacks = [slice(first, min(first + size, len(runs))) for first in range(0, len(runs), size)]
        parts = []
        for stack in stacks:
            training_run = TrainingRun(runs[stack], dataset, engine)
            _train(training_run, on_all(on_evaluation, runs, stack), checkpoints, stack)
            parts.append(training_run.curves())
            if checkpoints and stack.stop < len(runs):  # a resumed job must not train finished stacks again either
                checkpoints.finish(stack, training_run.state())
        return join(parts)


class TrainingRun:
    """One stack on its way from the first step to the last: the networks, and what has been measured on them so far."""

    def __init__(self, runs: Runs, dataset: Dataset, engine: Engine) -> None:
        settings = runs.settings
        self._runs = runs
        self._stack = engine.start(runs, dataset.train)
        self._validation, self._test = (preprocess(settings, images) for images in (dataset.validation, dataset.test))
        self._evaluated_training = training_subset(settings, dataset.train).first(len(self._validation))
        self._training_loss: list[NDArray[np.floating]] = []  # of the mini-batches so far, each (some steps, runs)
        self._log: dict[str, list[NDArray[np.floating]]] = {}  # what every evaluation found, by name, each (runs, ...)
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
        self._training_loss.append(self._stack.advance(end - self.steps_done))
        self.steps_done = end
        if end == evaluated:
            for name, value in self._evaluate().items():
                self._log.setdefault(name, []).append(value)
            on_evaluation(end - 1, self._log["accuracy"][-1])

    def _evaluate(self) -> Arrays:
        settings = self._runs.settings
        values = dict(zip(("accuracy", "loss"), self._stack.evaluate(self._validation), strict=True))
        if settings.evaluate_training:
            values |= zip(TRAINING_SET, self._stack.evaluate(self._evaluated_training), strict=True)
        if settings.diagnostics:
            values |= self._stack.diagnose(self._evaluated_training, self._validation)
        return values

    def state(self) -> Arrays:
        """Return everything that decides the next steps, and what has been measured; not all arrays are copies."""
        measured = {LOG + name: np.stack(values) for name, values in self._log.items()}
        return {**self._stack.state(), "training_loss": np.concatenate(self._training_loss), **measured}

    def restore(self, state: Arrays) -> None:
        """Restore what `state` returned."""
        self._stack.restore(state)
        self._training_loss = [state["training_loss"]]
        self._log = {name: list(array) for name, array in part_of(state, LOG).items()}
        self.steps_done = len(state["training_loss"])

    def curves(self) -> Curves:
        """Evaluate the networks on the test images and return all that was measured."""
        test_accuracy, test_loss = self._stack.evaluate(self._test)
        measured = {name: np.stack(values, axis=1) for name, values in self._log.items()}
        return Curves(
            seeds=np.array(self._runs.seeds, dtype=np.int64),
            steps=np.array(self._runs.settings.evaluated_steps, dtype=np.int64),
            training_loss=np.ascontiguousarray(np.concatenate(self._training_loss).T),
            test_accuracy=test_accuracy,
            test_loss=test_loss,
            finite_weights=self._stack.finite().astype(np.uint8),
            accuracy=measured.pop("accuracy"),
            loss=measured.pop("loss"),
            training_set_accuracy=measured.pop("training_set_accuracy", None),
            training_set_loss=measured.pop("training_set_loss", None),
            diagnostics=measured,
        )


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
