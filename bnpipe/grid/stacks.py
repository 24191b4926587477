"""From a configuration to the grid of work: which stacks of runs there are, and what each is trained with."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from bnpipe.core.errors import InputError
from bnpipe.core.settings import CLASSES, Arm, InitScheme, TrainingSettings
from bnpipe.grid.config import Condition, Configuration, Study

MIN_GROUP_FEATURES = 4  # of a group: two are always +1 and -1 once normalized, and pass no gradient on
STUDY_RUNS = 30  # of a study in one job on the CPU: enough to be worth its start, few enough to use all cores


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


@dataclass(frozen=True)
class StudyStack:
    """The unit of work of a study: runs of one arm whose arrays have the same shapes, each with its own settings."""

    study: str
    arm: Arm
    settings: TrainingSettings  # what its runs share, with the learning rate and the initialization of the first
    learning_rates: tuple[float, ...]  # of each run
    init_stds: tuple[float | InitScheme, ...]  # of each run
    seeds: tuple[int, ...]  # of each run

    @property
    def name(self) -> str:
        """Name of the stack: its arm and what it is trained with, so that other settings are another file."""
        trained_with = (self.settings, self.learning_rates, self.init_stds, self.seeds)
        return f"{self.arm}-{sha256(repr(trained_with).encode()).hexdigest()[:12]}"


def study_stacks(configuration: Configuration, name: str) -> Iterator[StudyStack]:
    """Go through the stacks of a study: by arm, then by what may not differ within a stack, then by seed."""
    study = configuration.studies[name]
    seeds = configuration.seeds[: study.seeds]
    for arm in study.arms or configuration.arms:
        for group in _trainable_together(study.cells):
            shared = training_settings(configuration, group[0], arm)
            # Of each run, seed by seed.
            rates = [cell.learning_rate for cell in group] * len(seeds)
            stds = [cell.init_std for cell in group] * len(seeds)
            own_seeds = [seed for seed in seeds for _ in group]
            size = configuration.runs_per_job or (STUDY_RUNS if configuration.device == "cpu" else len(own_seeds))
            for first in range(0, len(own_seeds), size):
                job = slice(first, first + size)
                settings = replace(shared, learning_rate=rates[first], init_std=stds[first])
                yield StudyStack(name, arm, settings, tuple(rates[job]), tuple(stds[job]), tuple(own_seeds[job]))


def _trainable_together(cells: Iterable[Condition]) -> Iterable[list[Condition]]:
    """Group the conditions that differ in what may differ within a stack alone, in the order of the first of each."""
    groups: dict[tuple[Any, ...], list[Condition]] = {}
    for cell in cells:
        shared = tuple(value for name, value in cell if name not in ("learning_rate", "init_std"))
        groups.setdefault(shared, []).append(cell)
    return groups.values()


def training_settings(configuration: Configuration, condition: Condition, arm: Arm) -> TrainingSettings:
    """Collect what the runs of one condition and arm are trained with."""
    own = {name: value for name, value in condition if value is not None}
    shared = {name: getattr(configuration, name) for name in ("hidden_sizes", "batch_size", "evaluation_interval")}
    normalization = dict(configuration.normalization)
    return TrainingSettings(arm=arm, diagnostics=configuration.diagnostics, **{**normalization, **shared, **own})


def check_widths(configuration: Configuration) -> None:
    """Raise InputError if group normalization cannot divide a layer into groups of at least MIN_GROUP_FEATURES."""
    groups = configuration.normalization.groups
    for where, arms, condition in _conditions(configuration):
        widths = {*(condition.hidden_sizes or configuration.hidden_sizes), *([CLASSES] * condition.normalize_logits)}
        if "groupnorm" in arms and any(width % groups or width < MIN_GROUP_FEATURES * groups for width in widths):
            raise InputError(
                f"normalization.groups: expected a number that divides every normalized layer of {where} "
                f"({', '.join(map(str, sorted(widths)))} units) into groups of at least {MIN_GROUP_FEATURES}, "
                f"got {groups}; change it, or set normalize_logits: false to leave the logits out"
            )


def first_of_each_activation(configuration: Configuration) -> list[tuple[str, Condition]]:
    """Return the first condition of each nonlinearity, with its name, in their order."""
    first: dict[str, tuple[str, Condition]] = {}
    for name, condition in configuration.conditions.items():
        first.setdefault(condition.activation, (name, condition))
    return list(first.values())


def largest_batch(configuration: Configuration) -> int:
    """Return the largest mini-batch that any run is trained on."""
    return max(condition.batch_size or configuration.batch_size for _, _, condition in _conditions(configuration))


def _conditions(configuration: Configuration) -> Iterator[tuple[str, tuple[Arm, ...], Condition]]:
    """Go through all conditions, those of studies too: where each stands, its arms, itself."""
    for name, condition in configuration.conditions.items():
        yield f"conditions.{name}", configuration.arms, condition
    for name, study in configuration.studies.items():
        for condition in study.cells:
            yield f"studies.{name}", study.arms or configuration.arms, condition
    if configuration.paper:
        yield "paper", ("vanilla", "batchnorm"), configuration.paper.condition


def describe(condition: Condition, but: Container[str] = ()) -> str:
    """Describe a condition in a line, as figures show it under its name; but: keys to leave out."""
    std = condition.init_std if isinstance(condition.init_std, str) else f"{condition.init_std:g}"
    parts = {
        "activation": condition.activation,
        "learning_rate": f"learning rate {condition.learning_rate:g}",
        "init_std": f"init std {std}",
    }
    return ", ".join(text for key, text in parts.items() if key not in but)


def describe_shared(study: Study) -> str:
    """Describe what all conditions of a study have in common."""
    return f"{describe(study.condition, but=study.sweep)}, {study.condition.steps:,} steps".removeprefix(", ")


def shareable(configuration: Configuration, dataset: str) -> dict[str, Any]:
    """Return a configuration as plain values, the way a reader would write it again, without what is one machine's.

    dataset: name that stands for the data set, whose folder may be another elsewhere.
    """
    at_length = {"conditions", "studies", "paper"}
    whole = configuration.model_dump(mode="json", exclude={"mirrors", "checkpoint_seconds", *at_length})
    named = configuration.model_dump(mode="json", include=at_length, exclude_defaults=True)
    return {**whole, **named, "dataset": dataset}
