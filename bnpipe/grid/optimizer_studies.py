"""The tables of the studies of optimizers and of weight decay, and the parameters of their jobs."""

from dataclasses import asdict
from functools import cached_property
from typing import Any

from bnpipe.core.settings import Arm, Optimizer, counts
from bnpipe.grid.conditions import Condition
from bnpipe.grid.config import Configuration
from bnpipe.grid.entrants import PAIR, Entrant, optimizer_entrants
from bnpipe.grid.layout import Layout
from bnpipe.grid.stacks import examinable, training_settings


class OptimizerStudies:
    """The two studies; one that the configuration leaves out has no tables."""

    def __init__(self, configuration: Configuration, layout: Layout) -> None:
        self._configuration = configuration
        self._layout = layout

    @property
    def names(self) -> list[str]:
        """The studies that the configuration has."""
        asked = {"optimizers": self._configuration.optimizers, "equilibrium": self._configuration.equilibrium}
        return [name for name, study in asked.items() if study is not None]

    @property
    def tables(self) -> list[str]:
        """The tables of results, which the page and the figures show."""
        tables = {"optimizers": ("ratios", "seeds"), "equilibrium": ("equilibrium",)}
        return [self._layout.study_table(name, table) for name in self.names for table in tables[name]]

    # The study of optimizers.

    @cached_property
    def entrants(self) -> dict[str, Entrant]:
        """Its networks, by name."""
        return optimizer_entrants(self._configuration)

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """Their optimizers, by name."""
        return {name: own.trial["optimizer"] for name, own in self.entrants.items()}

    def of_entrants(self, table: str) -> list[str]:
        """Return one table for each network; table: trials, tuning or curves."""
        return [self._layout.study_table("optimizers", f"{table}-{name}") for name in self.entrants]

    @property
    def steps(self) -> int:
        """How many mini-batches a trial has."""
        return self._configuration.optimizers.steps if self._configuration.optimizers else 1

    @property
    def tuning_seeds(self) -> tuple[int, ...]:
        """The seeds of trials."""
        return self._configuration.optimizers.tuning_seeds if self._configuration.optimizers else ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that are trained at the best rates: fresh ones, or any if there are none."""
        study, every = self._configuration.optimizers, self._configuration.seeds
        fresh = tuple(seed for seed in every if counts(seed)) or every
        return fresh[: study.seeds] if study else ()

    def rates(self, optimizer: Optimizer) -> tuple[float, ...]:
        """Return the learning rates that networks are tried with under an optimizer."""
        study = self._configuration.optimizers
        return getattr(study.learning_rates, optimizer) if study else ()

    # The study of weight decay.

    @property
    def turns(self) -> list[str]:
        """Its tables along training, one for each arm."""
        return [self._layout.study_table("equilibrium", f"along-{arm}") for arm in PAIR]

    @property
    def weight_decays(self) -> tuple[float, ...]:
        """The weight decays to compare."""
        return self._configuration.equilibrium.weight_decays if self._configuration.equilibrium else ()

    @property
    def equilibrium_seeds(self) -> tuple[int, ...]:
        """Its seeds."""
        study = self._configuration.equilibrium
        return self._configuration.seeds[: study.seeds] if study else ()

    def equilibrium_settings(self, arm: Arm) -> dict[str, Any] | None:
        """Return the settings of one of its networks, except the weight decay; None if the study is left out."""
        study = self._configuration.equilibrium
        if study is None:
            return None
        first: Condition = next(iter(examinable(self._configuration).values()))
        own = {"learning_rate": study.learning_rate, "steps": study.steps, "stop_at_accuracy": None}
        settings = training_settings(self._configuration, first.model_copy(update=own), arm)
        return {**asdict(settings), "diagnostics": False}
