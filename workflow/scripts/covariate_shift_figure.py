"""Adapter of the rule `covariate_shift_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.figures.covariate_shift import make_covariate_shift_figure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_covariate_shift_figure(
            tables=[Path(table) for table in snakemake.input.tables],
            conditions=snakemake.params.conditions,
            note=snakemake.params.note,
            arms=snakemake.params.arms,
            outputs=[Path(output) for output in snakemake.output],
        )
