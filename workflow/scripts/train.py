"""Adapter of the rule `train`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job, training_progress
from bnpipe.core.settings import CHECKPOINT_SECONDS
from bnpipe.inputs import check_job
from bnpipe.training.job import train_and_record

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        check_job(snakemake, "training.job")
        train_and_record(
            condition=snakemake.params.name,
            settings=snakemake.params.settings,
            seeds=snakemake.params.seeds,
            dataset=snakemake.params.dataset,
            packed=Path(snakemake.input.packed),
            record=Path(snakemake.output.record),
            device=snakemake.params.device,
            tf32=snakemake.params.tf32,
            gpus=snakemake.resources.gpu,
            checkpoint_seconds=snakemake.config.get("checkpoint_seconds", CHECKPOINT_SECONDS),
            on_evaluation=training_progress(" ".join(snakemake.wildcards), snakemake.params.steps),
        )
