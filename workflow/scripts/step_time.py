"""Adapter of the rule `step_time`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.experiments.step_time import make_step_time

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_step_time(
            settings=snakemake.params.settings,
            seeds=snakemake.params.seeds,
            packed=Path(snakemake.input.packed),
            table=Path(snakemake.output.table),
        )
