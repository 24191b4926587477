"""Adapter of the rule `mechanics_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.figures.mechanics import make_mechanics_figure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_mechanics_figure(
            mechanics=Path(snakemake.input.mechanics),
            summary=Path(snakemake.input.summary),
            note=snakemake.params.note,
            outputs=[Path(output) for output in snakemake.output],
        )
