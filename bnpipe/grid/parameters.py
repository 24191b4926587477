"""The parameters of a job, given the wildcards of its outputs."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from bnpipe.core.errors import InputError
from bnpipe.core.parts import digests_of, own_parts
from bnpipe.grid.best_rate import TuningGrid
from bnpipe.grid.conditions import Condition, Study
from bnpipe.grid.descriptions import describe, describe_shared
from bnpipe.grid.entrants import Entrant
from bnpipe.grid.plan import Plan
from bnpipe.grid.stacks import Kind, Stack

MAX_NAMED = 20  # names that a message lists as valid

Value = TypeVar("Value")


class Wildcards(Protocol):
    """The values of wildcards by name: Snakemake's own, or a dictionary."""

    def get(self, name: str, /) -> Any:
        """Return the value of a wildcard; None if there is none of this name."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the value of a wildcard."""


class Parameters:
    """The parameters of jobs. Every method raises InputError if wildcards name what the configuration does not have."""

    def __init__(self, plan: Plan, refused: Mapping[str, str] = MappingProxyType({})) -> None:
        """Take the plan that the jobs belong to. refused: studies that cannot be made, and why."""
        self._plan = plan
        self._refused = refused
        self._configuration = plan.configuration

    # A training job, of a condition or of a study.

    def stack(self, wildcards: Wildcards) -> Stack:
        """Return the stack that a job trains."""
        kind: Kind = "study" if wildcards.get("study") else "condition"
        (self.study if kind == "study" else self.condition)(wildcards)
        stacks = self._plan.stacks(kind, self.group(wildcards))
        record = self._plan.layout.record_pattern(kind).format_map(wildcards)
        if record not in stacks:
            raise InputError(f"{record}: expected {_listed(stacks)}; ask for a table or a figure instead")
        return stacks[record]

    def group(self, wildcards: Wildcards) -> str:
        """Return the name of the condition or study."""
        return str(wildcards.get("study") or wildcards["condition"])

    def stack_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what the runs of a stack are trained with: see `bnpipe.core.settings.Runs.from_plain`."""
        return self.stack(wildcards).runs.to_plain()

    def stack_parts(self, wildcards: Wildcards) -> dict[str, str]:
        """Return the digests of the user's own parts that a stack's networks are built from, by name."""
        return digests_of(own_parts(self.stack(wildcards).runs.settings))

    def stack_seeds(self, wildcards: Wildcards) -> tuple[int, ...]:
        """Return the seed of each run of a stack."""
        return self.stack(wildcards).runs.seeds

    def stack_steps(self, wildcards: Wildcards) -> int:
        """Return the number of mini-batches that a stack is trained on."""
        return self.stack(wildcards).runs.settings.steps

    # A job of one condition.

    def condition(self, wildcards: Wildcards) -> Condition:
        """Return the condition."""
        return _known("condition", wildcards["condition"], self._configuration.conditions)

    def condition_records(self, wildcards: Wildcards) -> list[str]:
        """Return the records of its runs."""
        self.condition(wildcards)
        return self._plan.records("condition", [wildcards["condition"]])

    def condition_expected(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what these records are expected to be."""
        self.condition(wildcards)
        return self._plan.expected_records(conditions=[wildcards["condition"]])

    def condition_note(self, wildcards: Wildcards) -> str:
        """Return what stands above its figures: its settings, and the data set."""
        return f"{describe(self.condition(wildcards))}\n{self._plan.title}"

    # A job that looks for an explanation: the condition is named after its nonlinearity.

    def explained_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return the settings of one of the pair of networks."""
        arms = _known("condition", wildcards["condition"], self._plan.fair.explained_settings)
        return _known("arm", wildcards["arm"], arms)

    # A job of the fair comparison.

    def entrant(self, wildcards: Wildcards) -> Entrant:
        """Return one of its networks."""
        return _known("entrant", wildcards["entrant"], self._plan.fair.entrants)

    def entrant_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return the settings that it is tuned with, except the learning rate."""
        return self.entrant(wildcards).trial

    def entrant_steps(self, wildcards: Wildcards) -> int:
        """Return how many steps it takes at its best rate."""
        return self.entrant(wildcards).steps

    def tuning_grid(self, wildcards: Wildcards) -> TuningGrid:
        """Return the learning rates and seeds of its trials."""
        grids = self._plan.fair.grids
        if not grids:
            raise InputError("best_rate: expected settings for tuning, got nothing; add it to the configuration")
        return _known("grid", wildcards["grid"], grids)

    def tuning_rates(self, wildcards: Wildcards) -> tuple[float, ...]:
        """Return the learning rates of its trials."""
        return self.tuning_grid(wildcards).learning_rates

    def tuning_seeds(self, wildcards: Wildcards) -> tuple[int, ...]:
        """Return the seeds of its trials."""
        return self.tuning_grid(wildcards).seeds

    def chunk_seeds(self, wildcards: Wildcards) -> tuple[int, ...]:
        """Return the seeds of a chunk."""
        return _known("chunk", wildcards["chunk"], self._plan.fair.seed_chunks)

    # A job of the studies of optimizers and weight decay.

    def optimizer_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return the settings that a network is tried with, except the learning rate."""
        networks = self._plan.optimizers.entrants
        if not networks:
            raise InputError("optimizers: expected settings for tuning, got nothing; add it to the configuration")
        return _known("entrant", wildcards["entrant"], networks).trial

    def optimizer_rates(self, wildcards: Wildcards) -> tuple[float, ...]:
        """Return the learning rates that it is tried with."""
        return self._plan.optimizers.rates(self.optimizer_settings(wildcards)["optimizer"])

    def equilibrium_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what one of the two networks of the study of weight decay is trained with."""
        settings = self._plan.optimizers.equilibrium_settings(wildcards["arm"])
        if settings is None:
            raise InputError("equilibrium: expected settings for training, got nothing; add it to the configuration")
        return settings

    # A job of one study.

    def study(self, wildcards: Wildcards) -> Study:
        """Return the study."""
        if wildcards["study"] in self._refused:
            raise InputError(self._refused[wildcards["study"]])
        return _known("study", wildcards["study"], self._configuration.studies)

    def study_records(self, wildcards: Wildcards) -> list[str]:
        """Return the records of its runs."""
        self.study(wildcards)
        return self._plan.records("study", [wildcards["study"]])

    def study_expected(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what these records are expected to be."""
        self.study(wildcards)
        return self._plan.expected_records(studies=[wildcards["study"]])

    def study_sweep(self, wildcards: Wildcards) -> list[str]:
        """Return the keys that differ between its conditions."""
        return list(self.study(wildcards).sweep)

    def convolutional_condition(self, _: Wildcards) -> dict[str, Any]:
        """Return what the conditions of the study on convolutional networks share, as plain values."""
        return self.study({"study": "convolutional"}).condition.model_dump(mode="json")

    def study_about(self, wildcards: Wildcards) -> str:
        """Return the question of the study."""
        return self.study(wildcards).about

    def study_note(self, wildcards: Wildcards) -> str:
        """Return what stands above its figure: the data set, and what its conditions have in common."""
        return f"{self._plan.title}; {describe_shared(self.study(wildcards))}"

    def paper_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what one of the two networks of the paper's own experiment is trained with."""
        if self._configuration.paper is None:
            raise InputError("paper: expected a condition, got nothing; add it to the configuration")
        return self._plan.plain_settings(self._configuration.paper.condition, wildcards["arm"])

    # A job of the whole grid. No wildcard is needed, but lists of a large grid are made only when a job needs them.

    def all_records(self, _: Wildcards) -> list[str]:
        """Return the records of all conditions."""
        return self._plan.records("condition", self._plan.conditions)

    def default_study_records(self, _: Wildcards) -> list[str]:
        """Return the records of the studies that the default target makes."""
        return self._plan.records("study", self._plan.default_studies)

    def all_study_records(self, _: Wildcards) -> list[str]:
        """Return the records of all studies."""
        return self._plan.records("study", self._plan.studies)

    def all_expected(self, _: Wildcards) -> dict[str, Any]:
        """Return what the records of all conditions are expected to be."""
        return self._plan.expected_records(self._plan.conditions)

    def default_expected(self, _: Wildcards) -> dict[str, Any]:
        """Return what the records of the default target are expected to be."""
        return self._plan.expected_records(self._plan.conditions, self._plan.default_studies)

    def all_studies_expected(self, _: Wildcards) -> dict[str, Any]:
        """Return what the records of all studies are expected to be."""
        return self._plan.expected_records(studies=self._plan.studies)

    def all_condition_figures(self, _: Wildcards) -> list[str]:
        """Return the figures of all conditions."""
        kinds = self._plan.condition_figures
        return self._plan.figure_files(f"{name}/{kind}" for name in self._plan.conditions for kind in kinds)

    def all_conditions(self, _: Wildcards) -> dict[str, dict[str, Any]]:
        """Return the conditions as plain values, without keys that have their default.

        keep_weights is left out: it changes no run, so claims are decided with it or without.
        """
        return {
            name: condition.model_dump(mode="json", exclude_defaults=True, exclude={"keep_weights"})
            for name, condition in self._configuration.conditions.items()
        }


def _known(what: str, name: str, among: Mapping[str, Value]) -> Value:
    if name not in among:
        raise InputError(f"{what}: expected {_listed(among)}, got {name}")
    return among[name]


def _listed(names: Iterable[str]) -> str:
    """List the first of some names."""
    return " or ".join([*names][:MAX_NAMED])
