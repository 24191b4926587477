"""Train the runs of a job on a packed data set and write their record: the work of the workflow's rule ``train``."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bnpipe.core.digests import code_digest, versions
from bnpipe.core.errors import InputError
from bnpipe.core.files import exclusive_lock
from bnpipe.core.parts import digests_of, own_parts
from bnpipe.core.records import Origin, Record, read_record, write_record
from bnpipe.core.settings import CHECKPOINT_SECONDS, Device, Runs
from bnpipe.data.packed import open_dataset
from bnpipe.training.checkpoints import keeping_checkpoints, remove_checkpoints
from bnpipe.training.engines import granted_engine
from bnpipe.training.failures import locate_failures
from bnpipe.training.train import train_runs
from bnpipe.training.trainer import OnEvaluation

log = logging.getLogger(__name__)


def train_and_record(
    condition: str,
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    dataset: str,
    packed: Path,
    record: Path,
    device: Device = "cpu",
    tf32: bool = False,
    gpus: int = 1,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    on_evaluation: OnEvaluation = lambda *_: None,
) -> None:
    """Train one network for each seed and write the record; resume from a checkpoint if an earlier job left one.

    If another job is writing the same record, for example one that outlived the command that started it, wait for it.
    If there is a record of the same condition, settings, seeds and origin by then, keep it and train nothing.

    settings: see `bnpipe.core.settings.Runs.from_plain`. dataset: its name; packed: the file. tf32: whether a GPU
    multiplies in TF32. gpus: how many the job was granted, 0 or 1. checkpoint_seconds: see
    `bnpipe.training.checkpoints.keeping_checkpoints`. on_evaluation: see `bnpipe.training.train.train_runs`. Raises
    InputError if the packed file or the device cannot be used, the record cannot be written, or another job writes it
    for too long.
    """
    data = open_dataset(packed)
    runs = Runs.from_plain(settings, seeds)
    with exclusive_lock(record), granted_engine(runs.settings, device, tf32, gpus) as engine:
        origin = Origin(
            dataset=dataset,
            dataset_sha256=data.sha256,
            code_sha256=code_digest("training.job"),
            device=engine.description,
            versions=versions(*engine.libraries),
            parts=digests_of(own_parts(runs.settings)),
        )
        if _is_there(record, condition, runs, origin):
            log.info("%s: made by another job meanwhile, from the same data, code and settings; it is kept", record)
        else:
            work = {"condition": condition, "settings": runs.to_plain(), "seeds": runs.seeds, "origin": asdict(origin)}
            with keeping_checkpoints(record, work, checkpoint_seconds) as checkpoints:
                curves = train_runs(runs, data, on_evaluation, engine, checkpoints)
            if runs.settings.diagnostics:
                curves = replace(curves, failure=locate_failures(runs, curves, data.train, engine))
            write_record(Record(condition, runs.each, origin, curves), record)
        remove_checkpoints(record)


def _is_there(path: Path, condition: str, runs: Runs, origin: Origin) -> bool:
    """Return whether there is a record of exactly this work."""
    try:
        found = read_record(path)
    except InputError:
        return False
    made = (found.condition, found.settings, tuple(found.curves.seeds.tolist()), found.origin)
    return made == (condition, runs.each, runs.seeds, origin)
