"""Adapter of the rule `studies_report`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.progress import job
from bnpipe.report import make_study_report

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        make_study_report(
            results=Path(snakemake.output[0]).parent,
            template=Path(snakemake.input.templates[0]),
            configuration=snakemake.params.configuration,
            experiments=snakemake.params.experiments,
            dataset=snakemake.params.dataset,
            is_mnist=snakemake.params.is_mnist,
            output=Path(snakemake.output[0]),
        )
