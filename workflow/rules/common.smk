# Shared by all rules, the configuration, the grid of work, and where things are.
import sys
from dataclasses import asdict
from pathlib import Path

from bnpipe.conditions import describe, shareable, stacks, training_settings
from bnpipe.config import parse_configuration
from bnpipe.data.sources import check_mirrors, check_sizes, resolve
from bnpipe.errors import InputError
from bnpipe.provenance import module_files
from bnpipe.settings import FIRST_SEED

try:
    configuration = parse_configuration(config, source="configuration")
    source = resolve(configuration.dataset)
    check_mirrors(configuration.mirrors)
    check_sizes(source, configuration.validation_images, configuration.batch_size)
except InputError as error:
    sys.exit(error.for_terminal())

CONDITIONS = list(configuration.conditions)
ARMS = list(configuration.arms)
STACKS = {(stack.condition, stack.arm, stack.chunk): stack for stack in stacks(configuration)}
# The seed that is shown alone: the tutorial's own where it was run.
SHOWN_SEED = FIRST_SEED if FIRST_SEED in configuration.seeds else configuration.seeds[0]


wildcard_constraints:
    condition="|".join(CONDITIONS),
    arm="|".join(ARMS),
    chunk="[0-9a-f-]+",


# Where things are.


def results(path):
    return f"results/{source.name}/{path}"


def logs(path):
    return f"logs/{source.name}/{path}"


def code(*modules):
    """The package's files that modules are built on: inputs, so that a change re-runs what depends on it."""
    return sorted({str(file) for module in modules for file in module_files(module)})


# Not by workflow.source_path, which copies files to another place for each run: the report would never be up to date.
TEMPLATES = Path(workflow.current_basedir.get_path_or_uri(secret_free=True), "../report").resolve()
PACKED = f"resources/{source.name}/packed.safetensors"
TABLES = {name: results(f"tables/{name}.csv") for name in ("accuracy", "runs", "summary", "comparison", "origins")}
FIGURES = ["overview", *expand("{condition}/{kind}", condition=CONDITIONS, kind=["single_seed", "all_seeds"])]


# Outputs with their place in Snakemake's own report.


def table(name):
    caption = f"../report/table_{name}.rst"
    return report(TABLES[name], caption=caption, category="Tables", labels={"table": name})


def figure(path, condition, shows):
    caption = f"../report/figure_{shows.replace(' ', '_')}.rst"
    labels = {"condition": condition, "shows": shows}
    svg = report(results(f"figures/{path}.svg"), caption=caption, category="Figures", labels=labels)
    return [svg, results(f"figures/{path}.png")]


# What a job is told, by its wildcards.


def stack_settings(wildcards):
    return asdict(training_settings(configuration, wildcards.condition, wildcards.arm))


def stack_seeds(wildcards):
    return STACKS[wildcards.condition, wildcards.arm, wildcards.chunk].seeds


def longest_first(wildcards):
    return configuration.conditions[wildcards.condition].steps


def figure_note(wildcards):
    return f"{describe(configuration.conditions[wildcards.condition])}\n{source.title}"
