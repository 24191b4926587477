"""Train a stack of runs on a packed data set and keep its record: the work of the workflow's rule ``train``."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from bnpipe.data.packed import open_dataset
from bnpipe.devices import describe_device, open_device
from bnpipe.provenance import code_digest, versions
from bnpipe.records import Origin, Record, write_record
from bnpipe.settings import Device, TrainingSettings
from bnpipe.train import train_stack


def train_and_record(
    condition: str,
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    dataset: str,
    packed: Path,
    record: Path,
    device: Device = "cpu",
    tf32: bool = False,
    on_evaluation: Callable[[int, Tensor], None] = lambda *_: None,
) -> None:
    """Train one network for each seed and write the record.

    settings: the fields of TrainingSettings. dataset: its name; packed: the file. tf32: whether a GPU multiplies in
    TF32. on_evaluation: see `bnpipe.train.train_stack`. Raises InputError where the packed file or the device cannot
    be used.
    """
    data = open_dataset(packed)
    trained_with = TrainingSettings.from_plain(settings)
    trained_on = open_device(device, tf32)
    curves = train_stack(trained_with, seeds, data, on_evaluation, trained_on)
    origin = Origin(
        dataset=dataset,
        dataset_sha256=data.sha256,
        code_sha256=code_digest("train"),
        device=describe_device(trained_on),
        versions=versions("numpy", "torch"),
    )
    write_record(Record(condition, trained_with, origin, curves), record)
