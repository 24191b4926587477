"""Adapter of the rule `claims`."""

from pathlib import Path
from typing import TYPE_CHECKING

from bnpipe.analysis.claims import make_claims
from bnpipe.core.progress import job
from bnpipe.inputs import check_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        check_job(snakemake, "analysis.claims")
        make_claims(
            tables={name: [Path(path) for path in snakemake.input.get(name)] for name in snakemake.params.tables},
            conditions=snakemake.params.conditions,
            smallest_effects=snakemake.params.smallest_effects,
            claims=Path(snakemake.output.claims),
            evidence=Path(snakemake.output.evidence),
        )
