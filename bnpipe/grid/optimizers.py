"""Settings of the studies of optimizers and of weight decay. A study is left out unless the configuration has it."""

from typing import Annotated

from pydantic import Field, field_validator

from bnpipe.core.settings import TUNING_SEEDS
from bnpipe.grid.fields import (
    MAX_SEED_COUNT,
    NotNegative,
    PositiveNumber,
    Section,
    SeedList,
    Whole,
    without_duplicates,
)

# Learning rates to try, at least five: the best one must have two on either side.
Rates = Annotated[tuple[PositiveNumber, ...], Field(min_length=5)]


class OptimizerRates(Section):
    """Learning rates that a network is tried with, by optimizer; the best one must have two on either side."""

    sgd: Rates = Field(
        default=(0.0178, 0.0316, 0.0562, 0.1, 0.178, 0.316, 0.562, 1, 1.78), description="Of plain gradient descent."
    )
    momentum: Rates = Field(
        default=(0.00178, 0.00316, 0.00562, 0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.178), description="With momentum."
    )
    adam: Rates = Field(
        default=(0.000316, 0.000562, 0.001, 0.00178, 0.00316, 0.00562, 0.01, 0.0178, 0.0316), description="With Adam."
    )

    @field_validator("*")
    @classmethod
    def _rising(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(without_duplicates(rates)))


class OptimizerStudy(Section):
    """The fair comparison under every optimizer: each pair of networks is tuned, then trained at its own best rates."""

    steps: Annotated[int, Whole(1, 100_000_000)] = Field(
        default=601,
        description="Mini-batches within which a network has to pass 90% validation accuracy.",
        json_schema_extra={"unit": "mini-batches"},
    )
    seeds: Annotated[int, Whole(1, MAX_SEED_COUNT)] = Field(
        default=6,
        description="How many of the configuration's fresh seeds to train at the best rates; all, if there are fewer.",
    )
    tuning_seeds: SeedList = Field(
        default=tuple(sorted(TUNING_SEEDS)[:3]), description="Seeds of the trials that choose the best rates."
    )
    learning_rates: OptimizerRates = Field(
        default=OptimizerRates(), description="Learning rates that every network is tried with."
    )

    @field_validator("tuning_seeds")
    @classmethod
    def _no_duplicates(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return without_duplicates(seeds)


class EquilibriumStudy(Section):
    """Weight decay and batch normalization, in the networks of the first condition of plain gradient descent."""

    learning_rate: PositiveNumber = Field(default=0.3, description="Learning rate of plain gradient descent.")
    weight_decays: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = Field(
        default=(0.0, 0.01, 0.03), description="Weight decays to compare; 0 shows how the weights grow without it."
    )
    steps: Annotated[int, Whole(80, 100_000_000)] = Field(
        default=2000,
        description="Number of mini-batches, the second half of which counts. The weights settle within about "
        "3 / (learning rate * weight decay) of them.",
        json_schema_extra={"unit": "mini-batches"},
    )
    seeds: Annotated[int, Whole(1, MAX_SEED_COUNT)] = Field(
        default=3, description="How many of the configuration's seeds to use, counted from the first."
    )

    @field_validator("weight_decays")
    @classmethod
    def _rising(cls, decays: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(without_duplicates(decays)))
