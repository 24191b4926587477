"""Train the runs of a job: in stacks, evaluated on the way."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.records import TRAINING_SET, Arrays, Curves, join
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Dataset
from bnpipe.training.checkpoints import Checkpoints
from bnpipe.training.engines import Engine, engine_on_cpu
from bnpipe.training.trainer import (
    STEPS_AT_ONCE,
    OnEvaluation,
    network_arithmetic,
    on_all,
    part_of,
    preprocess,
    training_subset,
)

LOG, END = "log.", "end."  # prefixes of what evaluations found and how runs ended, in the state of a training run
WEIGHTS = "weights."  # prefix of the trained weights, in how runs ended

log = logging.getLogger(__name__)


def train_runs(
    runs: Runs,
    dataset: Dataset,
    on_evaluation: OnEvaluation = lambda *_: None,
    engine: Engine | None = None,
    checkpoints: Checkpoints | None = None,
) -> Curves:
    """Train one network for each run and return their curves.

    engine: None for the engine that trains these settings on a CPU. The engine decides how many networks make a stack;
    stacks are trained one after the other. ``on_evaluation(step, accuracy)`` is called after each evaluation with the
    accuracies (runs,) of the stack, and the step that the runs have reached on average over all stacks. checkpoints:
    where the state of the training is kept; if there is a state already, training resumes from it. A diverged run keeps
    training; its accuracy is whatever argmax returns. A run that reaches ``stop_at_accuracy`` stops, and its
    measurements end there. Raises InputError if a mini-batch needs more images than there are.
    """
    engine = engine or engine_on_cpu(runs.settings)
    with network_arithmetic():
        size = engine.most_runs(runs.settings, dataset.train.shape, len(runs))
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
        self._ends: dict[str, NDArray[Any]] = {  # of each run, (runs, ...), once it has stopped
            "steps_taken": np.zeros(len(runs), np.int64),
            "test_accuracy": np.zeros(len(runs)),
            "test_loss": np.zeros(len(runs)),
            "finite_weights": np.zeros(len(runs), np.uint8),
        }
        self.steps_done = 0

    @property
    def is_finished(self) -> bool:
        """Whether all runs have stopped."""
        return bool(self._ends["steps_taken"].all())

    def advance(self, on_evaluation: OnEvaluation) -> None:
        """Train up to the next evaluation, and evaluate, but take at most STEPS_AT_ONCE steps."""
        settings = self._runs.settings
        evaluated = -(-self.steps_done // settings.evaluation_interval) * settings.evaluation_interval + 1
        end = min(self.steps_done + STEPS_AT_ONCE, evaluated, settings.steps)
        self._training_loss.append(self._stack.advance(end - self.steps_done))
        self.steps_done = end
        if end == evaluated:
            for name, value in self._evaluate().items():
                self._log.setdefault(name, []).append(value)
            accuracy = self._log["accuracy"][-1]
            on_evaluation(end - 1, accuracy)
            if settings.stop_at_accuracy is not None:
                self._stop(accuracy >= settings.stop_at_accuracy)
        if end == settings.steps:
            self._stop(np.full(len(self._runs), True))

    def _stop(self, runs: NDArray[np.bool]) -> None:
        """Stop some runs: take the last measurements of those that have not stopped yet.

        runs: (runs,), whether to stop each. The runs of a stack keep training until all of them have stopped, so each
        is measured when it stops.
        """
        now = runs & (self._ends["steps_taken"] == 0)
        if now.any():
            accuracy, loss = self._stack.evaluate(self._test)
            ends = {"test_accuracy": accuracy, "test_loss": loss, "finite_weights": self._stack.finite()}
            if self._runs.settings.keep_weights:
                ends |= {WEIGHTS + name: array for name, array in self._stack.weights().items()}
            for name, values in ends.items():
                self._ends.setdefault(name, np.zeros_like(values))[now] = values[now]
            self._ends["steps_taken"][now] = self.steps_done

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
        ends = {END + name: values for name, values in self._ends.items()}
        return {**self._stack.state(), "training_loss": np.concatenate(self._training_loss), **measured, **ends}

    def restore(self, state: Arrays) -> None:
        """Restore what `state` returned."""
        self._stack.restore(state)
        self._training_loss = [state["training_loss"]]
        self._log = {name: list(array) for name, array in part_of(state, LOG).items()}
        self._ends = {name: array.copy() for name, array in part_of(state, END).items()}
        self.steps_done = len(state["training_loss"])

    def curves(self) -> Curves:
        """Return all that was measured, after all runs have stopped."""
        settings, taken = self._runs.settings, self._ends["steps_taken"]
        evaluations = -(-taken // settings.evaluation_interval)
        measured = {
            name: _ending(np.stack(values, axis=1), evaluations, len(settings.evaluated_steps))
            for name, values in self._log.items()
        }
        return Curves(
            seeds=np.array(self._runs.seeds, dtype=np.int64),
            steps=np.array(settings.evaluated_steps, dtype=np.int64),
            training_loss=_ending(np.concatenate(self._training_loss).T, taken, settings.steps),
            test_accuracy=self._ends["test_accuracy"],
            test_loss=self._ends["test_loss"],
            finite_weights=self._ends["finite_weights"],
            stopped_after=None if settings.stop_at_accuracy is None else taken,
            accuracy=measured.pop("accuracy"),
            loss=measured.pop("loss"),
            training_set_accuracy=measured.pop("training_set_accuracy", None),
            training_set_loss=measured.pop("training_set_loss", None),
            diagnostics=measured,
            weights=part_of(self._ends, WEIGHTS),
        )


def _ending(values: NDArray[Any], lengths: NDArray[np.int64], length: int) -> NDArray[Any]:
    """Return what was measured along a training, (runs, times, ...), with ``length`` times.

    lengths: (runs,), at how many times each run was still training; later values are nan.
    """
    ending = np.full((len(values), length, *values.shape[2:]), np.nan, values.dtype)
    for run, own in enumerate(lengths):
        ending[run, :own] = values[run, :own]
    return ending


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
