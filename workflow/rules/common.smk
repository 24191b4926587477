# The configuration, what is made from it (`plan`), the parameters of a job by its wildcards (`jobs`), and the helpers
# that rules are written with. `bnpipe.grid` holds the logic.
import sys

from bnpipe.core.digests import code_digest
from bnpipe.core.errors import InputError
from bnpipe.data.mirrors import check_mirrors
from bnpipe.data.sources import resolve, shape_of, split_sizes
from bnpipe.grid.checks import check
from bnpipe.grid.config import parse_configuration
from bnpipe.grid.descriptions import shareable
from bnpipe.grid.entrants import PAIR
from bnpipe.grid.expected import check_records
from bnpipe.grid.internals import (
    all_cores,
    check_interpreter,
    folder_of_rules,
    guard_slurm,
    has_memory,
    hide_secrets,
    lineage_of,
    narrate,
)
from bnpipe.grid.parameters import Parameters
from bnpipe.grid.plan import INITIALIZATIONS, Plan
from snakemake.logging import logger

hide_secrets(logger)
narrate(workflow, logger)

try:
    configuration = parse_configuration(given.values, given.files)
    with given.place_of("dataset"):
        source = resolve(configuration.dataset)
    with given.place_of("mirrors"):
        check_mirrors(configuration.mirrors)
    images = split_sizes(source, configuration.validation_images)
    refused = check(configuration, given, images, shape_of(source))
except InputError as error:
    sys.exit(error.for_terminal())

config["mirrors"] = list(configuration.mirrors)  # for the script of the rule `data`
plan = Plan(configuration, source.name, source.title)
try:
    if not has_memory():  # Snakemake would consider results of another configuration up to date
        check_records(plan.present_records(), plan.expected_records(plan.conditions, plan.studies))
except InputError as error:
    sys.exit(error.for_terminal())
layout = plan.layout
jobs = Parameters(plan, refused)
ROOT = folder_of_rules(workflow).parents[1]
PAGES = ROOT / "bnpipe/report/templates"
lineage = lineage_of(workflow, source.name, ROOT)
lineage_of_page = lineage_of(workflow, source.name, ROOT, without_records=True)


wildcard_constraints:
    condition="[A-Za-z][A-Za-z0-9_-]*",  # a pattern of thousands of names would take minutes to match
    arm="|".join(dict.fromkeys([*plan.arms, *PAIR])),  # experiments use the pair, whatever the arms are
    chunk="[0-9a-f-]+",
    study="[A-Za-z][A-Za-z0-9_-]*",
    entrant="[a-z0-9-]+",
    grid="tuning|preview",
    stack="[A-Za-z][A-Za-z0-9_]*-[0-9a-f]+",


# What a job calls, the resources that it gets, and its parameters.


def calls(function, **parameters):
    """Return the parameters of a job that calls a function of the package.

    They are the function's name, the digest of the code that it is built on, and its arguments. Name and digest come
    from one place, so that they cannot disagree.
    """
    return {"call": function, "code": code_digest(function.rpartition(".")[0]), **parameters}


def growing(amount):
    """Return a resource of `amount` at the first attempt, twice that at the second, and so on."""

    def at(wildcards, attempt):
        return amount * attempt

    return at


def told(parameter):
    """Return a parameter that depends on wildcards; an unknown name gives an error of one line."""

    def by_wildcards(wildcards):
        try:
            return parameter(wildcards)
        except InputError as error:
            raise WorkflowError(str(error)) from error

    return by_wildcards


# Outputs with their place in Snakemake's own report. `caption` names a file of `workflow/report/captions/`.


def table(name, group, caption):
    return _shown(layout.table(name), "Tables", group, caption, table=name)


def study_table(study, name, caption):
    return _shown(layout.study_table(study, name), "Tables", "Studies", caption, study=study, table=name)


def figure(name, group, caption, **labels):
    svg, png = layout.figure(name)
    return [_shown(svg, "Figures", group, caption, **labels), png]


def page(name):
    return _shown(layout.results(f"{name}.html"), "Report", None, name, page=name)


def _shown(path, category, group, caption, **labels):
    caption = f"../report/captions/{caption}.rst"
    return report(path, caption=caption, category=category, subcategory=group, labels=labels)


def templates(name):
    """Return the files that a page is rendered from."""
    return [str(PAGES / file) for file in (f"{name}.html.j2", "base.html.j2", "parts.html.j2", "page.css", "page.js")]
