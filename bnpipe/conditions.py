"""From a configuration to the grid of work: which stacks of runs there are, and what each is trained with."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from bnpipe.config import Condition, Configuration
from bnpipe.settings import Arm, TrainingSettings


@dataclass(frozen=True)
class Stack:
    """The unit of work: the runs of one condition and arm whose seeds share a chunk."""

    condition: str
    arm: Arm
    seeds: tuple[int, ...]

    @property
    def chunk(self) -> str:
        """Name of the chunk: its seeds, as far as a file name holds them, so that other seeds are another file."""
        first, last = self.seeds[0], self.seeds[-1]
        if self.seeds == tuple(range(first, last + 1)):
            return f"{first}-{last}"
        return f"{first}-{last}-{sha256(repr(self.seeds).encode()).hexdigest()[:12]}"


def stacks(configuration: Configuration) -> Iterator[Stack]:
    """Go through all stacks of a configuration: by condition, then arm, then chunk of seeds."""
    # A GPU is only filled by many runs; how many of them fit is for the job to see.
    size = configuration.chunk_size if configuration.device == "cpu" else len(configuration.seeds)
    chunks = [configuration.seeds[i : i + size] for i in range(0, len(configuration.seeds), size)]
    for condition in configuration.conditions:
        for arm in configuration.arms:
            for seeds in chunks:
                yield Stack(condition, arm, seeds)


def training_settings(configuration: Configuration, condition: str, arm: Arm) -> TrainingSettings:
    """Collect what the runs of one condition and arm are trained with."""
    experiment = configuration.conditions[condition]
    normalization = configuration.normalization
    return TrainingSettings(
        arm=arm,
        activation=experiment.activation,
        learning_rate=experiment.learning_rate,
        init_std=experiment.init_std,
        steps=experiment.steps,
        hidden_sizes=configuration.hidden_sizes,
        batch_size=configuration.batch_size,
        evaluation_interval=configuration.evaluation_interval,
        epsilon=normalization.epsilon,
        moving_average_weight=normalization.moving_average_weight,
        moving_variance=normalization.moving_variance,
    )


def describe(condition: Condition) -> str:
    """Describe a condition in a line, as figures show it under its name."""
    return f"{condition.activation}, learning rate {condition.learning_rate:g}, init std {condition.init_std:g}"


def shareable(configuration: Configuration, dataset: str) -> dict[str, Any]:
    """Return a configuration as plain values, the way a reader would write it again, without paths of one machine.

    dataset: name that stands for the data set, whose folder may be another elsewhere.
    """
    return {**configuration.model_dump(mode="json", exclude={"mirrors"}), "dataset": dataset}
