"""From a configuration to the grid of work: which stacks of runs there are, and what each is trained with."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any, Literal

from bnpipe.core.settings import Arm, Runs, TrainingSettings
from bnpipe.grid.config import Condition, Configuration

STUDY_RUNS = 30  # of a study in one job on the CPU: enough to be worth its start, few enough to use all cores
LAST_NAMED = "stop_at_accuracy"  # the last of the settings that the names of records always depend on

Kind = Literal["condition", "study"]


@dataclass(frozen=True)
class Stack:
    """The unit of work: the runs that one job trains, all of one arm and of one condition or study."""

    kind: Kind
    group: str  # the name of its condition or study
    name: str  # names its files; it follows from its runs, so that other runs have other files
    runs: Runs

    @property
    def arm(self) -> Arm:
        """The arm, which all runs share."""
        return self.runs.settings.arm

    @property
    def wildcards(self) -> dict[str, str]:
        """What the paths of its files are made of."""
        if self.kind == "condition":
            return {"condition": self.group, "arm": self.arm, "chunk": self.name}
        return {"study": self.group, "stack": self.name}


def condition_stacks(configuration: Configuration, name: str) -> Iterator[Stack]:
    """Go through the stacks of a condition: by arm, then by chunk of seeds."""
    for arm in configuration.arms:
        settings = training_settings(configuration, configuration.conditions[name], arm)
        for seeds in seed_chunks(configuration):
            yield Stack("condition", name, chunk_name(seeds), Runs.of_seeds(settings, seeds))


def study_stacks(configuration: Configuration, name: str) -> Iterator[Stack]:
    """Go through the stacks of a study: by arm, then by what may not differ within a stack, then by seed."""
    study = configuration.studies[name]
    seeds = configuration.seeds[: study.seeds]
    for arm in study.arms or configuration.arms:
        for cells in _trainable_together(study.cells):
            runs = Runs(
                settings=training_settings(configuration, cells[0], arm),
                learning_rates=tuple(cell.learning_rate for cell in cells) * len(seeds),
                init_stds=tuple(cell.init_std for cell in cells) * len(seeds),
                seeds=tuple(seed for seed in seeds for _ in cells),
            )
            size = configuration.runs_per_job or (STUDY_RUNS if configuration.device == "cpu" else len(runs))
            for first in range(0, len(runs), size):
                job = runs[first : first + size]
                yield Stack("study", name, f"{arm}-{_digest(job)}", job)


def seed_chunks(configuration: Configuration) -> list[tuple[int, ...]]:
    """Return the seeds in chunks, the same for every condition and arm; a job trains one of them."""
    # A GPU is only filled by many runs; how many of them fit is for the job to see.
    size = configuration.chunk_size if configuration.device == "cpu" else len(configuration.seeds)
    return [configuration.seeds[i : i + size] for i in range(0, len(configuration.seeds), size)]


def chunk_name(seeds: tuple[int, ...]) -> str:
    """Name a chunk after its seeds, as far as a file name holds them; other seeds have another name."""
    first, last = seeds[0], seeds[-1]
    if seeds == tuple(range(first, last + 1)):
        return f"{first}-{last}"
    return f"{first}-{last}-{sha256(repr(seeds).encode()).hexdigest()[:12]}"


def training_settings(configuration: Configuration, condition: Condition, arm: Arm) -> TrainingSettings:
    """Collect what the runs of one condition and arm are trained with."""
    own = {name: value for name, value in condition if value is not None}
    shared = {name: getattr(configuration, name) for name in ("hidden_sizes", "batch_size", "evaluation_interval")}
    normalization = dict(configuration.normalization)
    return TrainingSettings(arm=arm, diagnostics=configuration.diagnostics, **{**normalization, **shared, **own})


def plain_conditions(configuration: Configuration) -> dict[str, Condition]:
    """Return the conditions of plain gradient descent, by name: the experiments look into these alone."""
    return {name: condition for name, condition in configuration.conditions.items() if condition.is_plain_descent}


def first_of_each_activation(configuration: Configuration) -> list[tuple[str, Condition]]:
    """Return the first condition of each nonlinearity that `plain_conditions` holds, with its name, in their order."""
    first: dict[str, tuple[str, Condition]] = {}
    for name, condition in plain_conditions(configuration).items():
        first.setdefault(condition.activation, (name, condition))
    return list(first.values())


def _digest(runs: Runs) -> str:
    """Return a digest of everything that the runs are trained with.

    A setting that is declared after LAST_NAMED is left out if it has its default, so a new setting renames no records.
    """
    declared = fields(runs.settings)
    named = [own.name for own in declared].index(LAST_NAMED) + 1
    settings = ", ".join(
        f"{own.name}={getattr(runs.settings, own.name)!r}"
        for place, own in enumerate(declared)
        if place < named or getattr(runs.settings, own.name) != own.default
    )
    text = f"({TrainingSettings.__name__}({settings}), {runs.learning_rates}, {runs.init_stds}, {runs.seeds})"
    return sha256(text.encode()).hexdigest()[:12]


def _trainable_together(cells: Iterable[Condition]) -> Iterable[list[Condition]]:
    """Group the conditions that differ only in what may differ within a stack, in the order of the first of each."""
    groups: dict[tuple[Any, ...], list[Condition]] = {}
    for cell in cells:
        shared = tuple(value for name, value in cell if name not in ("learning_rate", "init_std"))
        groups.setdefault(shared, []).append(cell)
    return groups.values()
