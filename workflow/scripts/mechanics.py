"""Adapter of the rule `mechanics`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.experiments.mechanics import make_mechanics

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_mechanics(
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            packed=Path(snakemake.input.packed),
            mechanics=Path(snakemake.output.mechanics),
            summary=Path(snakemake.output.summary),
        )
