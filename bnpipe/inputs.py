"""Check that a job runs the code and reads the files that it was planned with. Every adapter does this first.

Snakemake remembers what made a file. Its memory can be deleted, bypassed or left behind in a copy, and it does not see
what a job imports. So code has a digest, packed data sets and run records describe themselves, and every job checks.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bnpipe.core.digests import check_code
from bnpipe.core.parts import check_parts
from bnpipe.data.header import check_split


def check_job(snakemake: Any, *modules: str) -> None:
    """Check the code, the user's own parts and the inputs of a job.

    snakemake: the object that Snakemake hands to a script. modules: those that the job's code digest covers. Raises
    InputError as `bnpipe.core.digests.check_code`, `bnpipe.core.parts.check_parts` and `check_inputs` do.
    """
    check_code(snakemake.params.code, *modules, beside=Path(snakemake.scriptdir).resolve().parents[1])
    check_parts(snakemake.params.get("parts"))
    check_inputs(paths(snakemake.input), snakemake.params.get("expected"))


def check_inputs(inputs: Mapping[str, Path | Sequence[Path]], expected: Mapping[str, Any] | None) -> None:
    """Check the packed data set and the records among a job's inputs, if there are any.

    inputs: by name; "packed" is the data set, "records" and "records_of_studies" are lists of run records. expected:
    `bnpipe.grid.plan.Plan.expected_data`, or `expected_records` if there are records; None if there is nothing to
    check. Raises InputError, naming the file, the key and both values, if a file is not what was expected.
    """
    if expected is None:
        return
    sha256 = None
    if isinstance(packed := inputs.get("packed"), Path):
        sha256 = check_split(packed, expected["validation_images"]).sha256
    records = [*_list(inputs, "records"), *_list(inputs, "records_of_studies")]
    if records:
        # Imported here because it loads the configuration's code, which most jobs do not need.
        from bnpipe.grid.expected import check_records

        check_records(records, expected, sha256)


def paths(files: Any) -> dict[str, Any]:
    """Turn named files into paths, and named lists of files into lists of paths."""
    return {
        name: Path(file) if isinstance(file, str) else [Path(each) for each in file] for name, file in files.items()
    }


def _list(inputs: Mapping[str, Path | Sequence[Path]], name: str) -> Sequence[Path]:
    found = inputs.get(name, [])
    return [found] if isinstance(found, Path) else found
