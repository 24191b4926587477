"""From a configuration to the grid of work: which stacks of runs there are, and what each is trained with."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any, Literal

from bnpipe.core.parts import is_own, short_name
from bnpipe.core.settings import Arm, Runs, TrainingSettings
from bnpipe.grid.conditions import Condition
from bnpipe.grid.config import Configuration

STUDY_RUNS = 30  # of a study in one job on the CPU: enough to be worth starting a job, few enough to use all cores

Kind = Literal["condition", "study"]


@dataclass(frozen=True)
class Stack:
    """The unit of work: the runs that one job trains, all of one arm and of one condition or study."""

    kind: Kind
    group: str  # the name of its condition or study
    name: str  # names its files; it follows from its runs, so that other runs have other files
    runs: Runs

    @property
    def arm(self) -> str:
        """The name under which the arm is shown; all runs share it."""
        return short_name(self.runs.settings.arm)

    @property
    def wildcards(self) -> dict[str, str]:
        """The values of the wildcards in the paths of its files."""
        if self.kind == "condition":
            return {"condition": self.group, "arm": self.arm, "chunk": self.name}
        return {"study": self.group, "stack": self.name}


def condition_stacks(configuration: Configuration, name: str) -> Iterator[Stack]:
    """Yield the stacks of a condition: by arm, then by chunk of seeds."""
    for arm in configuration.arms:
        settings = recorded_settings(configuration, configuration.conditions[name], arm)
        for seeds in seed_chunks(configuration):
            yield Stack("condition", name, chunk_name(seeds), Runs.of_seeds(settings, seeds))


def study_stacks(configuration: Configuration, name: str) -> Iterator[Stack]:
    """Yield the stacks of a study: by arm, then by what may not differ within a stack, then by seed."""
    study = configuration.studies[name]
    seeds = configuration.seeds[: study.seeds]
    for arm in study.arms or configuration.arms:
        for cells in _trainable_together(study.cells):
            runs = Runs(
                settings=recorded_settings(configuration, cells[0], arm),
                learning_rates=tuple(cell.learning_rate for cell in cells) * len(seeds),
                init_stds=tuple(cell.init_std for cell in cells) * len(seeds),
                seeds=tuple(seed for seed in seeds for _ in cells),
            )
            size = configuration.runs_per_job or (STUDY_RUNS if configuration.device == "cpu" else len(runs))
            for first in range(0, len(runs), size):
                job = runs[first : first + size]
                yield Stack("study", name, f"{short_name(arm)}-{_digest(job)}", job)


def seed_chunks(configuration: Configuration) -> list[tuple[int, ...]]:
    """Return the seeds in chunks, the same for every condition and arm; a job trains one of them."""
    # Only many runs fill a GPU; the job finds out how many of them fit.
    size = configuration.chunk_size if configuration.device == "cpu" else len(configuration.seeds)
    return [configuration.seeds[i : i + size] for i in range(0, len(configuration.seeds), size)]


def chunk_name(seeds: tuple[int, ...]) -> str:
    """Name a chunk after its first and last seed; if the seeds are not consecutive, a digest of them follows."""
    first, last = seeds[0], seeds[-1]
    if seeds == tuple(range(first, last + 1)):
        return f"{first}-{last}"
    return f"{first}-{last}-{sha256(repr(seeds).encode()).hexdigest()[:12]}"


def training_settings(configuration: Configuration, condition: Condition, arm: Arm) -> TrainingSettings:
    """Return the settings that the runs of one condition and arm are trained with, whether or not they are recorded."""
    own = {name: value for name, value in condition if value is not None and name != "keep_weights"}
    shared = {name: getattr(configuration, name) for name in ("hidden_sizes", "batch_size", "evaluation_interval")}
    normalization = dict(configuration.normalization)
    return TrainingSettings(arm=arm, diagnostics=configuration.diagnostics, **{**normalization, **shared, **own})


def recorded_settings(configuration: Configuration, condition: Condition, arm: Arm) -> TrainingSettings:
    """Return the same settings, and in them whether the record of the runs holds their weights."""
    keep = configuration.keep_weights if condition.keep_weights is None else condition.keep_weights
    return replace(training_settings(configuration, condition, arm), keep_weights=keep)


def fully_connected(configuration: Configuration) -> dict[str, Condition]:
    """Return the conditions whose networks are fully connected, by name: they are measured before training."""
    return {name: each for name, each in configuration.conditions.items() if each.network == "fully_connected"}


def examinable(configuration: Configuration) -> dict[str, Condition]:
    """Return the fully connected conditions with plain gradient descent and a built-in nonlinearity.

    Experiments examine only these, because they compute with the compiled engine or by formulas.
    """
    return {
        name: condition
        for name, condition in fully_connected(configuration).items()
        if condition.is_plain_descent and not is_own(condition.activation)
    }


def first_of_each_activation(configuration: Configuration) -> list[tuple[str, Condition]]:
    """Return the first `examinable` condition of each nonlinearity, with its name, in their order."""
    first: dict[str, tuple[str, Condition]] = {}
    for name, condition in examinable(configuration).items():
        first.setdefault(condition.activation, (name, condition))
    return list(first.values())


def _digest(runs: Runs) -> str:
    """Return a digest of everything that the runs are trained with.

    Settings that have their default are left out, so that a new setting renames no records.
    """
    changed = {
        own.name: value for own in fields(runs.settings) if (value := getattr(runs.settings, own.name)) != own.default
    }
    trained_with = changed, runs.learning_rates, runs.init_stds, runs.seeds
    return sha256(repr(trained_with).encode()).hexdigest()[:12]


def _trainable_together(cells: Iterable[Condition]) -> Iterable[list[Condition]]:
    """Group the conditions that differ only in what may differ within a stack, in the order of the first of each."""
    groups: dict[tuple[Any, ...], list[Condition]] = {}
    for cell in cells:
        shared = tuple(value for name, value in cell if name not in ("learning_rate", "init_std"))
        groups.setdefault(shared, []).append(cell)
    return groups.values()
