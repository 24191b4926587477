"""Adapter of the rule `diagnostics_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.figures.diagnostics import make_diagnostics
from bnpipe.progress import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_diagnostics(
            records=[Path(record) for record in snakemake.input.records],
            condition=snakemake.wildcards.condition,
            note=snakemake.params.note,
            arms=snakemake.params.arms,
            outputs=[Path(output) for output in snakemake.output],
        )
