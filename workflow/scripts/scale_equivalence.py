"""Adapter of the rule `scale_equivalence`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.experiments.scale_equivalence import make_scale_equivalence

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_scale_equivalence(
            settings=snakemake.params.settings,
            seeds=snakemake.params.seeds,
            packed=Path(snakemake.input.packed),
            table=Path(snakemake.output.table),
        )
