"""Adapter of the rule `paper_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.figures.paper import make_paper_figure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_paper_figure(
            accuracy=[Path(table) for table in snakemake.input.accuracy],
            percentiles=[Path(table) for table in snakemake.input.percentiles],
            note=snakemake.params.note,
            outputs=[Path(output) for output in snakemake.output],
        )
