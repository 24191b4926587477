"""Check that the records that a job reads were made as planned.

Snakemake remembers what made a file, but its memory can be deleted, bypassed (`--rerun-triggers mtime`, `--touch`) or
left behind in a copy. A record describes itself, so a job can check it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bnpipe.core.digests import short_digest
from bnpipe.core.errors import InputError
from bnpipe.core.parts import digests_of, is_own, own_parts
from bnpipe.core.paths import portable
from bnpipe.core.records import Label, read_label
from bnpipe.grid.config import Configuration, parse_configuration
from bnpipe.grid.layout import Layout
from bnpipe.grid.stacks import Stack, condition_stacks, study_stacks

# The keys, besides conditions and studies, that decide which runs there are and what they are trained with.
TRAINING_KEYS = {
    "arms",
    "batch_size",
    "chunk_size",
    "device",
    "diagnostics",
    "evaluation_interval",
    "hidden_sizes",
    "keep_weights",
    "normalization",
    "runs_per_job",
    "seeds",
}

# Fixed values for the keys of a study that do not affect its runs.
NO_MATTER = {"about": "of no matter to a record", "default": False}


def expected_records(
    configuration: Configuration, dataset: str, code: str, conditions: Iterable[str] = (), studies: Iterable[str] = ()
) -> dict[str, Any]:
    """Return, as plain values, everything that is expected of the records of some conditions and studies.

    dataset: its name in paths. code: the digest of the code that trains. The rest of the configuration is left out, so
    that a change there does not make a job run again.
    """
    shared = configuration.model_dump(mode="json", include=TRAINING_KEYS)
    named = configuration.model_dump(mode="json", include={"conditions", "studies"}, exclude_defaults=True)
    conditions, studies = list(conditions), list(studies)
    wanted = {
        "conditions": {name: named["conditions"][name] for name in conditions},
        "studies": {name: {**named["studies"][name], **NO_MATTER} for name in studies},
    }
    parts = digests_of(filter(is_own, _parts(configuration, conditions, studies)))
    return {"dataset": dataset, "code": code, "parts": parts, "configuration": {**shared, **wanted}}


def check_records(records: Iterable[Path], expected: Mapping[str, Any], dataset_sha256: str | None = None) -> None:
    """Check every record against what `expected_records` returned.

    dataset_sha256: of the images and labels that the runs must have been trained on; None: of any, if it is the same in
    all records. Raises InputError, naming the record, the key and both values, if a record differs. Nothing is deleted.
    """
    planned = _stacks(expected)
    for path in records:
        name = portable(path.as_posix(), expected["dataset"])
        if name not in planned:
            raise InputError(f"{path}: expected a record that the configuration asks for; run the same command again")
        label = read_label(path)
        dataset_sha256 = dataset_sha256 or label.origin.dataset_sha256
        difference = _first_difference(_expected_label(planned[name], expected, dataset_sha256), _label(label))
        if difference:
            raise InputError(f"{path}: {difference}; delete this record to train it again, or undo the change")


def _parts(configuration: Configuration, conditions: Sequence[str], studies: Sequence[str]) -> set[str]:
    """Return the arms, nonlinearities and optimizers of some conditions and studies."""
    asked = [configuration.conditions[name] for name in conditions]
    arms = {*configuration.arms} if asked else set()
    for study in (configuration.studies[name] for name in studies):
        asked += study.cells
        arms |= {*(study.arms or configuration.arms)}
    return arms | {part for condition in asked for part in (condition.activation, condition.optimizer)}


def _stacks(expected: Mapping[str, Any]) -> dict[str, Stack]:
    """Return the planned stacks by the paths of their records."""
    values = dict(expected["configuration"])
    conditions, studies = list(values["conditions"]), list(values["studies"])
    if not conditions:  # a configuration needs at least one
        values["conditions"] = {name: study["condition"] for name, study in values["studies"].items()}
    configuration, layout = parse_configuration(values), Layout(expected["dataset"])
    stacks = [stack for name in conditions for stack in condition_stacks(configuration, name)]
    stacks += [stack for name in studies for stack in study_stacks(configuration, name)]
    return {layout.record(stack): stack for stack in stacks}


def _expected_label(stack: Stack, expected: Mapping[str, Any], dataset_sha256: str) -> dict[str, Any]:
    """Return what a record of a stack is expected to say about itself, key by key."""
    return {
        "condition": stack.group,
        "seeds": stack.runs.seeds,
        **_by_key([asdict(run) for run in stack.runs.each]),
        "dataset": expected["dataset"],
        "data": short_digest(dataset_sha256),
        "device": expected["configuration"]["device"],
        "training code": short_digest(expected["code"]),
        **{f"code of {part}": short_digest(expected["parts"][part]) for part in own_parts(stack.runs.settings)},
    }


def _label(label: Label) -> dict[str, Any]:
    """Return what a record says about itself, in the same form."""
    return {
        "condition": label.condition,
        "seeds": label.seeds,
        **_by_key([asdict(run) for run in label.settings]),
        "dataset": label.origin.dataset,
        "data": short_digest(label.origin.dataset_sha256),
        "device": label.origin.device.partition(" ")[0],  # without the name of the GPU
        "training code": short_digest(label.origin.code_sha256),
        **{f"code of {part}": short_digest(digest) for part, digest in label.origin.parts.items()},
    }


def _by_key(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the settings of runs side by side: for each key the values of all runs, or one value if all are the same."""
    values = {key: [run[key] for run in runs] for key in runs[0]}
    return {key: each[0] if each == [each[0]] * len(each) else tuple(each) for key, each in values.items()}


def _first_difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    for key, value in expected.items():
        if found.get(key) != value:
            return f"{key}: expected {_shown(value)}, as planned, got {_shown(found.get(key))}"
    return None


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
