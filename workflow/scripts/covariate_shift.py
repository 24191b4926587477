"""Adapter of the rule `covariate_shift`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.experiments.covariate_shift import make_covariate_shift

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_covariate_shift(
            condition=snakemake.wildcards.condition,
            settings=snakemake.params.settings,
            seeds=snakemake.params.seeds,
            packed=Path(snakemake.input.packed),
            table=Path(snakemake.output.table),
        )
