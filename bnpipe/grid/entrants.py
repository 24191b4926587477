"""The networks of the fair comparison: each is tuned by itself, and all are tuned by the same protocol."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bnpipe.core.settings import THRESHOLD, Arm
from bnpipe.grid.config import Condition, Configuration
from bnpipe.grid.stacks import first_of_each_activation, training_settings

TRIAL_INTERVAL = 30  # steps between the evaluations of a trial: one of 5,000 images costs as much as 28 steps
FITTING_INIT = {"tanh": "xavier", "sigmoid": "xavier", "relu": "he"}  # the usual remedy without normalization
LARGE_STD = 1.0  # the tutorial's bad initialization


def entrants(configuration: Configuration) -> dict[str, dict[str, Any]]:
    """Return what each network is tuned with, but for its learning rate, as plain values, by name.

    Under the first condition of each nonlinearity these are the pair, vanilla with the initialization that is made for
    the nonlinearity, and under a nonlinearity that saturates batchnorm from large weights. They stop once they have
    passed 90%.
    """
    if configuration.best_rate is None:
        return {}
    return {
        name: asdict(training_settings(configuration, condition, arm))
        for _, first in first_of_each_activation(configuration)
        for name, condition, arm in _networks(first, configuration.best_rate.steps)
    }


def _networks(first: Condition, steps: int) -> Iterator[tuple[str, Condition, Arm]]:
    """Go through the networks under a condition: name, condition, arm."""
    trial = first.model_copy(
        update={
            "steps": steps,
            "evaluation_interval": TRIAL_INTERVAL,
            "stop_at_accuracy": THRESHOLD,
            "evaluate_training": False,
        }
    )
    for arm in ("vanilla", "batchnorm"):
        yield f"{first.activation}-{arm}", trial, arm
    fitting = FITTING_INIT[first.activation]
    yield f"{first.activation}-vanilla-{fitting}", trial.model_copy(update={"init_std": fitting}), "vanilla"
    if first.activation != "relu":
        yield f"{first.activation}-batchnorm-1", trial.model_copy(update={"init_std": LARGE_STD}), "batchnorm"
