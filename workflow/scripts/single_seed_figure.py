"""Adapter of the rule `single_seed_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.figures import make_single_seed
from bnpipe.progress import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_single_seed(
            tables=Path(snakemake.input.tables[0]).parent,
            condition=snakemake.wildcards.condition,
            note=snakemake.params.note,
            seed=snakemake.params.seed,
            arms=snakemake.params.arms,
            outputs=[Path(output) for output in snakemake.output],
        )
