"""Settings of the fair comparison, in which every network trains at its own best learning rate."""

from typing import Annotated

from pydantic import Field, field_validator

from bnpipe.core.settings import TUNING_SEEDS
from bnpipe.grid.fields import PositiveNumber, Section, SeedList, Whole, without_duplicates

QUARTER_DECADES = (
    *(0.001, 0.00178, 0.00316, 0.00562),
    *(0.01, 0.0178, 0.0316, 0.0562),
    *(0.1, 0.178, 0.316, 0.562),
    *(1.0, 1.78, 3.16, 5.62),
    *(10.0, 17.8, 31.6),
)
HALF_DECADES = (0.01, 0.0316, 0.1, 0.316, 1.0)
SEEDS = tuple(sorted(TUNING_SEEDS))


class TuningGrid(Section):
    """The learning rates that every network is tried with, and the seeds of these trials."""

    learning_rates: Annotated[tuple[PositiveNumber, ...], Field(min_length=5)] = Field(
        default=QUARTER_DECADES,
        description="Learning rates that every network is tried with, at least five. The best one must have two on "
        "either side.",
    )
    seeds: SeedList = Field(
        default=SEEDS, description="Seeds of these trials; they are used for nothing else and never counted."
    )

    @field_validator("learning_rates")
    @classmethod
    def _rising(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(without_duplicates(rates)))

    @field_validator("seeds")
    @classmethod
    def _no_duplicates(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return without_duplicates(seeds)


class BestRate(Section):
    """The fair comparison: every network is tuned by the same protocol and then trained at its own best rate."""

    steps: Annotated[int, Whole(1, 100_000_000)] = Field(
        default=1001,
        description="Mini-batches within which a trial has to pass 90% validation accuracy.",
        json_schema_extra={"unit": "mini-batches"},
    )
    tuning: TuningGrid = Field(default=TuningGrid(), description="The trials of the target studies.")
    preview: TuningGrid = Field(
        default=TuningGrid(learning_rates=HALF_DECADES, seeds=SEEDS[:3]),
        description="The coarser trials of the default target, which plots them but decides nothing from them.",
    )
