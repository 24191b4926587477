"""Adapter of the rule `all_seeds_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.figures import make_all_seeds
from bnpipe.progress import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_all_seeds(
            tables=Path(snakemake.input.tables[0]).parent,
            condition=snakemake.wildcards.condition,
            note=snakemake.params.note,
            arms=snakemake.params.arms,
            outputs=[Path(output) for output in snakemake.output],
        )
