# Shared by all rules, the configuration, the grid of work, and where things are.
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path

from bnpipe.grid.stacks import (
    check_widths,
    describe,
    describe_shared,
    first_of_each_activation,
    largest_batch,
    shareable,
    stacks,
    study_stacks,
    training_settings,
)
from bnpipe.grid.config import parse_configuration
from bnpipe.data.sources import check_mirrors, check_sizes, resolve
from bnpipe.core.errors import InputError
from bnpipe.core.digests import code_digest
from bnpipe.core.settings import FIRST_SEED
from snakemake.iocontainers import Wildcards

try:
    configuration = parse_configuration(config, configuration_files)
    source = resolve(configuration.dataset)
    check_mirrors(configuration.mirrors)
    check_sizes(source, configuration.validation_images, largest_batch(configuration))
    check_widths(configuration)
except InputError as error:
    sys.exit(error.for_terminal())


def plain_settings(condition, arm):
    return asdict(training_settings(configuration, condition, arm))


CONDITIONS = list(configuration.conditions)
ARMS = list(configuration.arms)
STACKS = {(stack.condition, stack.arm, stack.chunk): stack for stack in stacks(configuration)}
CHUNKS = list(dict.fromkeys(chunk for _, _, chunk in STACKS))
# The condition that is looked into more closely, with batch normalization whatever the arms.
FIRST = CONDITIONS[0]
EXAMINED = CONDITIONS[:20]  # as many as fit into a figure
EXAMINED_NOTE = (
    source.title if EXAMINED == CONDITIONS else f"{source.title}, first {len(EXAMINED)} of {len(CONDITIONS)} conditions"
)
FIRST_SETTINGS = plain_settings(configuration.conditions[FIRST], "batchnorm")
STUDIES = list(configuration.studies)
# The seed that is shown alone: the tutorial's own where it was run.
SHOWN_SEED = FIRST_SEED if FIRST_SEED in configuration.seeds else configuration.seeds[0]
# Those that are looked into more closely, as many as one job bears: an interval gains little from more.
EXAMINED_SEEDS = tuple(sorted({SHOWN_SEED, *configuration.seeds[:30]}))


wildcard_constraints:
    condition="[A-Za-z][A-Za-z0-9_-]*",  # all names at once would take minutes to match with thousands of them
    arm="|".join(ARMS),
    chunk="[0-9a-f-]+",
    study="[A-Za-z][A-Za-z0-9_-]*",
    stack="[a-z]+-[0-9a-f]+",


# Where things are.


def results(path):
    return f"results/{source.name}/{path}"


def logs(path):
    return f"logs/{source.name}/{path}"


def record(stack):
    return results(f"runs/{stack.condition}/{stack.arm}/seeds-{stack.chunk}.safetensors")


def study_record(stack):
    return results(f"studies/{stack.study}/runs/{stack.name}.safetensors")


def study_file(name, table):
    return results(f"studies/{name}/{table}.csv")


def study_files(names):
    return [study_file(name, table) for name in names for table in ("accuracy", "runs", "summary")]


def templates(page):
    return [
        str(TEMPLATES / name) for name in (f"{page}.html.j2", "base.html.j2", "parts.html.j2", "page.css", "page.js")
    ]


# Not by workflow.source_path, which copies files to another place for each run: the report would never be up to date.
TEMPLATES = Path(workflow.current_basedir.get_path_or_uri(secret_free=True), "../report").resolve()
PACKED = f"resources/{source.name}/packed.safetensors"
RUN_TABLES = ["accuracy", "layers", "runs", "summary", "comparison", "origins"]
EXPERIMENT_TABLES = [
    *["activations", "histograms", "initial_layers", "initialization"],
    *["mechanics", "mechanics_summary", "inference", "claims", "evidence"],
]
TABLES = {name: results(f"tables/{name}.csv") for name in RUN_TABLES + EXPERIMENT_TABLES}
CLAIM_TABLES = ["accuracy", "runs", "initialization", "inference"]
INITIALIZATIONS = ["small", "xavier", "unit"]
DEFAULT_STUDIES = [name for name, study in configuration.studies.items() if study.default]
CONDITION_FIGURES = ["single_seed", "all_seeds", *["diagnostics"] * configuration.diagnostics]
# What the page shows.
FIGURES = [
    *["overview", "states", "claims", "mechanics", "inference", "initialization/growth"],
    *expand("initialization/{start}_{kind}", start=INITIALIZATIONS, kind=["layers", "histograms", "growth"]),
    *expand("{condition}/{kind}", condition=EXAMINED, kind=CONDITION_FIGURES),
    *[f"studies/{name}" for name in DEFAULT_STUDIES],
]


# Studies that are more than a grid compare a pair of networks under the first condition of each nonlinearity.
PAIR = ["vanilla", "batchnorm"]
ONE_OF_EACH = {
    name: {arm: plain_settings(condition, arm) for arm in PAIR}
    for name, condition in first_of_each_activation(configuration)
}
SHIFT_TABLES = expand(results("studies/covariate_shift/{condition}-{arm}.csv"), condition=ONE_OF_EACH, arm=PAIR)
ALL_CLAIM_TABLES = {
    **{name: [TABLES[name]] for name in CLAIM_TABLES},
    "covariate_shift": SHIFT_TABLES,
    "scale_equivalence": [results("studies/scale_equivalence/scale_equivalence.csv")],
    "step_time": [results("studies/step_time/step_time.csv")],
}
if "learning_rate_and_init" in STUDIES:
    ALL_CLAIM_TABLES["learning_rate_and_init"] = [study_file("learning_rate_and_init", "runs")]
if "regularization" in STUDIES:
    ALL_CLAIM_TABLES["regularization"] = [results("studies/regularization/generalization.csv")]


PAPER_TABLES = expand(
    results("studies/paper/{table}-{arm}.csv"),
    table=["accuracy", "percentiles"],
    arm=PAIR if configuration.paper else [],
)
PAPER_SEEDS = configuration.seeds[: configuration.paper.seeds] if configuration.paper else ()
# What stands on the page of studies beside those of the configuration.
EXPERIMENTS = {
    "covariate_shift": {
        "about": "Does batch normalization reduce internal covariate shift?",
        "caption": "How far a layer's gradient moves, and turns, when the layers below it take their step (Santurkar "
        "et al. 2018): relative change and cosine, every seed and their mean.",
    },
}
if configuration.paper:
    EXPERIMENTS["paper"] = {
        "about": "Does the paper's own experiment come out as it says (Ioffe & Szegedy 2015, section 4.1, figure 1)?",
        "caption": "Accuracy on the validation images, and the 15th, 50th and 85th percentile of the input of one "
        "sigmoid of the last hidden layer, without and with batch normalization.",
    }
STUDY_FIGURES = ["all_claims", *[f"studies/{name}" for name in [*STUDIES, *EXPERIMENTS]]]


# Outputs with their place in Snakemake's own report.


def table(name):
    return _table(results(f"tables/{name}.csv"), name.removeprefix("all_"), TABLE_GROUPS[name], table=name)


def study_table(study, name, caption=None):
    return _table(study_file(study, name), caption or name, "Studies", study=study, table=name)


def _table(path, caption, group, **labels):
    caption = f"../report/table_{caption}.rst"
    return report(path, caption=caption, category="Tables", subcategory=group, labels=labels)


def figure(path, shows, group, **labels):
    caption = f"../report/figure_{shows.replace(' ', '_')}.rst"
    labels = {**labels, "shows": shows}
    svg = report(results(f"figures/{path}.svg"), caption=caption, category="Figures", subcategory=group, labels=labels)
    return [svg, results(f"figures/{path}.png")]


TABLE_GROUPS = {
    **dict.fromkeys(RUN_TABLES, "Runs"),
    **dict.fromkeys(EXPERIMENT_TABLES, "Closer looks"),
    **dict.fromkeys(["claims", "evidence", "all_claims", "all_evidence"], "Claims"),
}


# What a job is granted.


def growing(amount):
    """Return a resource of `amount` at the first attempt, twice that at the second, and so on."""

    def at(wildcards, attempt):
        return amount * attempt

    return at


# What a job is told, by its wildcards.


def known(condition):
    if condition not in configuration.conditions:
        raise WorkflowError(f"condition: found {condition}; permitted is {', '.join(CONDITIONS[:20])}")
    return configuration.conditions[condition]


def known_stack(wildcards):
    known(wildcards.condition)
    if (wildcards.condition, wildcards.arm, wildcards.chunk) not in STACKS:
        raise WorkflowError(f"seeds: found {wildcards.chunk}; permitted is {', '.join(CHUNKS[:20])}")
    return STACKS[wildcards.condition, wildcards.arm, wildcards.chunk]


def condition_records(wildcards):
    known(wildcards.condition)
    return [record(STACKS[wildcards.condition, arm, chunk]) for arm in ARMS for chunk in CHUNKS]


def condition_figures(wildcards):
    names = expand("{condition}/{kind}", condition=CONDITIONS, kind=CONDITION_FIGURES)
    return [results(f"figures/{name}.{format}") for name in names for format in ("svg", "png")]


def all_records(wildcards):
    return [record(stack) for stack in STACKS.values()]


def records_of_studies(names):
    """Return what tells the records of studies once they are asked for."""
    return lambda wildcards: [study_record(stack) for name in names for stack in stacks_of(name).values()]


def stack_settings(wildcards):
    stack = known_stack(wildcards)
    return plain_settings(configuration.conditions[stack.condition], stack.arm)


def examined_settings():
    return {name: {arm: plain_settings(configuration.conditions[name], arm) for arm in ARMS} for name in EXAMINED}


def condition_settings(wildcards):
    return {
        name: condition.model_dump(mode="json", exclude_defaults=True)
        for name, condition in configuration.conditions.items()
    }


def stack_seeds(wildcards):
    return known_stack(wildcards).seeds


def steps(wildcards):
    return known(wildcards.condition).steps


def study_of(wildcards):
    if wildcards.study not in STUDIES:
        raise WorkflowError(f"study: found {wildcards.study}; permitted is {', '.join(STUDIES)}")
    return configuration.studies[wildcards.study]


@cache  # and no sooner than it is asked for: every job of a cluster reads this file anew
def stacks_of(study):
    return {stack.name: stack for stack in study_stacks(configuration, study)}


def study_records(wildcards):
    study_of(wildcards)
    return [study_record(stack) for stack in stacks_of(wildcards.study).values()]


def swept(wildcards):
    return list(study_of(wildcards).sweep)


def paper_settings(wildcards):
    if configuration.paper is None:
        raise WorkflowError("paper: found nothing in the configuration; permitted is a condition, see README.md")
    return plain_settings(configuration.paper.condition, wildcards.arm)


def swept_in(name):
    return list(configuration.studies[name].sweep) if name in STUDIES else []


def pair_settings(wildcards):
    return ONE_OF_EACH[wildcards.condition][wildcards.arm]


def known_study_stack(wildcards):
    study_of(wildcards)
    if wildcards.stack not in stacks_of(wildcards.study):
        raise WorkflowError(f"study {wildcards.study}: has no stack {wildcards.stack}; ask for its figure instead")
    return stacks_of(wildcards.study)[wildcards.stack]


def study_settings(wildcards):
    stack = known_study_stack(wildcards)
    return {**asdict(stack.settings), "learning_rate": stack.learning_rates, "init_std": stack.init_stds}


def study_steps(wildcards):
    return known_study_stack(wildcards).settings.steps


def study_seeds(wildcards):
    return known_study_stack(wildcards).seeds


def study_note(wildcards):
    return f"{source.title}; {describe_shared(study_of(wildcards))}"


def study_about(wildcards):
    return study_of(wildcards).about


def figure_note(wildcards):
    return f"{describe(known(wildcards.condition))}\n{source.title}"


# Where results come from, as pages and provenance.json show it.


def lineage(wildcards, input):
    """Return which rule makes every input of a job, by which code, from what."""
    return {file: made for file in map(str, input) for made in [made_by(file)] if made}


def made_by(file):
    makers = [rule for rule in workflow.rules if rule.is_producer(file)]
    if not makers:
        return None
    maker = min(makers, key=lambda rule: rule.has_wildcards())  # as Snakemake chooses
    inputs, *_ = maker.expand_input(Wildcards(fromdict=maker.get_wildcards(file)))
    made_from = [without_machine(Path(path)) for path in inputs]
    return {"rule": maker.name, "code_sha256": getattr(maker.params, "code", ""), "made_from": made_from}


def without_machine(path):
    if path.is_relative_to(TEMPLATES.parents[1]):
        return str(path.relative_to(TEMPLATES.parents[1]))
    return path.name if path.is_absolute() else str(path)
