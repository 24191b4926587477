"""The tables of the fair comparison and of the explanations that are looked for at its best rates."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from bnpipe.core.settings import Activation
from bnpipe.grid.best_rate import TuningGrid
from bnpipe.grid.config import Configuration
from bnpipe.grid.entrants import PAIR, Entrant, entrants
from bnpipe.grid.layout import Layout
from bnpipe.grid.stacks import chunk_name, first_of_each_activation, seed_chunks

EXPLANATIONS = ["gradient_shift", "input_shift", "smoothness"]  # measured along training at each arm's best rate
EXPLAINED: list[Activation] = ["tanh", "relu"]  # nonlinearities for which explanations are looked for


class FairComparison:
    """The comparison of networks at their own best rates; one that the configuration leaves out has no tables."""

    def __init__(self, configuration: Configuration, layout: Layout, pairs: Mapping[str, dict[str, Any]]) -> None:
        """Take also the settings of the pair of networks of each nonlinearity, by condition and arm."""
        self._configuration = configuration
        self._best_rate = configuration.best_rate
        self._layout = layout
        self._pairs = pairs

    @property
    def names(self) -> list[str]:
        """The experiments that the configuration has."""
        if self._best_rate is None:
            return []
        return ["best_rate", *(EXPLANATIONS if self.explained_settings else [])]

    @property
    def steps(self) -> int:
        """How many mini-batches a trial has."""
        return self._best_rate.steps if self._best_rate else 1

    @property
    def grids(self) -> dict[str, TuningGrid]:
        """The learning rates and seeds of trials, by the grid's name."""
        if self._best_rate is None:
            return {}
        return {"tuning": self._best_rate.tuning, "preview": self._best_rate.preview}

    @cached_property
    def entrants(self) -> dict[str, Entrant]:
        """Its networks, by name."""
        return entrants(self._configuration)

    @cached_property
    def seed_chunks(self) -> dict[str, tuple[int, ...]]:
        """The seeds of the configuration in chunks, by the names of the chunks."""
        return {chunk_name(seeds): seeds for seeds in seed_chunks(self._configuration)}

    @property
    def figure_settings(self) -> dict[str, Any]:
        """What its figure needs besides its tables."""
        first = {own.activation: own for _, own in first_of_each_activation(self._configuration)}
        return {
            "steps": self.steps,
            "rates": {activation: condition.learning_rate for activation, condition in first.items()},
            "inits": {activation: condition.init_std for activation, condition in first.items()},
        }

    @cached_property
    def explained_settings(self) -> dict[str, dict[str, Any]]:
        """Settings of the pair of networks in which explanations are looked for, by nonlinearity and arm.

        They are those of the nonlinearity's first condition. Their learning rate is not used.
        """
        pairs = {settings["vanilla"]["activation"]: settings for settings in self._pairs.values()}
        return {activation: pairs[activation] for activation in EXPLAINED if activation in pairs}

    # Its tables.

    def tunings(self, grid: str) -> list[str]:
        """Return the tables of its networks' trials; grid: tuning, or preview, which leaves out large weights."""
        drawn = [name for name, entrant in self.entrants.items() if grid == "tuning" or entrant.in_preview]
        return [self._layout.study_table("best_rate", f"{grid}-{name}") for name in drawn]

    def tuned(self, table: str) -> list[str]:
        """Return the tables of all its networks at their best rates; table: curves or finals."""
        return [
            self._layout.study_table("best_rate", f"{table}-{entrant}-seeds-{chunk}")
            for entrant in self.entrants
            for chunk in self.seed_chunks
        ]

    @property
    def explanation_tables(self) -> dict[str, list[str]]:
        """The tables of the explanations, by the experiment's name, one for each nonlinearity and arm."""
        pairs = [f"{activation}-{arm}" for activation in self.explained_settings for arm in PAIR]
        return {name: [self._layout.study_table(name, pair) for pair in pairs] for name in EXPLANATIONS}

    @property
    def claim_tables(self) -> dict[str, list[str]]:
        """The tables from which claims are decided, by the names of `bnpipe.analysis.measures`."""
        if self._best_rate is None:
            return {}
        tables = {"tuning": self.tunings("tuning"), "best_rate": self.tuned("curves"), "finals": self.tuned("finals")}
        return {**self.explanation_tables, **tables}
