"""Adapter of the rule `condition_figures`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.figures.condition import make_condition

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_condition(
            records=[Path(record) for record in snakemake.input.records],
            condition=snakemake.wildcards.condition,
            note=snakemake.params.note,
            seed=snakemake.params.seed,
            arms=snakemake.params.arms,
            single_seed=[Path(output) for output in snakemake.output.single_seed],
            all_seeds=[Path(output) for output in snakemake.output.all_seeds],
            diagnostics=[Path(output) for output in snakemake.output.diagnostics],
        )
