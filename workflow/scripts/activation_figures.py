"""Adapter of the rule `activation_figures`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.figures.activations import make_activation_figures

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_activation_figures(
            activations=Path(snakemake.input.activations),
            histograms=Path(snakemake.input.histograms),
            initialization=snakemake.wildcards.start,
            arms=snakemake.params.arms,
            layers_outputs=[Path(output) for output in snakemake.output.layers],
            histograms_outputs=[Path(output) for output in snakemake.output.histograms],
            growth_outputs=[Path(output) for output in snakemake.output.growth],
        )
