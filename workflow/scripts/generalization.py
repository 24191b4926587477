"""Adapter of the rule `generalization`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.analysis.generalization import make_generalization
from bnpipe.core.progress import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_generalization(
            accuracy=Path(snakemake.input.accuracy),
            swept=snakemake.params.swept,
            table=Path(snakemake.output.table),
        )
