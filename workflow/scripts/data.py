"""Adapter of the rule `data`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job
from bnpipe.data.prepare import prepare
from bnpipe.inputs import check_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        check_job(snakemake, "data.cifar", "data.digits", "data.idx", "data.packed")
        prepare(
            dataset=snakemake.params.dataset,
            mirrors=snakemake.config.get("mirrors", ()),
            validation_images=snakemake.params.validation_images,
            download_folder=Path(snakemake.output.packed).parent,
            packed=Path(snakemake.output.packed),
        )
