"""Adapter of the rule `study_tables`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.analysis.study_tables import make_study_tables
from bnpipe.core.progress import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_study_tables(
            records=[Path(record) for record in snakemake.input.records],
            swept=snakemake.params.swept,
            relative_to=Path(snakemake.output.runs).parents[2],
            accuracy=Path(snakemake.output.accuracy),
            runs=Path(snakemake.output.runs),
            summary=Path(snakemake.output.summary),
        )
