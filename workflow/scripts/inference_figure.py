"""Adapter of the rule `inference_figure`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.figures.inference import make_inference_figure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_inference_figure(
            inference=Path(snakemake.input.table),
            note=snakemake.params.note,
            outputs=[Path(output) for output in snakemake.output],
        )
