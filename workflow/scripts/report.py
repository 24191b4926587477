"""Adapter of the rule `report`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.inputs import check_job
from bnpipe.report.pages import Pages
from bnpipe.report.report import make_report

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        check_job(snakemake, "report.report")
        make_report(
            pages=Pages(
                results=Path(snakemake.output[0]).parent,
                templates=Path(snakemake.input.templates[0]).parent,
                dataset=snakemake.params.dataset,
                is_mnist=snakemake.params.is_mnist,
                lineage=snakemake.params.lineage,
            ),
            tutorial=Path(snakemake.input.tutorial),
            configuration=snakemake.params.configuration,
            conditions=snakemake.params.conditions,
            studies=snakemake.params.studies,
            dataset_name=snakemake.params.dataset_name,
            shown_seed=snakemake.params.shown_seed,
        )
