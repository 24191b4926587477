"""What all parts of `benchmarks.gpu` share: the device, the images and the scale of the work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.default_grid import settings_of
from benchmarks.gpu_notes import SkippedError
from benchmarks.made_up import make_dataset
from benchmarks.training import COMPARED_STACK, STACKS
from bnpipe.core.settings import Arm, Device, TrainingSettings
from bnpipe.data.packed import Dataset, open_dataset
from bnpipe.modules.devices import open_gpu

MEGABYTE = 2**20


@dataclass(frozen=True)
class Scale:
    """The scale of the work."""

    images: tuple[int, int, int]  # numbers of made-up images: training, validation, test
    steps: int  # of the comparison in single precision
    stacks: tuple[int, ...]  # networks side by side; the steps of each stack are measured
    compared_stack: int  # networks in the stack that is also measured in TF32
    rounds: int  # of a measurement
    round_steps: int  # in a round
    seeds: int  # of the grid, for each condition and arm
    room: int  # bytes left free in the check of whether the reported number of networks fits
    most_wanted: int  # networks that this check asks for
    changes: Mapping[str, Any]  # changes to all settings


FULL = Scale((55_000, 5000, 10_000), 601, STACKS["cuda"], COMPARED_STACK["cuda"], 7, 60, 100, 2**31, 10_000, {})
QUICK = Scale(
    (600, 200, 100), 25, (1, 2), 2, 2, 3, 2, 2**21, 4, {"hidden_sizes": (10, 10), "steps": 9, "evaluation_interval": 4}
)


@dataclass(frozen=True)
class Setup:
    """What all sections share."""

    name: Device
    dataset: Dataset
    scale: Scale
    failures: Mapping[str, str]  # why packages cannot be imported, by name

    @property
    def few(self) -> Dataset:
        """A few of the images, for comparisons with a CPU."""
        data = self.dataset
        return Dataset(data.train.first(1000), data.validation.first(700), data.test.first(300), data.sha256)

    def open(self, tf32: bool = False) -> torch.device:
        """Open the device that is checked."""
        return open_gpu(tf32) if self.name == "cuda" else torch.device("cpu")

    def settings(self, condition: str, arm: Arm, **changes: Any) -> TrainingSettings:
        """Return the settings of a condition and arm of the default grid."""
        return settings_of(condition, arm, **{**self.scale.changes, **changes})

    def only_on_a_gpu(self) -> None:
        """Raise SkippedError on a CPU."""
        if self.name == "cpu":
            raise SkippedError("needs a GPU")


def set_up(name: Device, packed: Path | None, quick: bool, failures: Mapping[str, str]) -> tuple[Setup, dict[str, Any]]:
    """Return what all sections share, and a description of the images."""
    scale = QUICK if quick else FULL
    dataset = open_dataset(packed) if packed else make_dataset(*scale.images)
    splits = {split: len(getattr(dataset, split)) for split in ("train", "validation", "test")}
    about = {"what": packed.name, "sha256": dataset.sha256} if packed else {"what": "made up, in the shape of MNIST"}
    return Setup(name, dataset, scale, failures), {**about, **splits}
