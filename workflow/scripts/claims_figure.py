"""Adapter of the rule `claims_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.figures.claims import make_claims_figure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_claims_figure(
            claims=Path(snakemake.input.claims),
            note=snakemake.params.note,
            outputs=[Path(output) for output in snakemake.output],
        )
