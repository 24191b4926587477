"""What the workflow makes from a configuration: tables and figures, and the runs that it examines more closely."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_args

from bnpipe.core.digests import code_digest
from bnpipe.core.parts import digests_of, own_parts, short_name
from bnpipe.core.settings import DIGITS_SPLIT, FIRST_SEED, Arm, InitScheme, TrainingSettings
from bnpipe.grid.conditions import Condition
from bnpipe.grid.config import Configuration
from bnpipe.grid.entrants import PAIR
from bnpipe.grid.expected import expected_records
from bnpipe.grid.fair_comparison import FairComparison
from bnpipe.grid.layout import Layout
from bnpipe.grid.optimizer_studies import OptimizerStudies
from bnpipe.grid.stacks import (
    Kind,
    Stack,
    condition_stacks,
    examinable,
    first_of_each_activation,
    fully_connected,
    study_stacks,
    training_settings,
)

RUN_TABLES = ["accuracy", "layers", "runs", "summary", "comparison", "origins"]
CLOSER_TABLES = [
    "activations",
    "histograms",
    "initial_layers",
    "initialization",
    "mechanics",
    "mechanics_summary",
    "inference",
]
VERDICT_TABLES = ["claims", "evidence"]
CLAIM_TABLES = ["accuracy", "runs", "layers", "initialization", "inference"]  # from which claims are decided
CLAIM_STUDIES = {  # and the tables of studies: for each, its kind and the studies that have it
    "initializations": ("runs", ["initializations"]),
    "precision": ("runs", ["precision"]),
    "regularization": ("generalization", ["regularization"]),
    "steadiness": ("accuracy", ["steadiness", "steadiness_bad_weights"]),
    "transfers": ("accuracy", ["transfers"]),
    "usable_rates": ("runs", ["usable_rates"]),
}
STUDY_TABLES = ["accuracy", "runs", "summary"]
ANSWERS = {"convolutional": "carry_over"}  # studies with a table that answers their question, and that table
INITIALIZATIONS = ["small", "xavier", "unit"]  # of the tutorial's networks of noise
MAX_EXAMINED = 20  # conditions that a figure of all of them has room for
MAX_EXAMINED_SEEDS = 30  # that one job takes; an interval gains little from more


class Plan:
    """What is made from a configuration. Every job of a cluster builds it anew, so stacks are made only on demand."""

    def __init__(self, configuration: Configuration, dataset: str, title: str) -> None:
        """Take what the user decided, the data set's name in paths, and its name for people."""
        self.configuration = configuration
        self.layout = Layout(dataset)
        self.title = title
        self.conditions = list(configuration.conditions)
        self.arms = [short_name(arm) for arm in configuration.arms]
        self.studies = list(configuration.studies)
        self.default_studies = [name for name, study in configuration.studies.items() if study.default]
        self.stacks = cache(self._stacks)
        self.optimizers = OptimizerStudies(configuration, self.layout)

    def _stacks(self, kind: Kind, group: str) -> dict[str, Stack]:
        """Return the stacks of a condition or study, by the paths of their records."""
        of = condition_stacks if kind == "condition" else study_stacks
        return {self.layout.record(stack): stack for stack in of(self.configuration, group)}

    def records(self, kind: Kind, groups: Iterable[str]) -> list[str]:
        """Return the paths of all records of some conditions or studies."""
        return [record for group in groups for record in self.stacks(kind, group)]

    def plain_settings(self, condition: Condition, arm: Arm) -> dict[str, Any]:
        """Return what a condition and arm are trained with, as plain values."""
        return asdict(training_settings(self.configuration, condition, arm))

    # What jobs expect of the files that they read, see `bnpipe.inputs`.

    @property
    def expected_data(self) -> dict[str, Any]:
        """What is expected of the packed data set."""
        is_digits = self.layout.dataset == "digits"  # they have a split of their own
        return {"validation_images": DIGITS_SPLIT[1] if is_digits else self.configuration.validation_images}

    def expected_records(self, conditions: Iterable[str] = (), studies: Iterable[str] = ()) -> dict[str, Any]:
        """Return what is expected of the packed data set and of the records of some conditions and studies."""
        code = code_digest("training.job")
        records = expected_records(self.configuration, self.layout.dataset, code, conditions, studies)
        return {**self.expected_data, **records}

    def present_records(self) -> list[Path]:
        """Return the records of the configuration that exist."""
        paths = [*self.records("condition", self.conditions), *self.records("study", self.studies)]
        return [path for path in map(Path, paths) if path.exists()]

    # The runs that are examined more closely.

    @property
    def first(self) -> str:
        """The condition whose networks some experiments examine: the first that they can examine."""
        return next(iter(examinable(self.configuration)))

    @property
    def first_settings(self) -> dict[str, Any]:
        """Its settings, with batch normalization whatever the arms are."""
        return self.plain_settings(self.configuration.conditions[self.first], "batchnorm")

    @property
    def examined(self) -> list[str]:
        """The conditions that figures and pages show."""
        return self.conditions[:MAX_EXAMINED]

    @property
    def measured(self) -> list[str]:
        """Those whose networks are measured before training."""
        among = fully_connected(self.configuration)
        return [name for name in self.examined if name in among]

    @property
    def measured_settings(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Their settings, by condition and arm."""
        conditions = {name: self.configuration.conditions[name] for name in self.measured}
        return {
            name: {short_name(arm): self.plain_settings(condition, arm) for arm in self.configuration.arms}
            for name, condition in conditions.items()
        }

    @property
    def examined_note(self) -> str:
        """What stands above a figure of them: the data set, and how many of all conditions they are."""
        shown, of = len(self.examined), len(self.conditions)
        return self.title if shown == of else f"{self.title}, first {shown} of {of} conditions"

    @property
    def shown_seed(self) -> int:
        """The seed that is shown alone: the tutorial's, if it is among the seeds."""
        seeds = self.configuration.seeds
        return FIRST_SEED if FIRST_SEED in seeds else seeds[0]

    @property
    def examined_seeds(self) -> tuple[int, ...]:
        """The seeds that experiments use, as many as one job takes."""
        return tuple(sorted({self.shown_seed, *self.configuration.seeds[:MAX_EXAMINED_SEEDS]}))

    @cached_property
    def pair_settings(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Settings of the pair of networks under the first condition of each nonlinearity, by condition and arm."""
        return {
            name: {arm: self.plain_settings(condition, arm) for arm in PAIR}
            for name, condition in first_of_each_activation(self.configuration)
        }

    @cached_property
    def fair(self) -> FairComparison:
        """The fair comparison."""
        return FairComparison(self.configuration, self.layout, self.pair_settings)

    @property
    def initial_settings(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Settings of the networks that are measured before training, by condition and arm.

        Besides the networks of the measured conditions, these are vanilla networks with Xavier's and He's
        initialization under the first condition of each nonlinearity. They are named "tanh xavier", for example, which
        cannot be the name of a condition.
        """
        schemes = {
            f"{name} {scheme}": {"vanilla": {**settings["vanilla"], "init_std": scheme}}
            for name, settings in self.pair_settings.items()
            for scheme in get_args(InitScheme)
        }
        return {**self.measured_settings, **schemes}

    @property
    def initial_parts(self) -> dict[str, str]:
        """The digests of the user's own parts that these networks are built from, by name."""
        settings = [
            TrainingSettings.from_plain(own) for arms in self.initial_settings.values() for own in arms.values()
        ]
        return digests_of(part for own in settings for part in own_parts(own))

    @property
    def paper_seeds(self) -> tuple[int, ...]:
        """The seeds of the paper's own experiment; none if it is left out."""
        paper = self.configuration.paper
        return self.configuration.seeds[: paper.seeds] if paper else ()

    # Tables.

    @property
    def tables(self) -> dict[str, str]:
        """The tables of the default target that are not a study's, by name."""
        closer = CLOSER_TABLES if self.configuration.closer_looks else []
        return {name: self.layout.table(name) for name in [*RUN_TABLES, *closer, *VERDICT_TABLES]}

    def study_tables(self, studies: Iterable[str]) -> list[str]:
        """Return the tables of some studies."""
        return [
            self.layout.study_table(study, table)
            for study in studies
            for table in [*STUDY_TABLES, *([ANSWERS[study]] if study in ANSWERS else [])]
        ]

    @property
    def claim_tables(self) -> dict[str, list[str]]:
        """The tables from which claims are decided by default, by the names of `bnpipe.analysis.measures`."""
        tables = {name: [self.tables[name]] for name in CLAIM_TABLES if name in self.tables}
        if "precision" in self.default_studies:
            tables["precision"] = [self.layout.study_table("precision", "runs")]
        return tables

    @property
    def all_claim_tables(self) -> dict[str, list[str]]:
        """The same tables and those of the studies."""
        tables = {
            **self.claim_tables,
            **self.fair.claim_tables,
            "step_time": [self.layout.study_table("step_time", "step_time")],
        }
        for name, (table, studies) in CLAIM_STUDIES.items():
            there = [study for study in studies if study in self.studies]
            if there:
                tables[name] = [self.layout.study_table(study, table) for study in there]
        return tables

    @property
    def paper_tables(self) -> dict[str, list[str]]:
        """The tables of the paper's own experiment, by name, one for each arm."""
        return {
            name: [self.layout.study_table("paper", f"{name}-{arm}") for arm in PAIR]
            for name in ("accuracy", "percentiles")
        }

    @property
    def study_results(self) -> list[str]:
        """All tables of the target `studies`, except those of the claims."""
        tables = [table for tables in self.all_claim_tables.values() for table in tables]
        tables += [*self.study_tables(self.studies), self.layout.study_table("scale_equivalence", "scale_equivalence")]
        if self.configuration.paper:
            tables += [table for tables in self.paper_tables.values() for table in tables]
        return tables + self.optimizers.tables

    # Figures, by name.

    @property
    def condition_figures(self) -> list[str]:
        """The kinds of figures that each condition has."""
        kinds = ["single_seed", "all_seeds"]
        return [*kinds, "diagnostics"] if self.configuration.diagnostics else kinds

    @property
    def figures(self) -> list[str]:
        """The figures that the page shows."""
        noise = [f"{start}_{kind}" for start in INITIALIZATIONS for kind in ("layers", "histograms", "growth")]
        initial = [f"initialization/{name}" for name in ("growth", *noise)]
        return [
            *(["best_rate"] if self.configuration.best_rate else []),
            *("overview", "states", "claims"),
            *(["mechanics", "inference", *initial] if self.configuration.closer_looks else []),
            *(f"{condition}/{kind}" for condition in self.examined for kind in self.condition_figures),
            *(f"studies/{name}" for name in self.default_studies),
        ]

    @property
    def experiments(self) -> list[str]:
        """The experiments that the page of studies shows beside the configuration's studies."""
        return [*self.fair.names, *self.optimizers.names, *(["paper"] if self.configuration.paper else [])]

    @property
    def study_figures(self) -> list[str]:
        """The figures that the page of studies shows."""
        return ["all_claims", *(f"studies/{name}" for name in [*self.studies, *self.experiments])]

    def figure_files(self, names: Iterable[str]) -> list[str]:
        """Return the files of some figures, in both formats."""
        return [file for name in names for file in self.layout.figure(name)]

    def pictures(self, names: Iterable[str]) -> list[str]:
        """Return the files of some figures that pages show."""
        return [self.layout.figure(name)[0] for name in names]
