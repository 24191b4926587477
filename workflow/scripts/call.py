"""Adapter of the rules that are built on `job`: one call of the function that the rule names.

Its arguments are the rule's named inputs and outputs, as paths or lists of paths, and its parameters.
"""

from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnpipe.core.progress import job, training_progress
from bnpipe.figures.plain import import_plainly
from bnpipe.inputs import check_job, paths

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

OWN = ("call", "code", "expected", "parts")  # parameters for the adapter itself


def reporting(function: Any, label: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the argument to which the function reports its evaluations, if it trains networks and has one."""
    if "on_evaluation" not in signature(function).parameters:
        return {}
    return {"on_evaluation": training_progress(label, arguments["settings"]["steps"])}


if __name__ == "__main__":
    with job(Path(snakemake.log[0])):
        module, _, name = snakemake.params.call.rpartition(".")
        if module.startswith("figures."):
            import_plainly()
        function = getattr(import_module(f"bnpipe.{module}"), name)
        check_job(snakemake, module)
        # Inputs that are only checked are not arguments.
        taken = signature(function).parameters
        inputs = {name: files for name, files in paths(snakemake.input).items() if name in taken}
        arguments = {name: value for name, value in snakemake.params.items() if name not in OWN}
        label = " ".join([snakemake.rule, *snakemake.wildcards])
        function(**inputs, **paths(snakemake.output), **arguments, **reporting(function, label, arguments))
