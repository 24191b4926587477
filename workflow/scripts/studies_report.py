"""Adapter of the rule `studies_report`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.inputs import check_job
from bnpipe.report.pages import Pages
from bnpipe.report.studies import make_study_report

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        check_job(snakemake, "report.studies")
        make_study_report(
            pages=Pages(
                results=Path(snakemake.output[0]).parent,
                templates=Path(snakemake.input.templates[0]).parent,
                dataset=snakemake.params.dataset,
                is_mnist=snakemake.params.is_mnist,
                lineage=snakemake.params.lineage,
            ),
            configuration=snakemake.params.configuration,
            experiments=snakemake.params.experiments,
            texts=Path(snakemake.input.texts),
        )
