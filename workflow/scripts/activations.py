"""Adapter of the rule `activations`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.experiments.activations import make_activation_tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_activation_tables(
            arms=snakemake.params.arms,
            seeds=snakemake.params.seeds,
            shown_seed=snakemake.params.shown_seed,
            epsilon=snakemake.params.epsilon,
            activations=Path(snakemake.output.activations),
            histograms=Path(snakemake.output.histograms),
        )
