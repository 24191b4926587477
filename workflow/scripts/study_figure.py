"""Adapter of the rule `study_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.figures.studies import make_study

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_study(
            accuracy=Path(snakemake.input.accuracy),
            runs=Path(snakemake.input.runs),
            swept=snakemake.params.swept,
            about=snakemake.params.about,
            note=snakemake.params.note,
            outputs=[Path(output) for output in snakemake.output],
        )
