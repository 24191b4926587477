"""Adapter of the rule `tables`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.analysis.tables import make_tables
from bnpipe.core.progress import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_tables(
            records=[Path(record) for record in snakemake.input.records],
            conditions=snakemake.params.conditions,
            arms=snakemake.params.arms,
            seeds=snakemake.params.seeds,
            relative_to=Path(snakemake.output.accuracy).parents[1],
            folder=Path(snakemake.output.accuracy).parent,
        )
