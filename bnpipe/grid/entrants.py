"""The networks of the fair comparison: each is tuned by itself, and all are tuned by the same protocol."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, get_args

from bnpipe.core.settings import THRESHOLD, Arm, BuiltInOptimizer
from bnpipe.grid.conditions import Condition
from bnpipe.grid.config import Configuration
from bnpipe.grid.stacks import first_of_each_activation, training_settings

TRIAL_INTERVAL = 30  # steps between the evaluations of a trial; evaluating 5,000 images costs as much as 28 steps
FITTING_INIT = {"tanh": "xavier", "sigmoid": "xavier", "relu": "he"}  # the usual remedy without normalization
PAIR: list[Arm] = ["vanilla", "batchnorm"]  # compared by the experiments that are not grids of conditions
LARGE_STD = 1.0  # the tutorial's bad initialization


@dataclass(frozen=True)
class Entrant:
    """A network of the fair comparison."""

    trial: dict[str, Any]  # the settings it is tuned with, except the learning rate, as plain values
    steps: int  # that it takes at its best rate, as many as its condition has
    in_preview: bool  # whether it takes part in the coarser trials of the default target


def entrants(configuration: Configuration) -> dict[str, Entrant]:
    """Return the networks of the fair comparison, by name.

    For the first condition of each nonlinearity these are the pair, vanilla with the initialization that was made for
    the nonlinearity and, if the nonlinearity saturates, batchnorm from large weights. A trial stops once the network
    has passed 90%.
    """
    if configuration.best_rate is None:
        return {}
    steps = configuration.best_rate.steps
    return {
        name: Entrant(asdict(training_settings(configuration, trial, arm)), first.steps, in_preview)
        for _, first in first_of_each_activation(configuration)
        for name, trial, arm, in_preview in _networks(first, steps)
    }


def optimizer_entrants(configuration: Configuration) -> dict[str, Entrant]:
    """Return the networks of the study of optimizers, by name: each pair under each optimizer.

    The pairs are those of the first condition of each nonlinearity. Layers are not measured, because that takes long in
    networks that are not compiled.
    """
    if configuration.optimizers is None:
        return {}
    networks = {}
    for _, first in first_of_each_activation(configuration):
        for optimizer, arm in product(get_args(BuiltInOptimizer), PAIR):
            trial = _trial(first, configuration.optimizers.steps).model_copy(update={"optimizer": optimizer})
            settings = asdict(training_settings(configuration, trial, arm))
            networks[f"{first.activation}-{optimizer}-{arm}"] = Entrant(
                {**settings, "diagnostics": False}, first.steps, False
            )
    return networks


def _trial(first: Condition, steps: int) -> Condition:
    """Return the condition of a trial of this many steps."""
    return first.model_copy(
        update={
            "steps": steps,
            "evaluation_interval": TRIAL_INTERVAL,
            "stop_at_accuracy": THRESHOLD,
            "evaluate_training": False,
        }
    )


def _networks(first: Condition, steps: int) -> Iterator[tuple[str, Condition, Arm, bool]]:
    """Yield the networks under a condition: name, condition of a trial, arm, whether it is in the preview."""
    trial = _trial(first, steps)
    for arm in PAIR:
        yield f"{first.activation}-{arm}", trial, arm, True
    fitting = FITTING_INIT[first.activation]
    yield f"{first.activation}-vanilla-{fitting}", trial.model_copy(update={"init_std": fitting}), "vanilla", True
    if first.activation != "relu":
        large = trial.model_copy(update={"init_std": LARGE_STD})
        yield f"{first.activation}-batchnorm-1", large, "batchnorm", False
