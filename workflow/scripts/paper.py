"""Adapter of the rule `paper`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.core.progress import job, training_progress
from bnpipe.experiments.paper import make_paper

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    label, steps = f"paper {snakemake.wildcards.arm}", snakemake.params.settings["steps"]
    with job(Path(snakemake.log[0])), training_progress(label, steps) as on_evaluation:
        make_paper(
            settings=snakemake.params.settings,
            seeds=snakemake.params.seeds,
            packed=Path(snakemake.input.packed),
            accuracy=Path(snakemake.output.accuracy),
            percentiles=Path(snakemake.output.percentiles),
            on_evaluation=on_evaluation,
        )
