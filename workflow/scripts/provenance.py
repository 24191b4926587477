"""Adapter of the rules `provenance` and `studies_provenance`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.inputs import check_job
from bnpipe.report.provenance import make_provenance

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        check_job(snakemake, "report.provenance")
        make_provenance(
            files=[Path(file) for file in snakemake.input],
            lineage=snakemake.params.lineage,
            configuration=snakemake.params.configuration,
            dataset=snakemake.params.dataset,
            output=Path(snakemake.output[0]),
        )
