"""Adapter of the rule `inference`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job, training_progress
from bnpipe.experiments.inference import make_inference

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    steps = snakemake.params.settings["steps"]
    with job(Path(snakemake.log[0])), training_progress("inference", steps) as on_evaluation:
        make_inference(
            settings=snakemake.params.settings,
            seeds=snakemake.params.seeds,
            packed=Path(snakemake.input.packed),
            table=Path(snakemake.output.table),
            on_evaluation=on_evaluation,
        )
