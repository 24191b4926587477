"""Adapter of the rules that are built on `job`: one call of the function that the rule names.

Its arguments are the rule's named inputs and outputs, as paths or lists of paths, and its parameters.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnpipe.core.progress import job, training_progress
from bnpipe.figures.plain import import_plainly

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def paths(files: Any) -> dict[str, Any]:
    """Turn named files into paths, and named lists of files into lists of paths."""
    return {
        name: Path(file) if isinstance(file, str) else [Path(each) for each in file] for name, file in files.items()
    }


@contextmanager
def progress(function: Any, label: str, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what the function is to report its evaluations to, if it trains networks and takes such an argument."""
    if "on_evaluation" not in signature(function).parameters:
        yield {}
        return
    with training_progress(label, parameters["settings"]["steps"]) as on_evaluation:
        yield {"on_evaluation": on_evaluation}


if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        parameters = {name: value for name, value in snakemake.params.items() if name not in ("call", "code")}
        module, _, name = snakemake.params.call.rpartition(".")
        if module.startswith("figures."):
            import_plainly()
        function = getattr(import_module(f"bnpipe.{module}"), name)
        with progress(function, " ".join([snakemake.rule, *snakemake.wildcards]), parameters) as reporting:
            function(**paths(snakemake.input), **paths(snakemake.output), **parameters, **reporting)
