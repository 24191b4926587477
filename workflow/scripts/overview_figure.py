"""Adapter of the rule `overview_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.figures.curves import make_overview

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_overview(
            tables=Path(snakemake.input.tables[0]).parent,
            conditions=snakemake.params.conditions,
            note=snakemake.params.note,
            arms=snakemake.params.arms,
            outputs=[Path(output) for output in snakemake.output],
        )
