"""Run records: what a stack of runs left behind, in one file that says what it is."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bnpipe.errors import InputError
from bnpipe.files import written_whole
from bnpipe.settings import TrainingSettings

_HEADER = "bnpipe_record"


@dataclass(frozen=True)
class Curves:
    """What was measured on a stack of runs."""

    seeds: NDArray[np.int64]  # (runs,)
    steps: NDArray[np.int64]  # (evaluations,): the steps after whose update the networks were evaluated
    accuracy: NDArray[np.float64]  # (runs, evaluations), validation images, inference mode
    loss: NDArray[np.float64]  # (runs, evaluations), mean cross-entropy of the same
    training_loss: NDArray[np.float32]  # (runs, steps), of each mini-batch before its update, training mode
    test_accuracy: NDArray[np.float64]  # (runs,), after the last step, inference mode
    test_loss: NDArray[np.float64]  # (runs,)
    finite_weights: NDArray[np.uint8]  # (runs,), 1 where all parameters are finite after the last step

    @property
    def first_nonfinite_step(self) -> NDArray[np.int64]:
        """First step whose training loss is not finite, (runs,); -1 where every one is.

        A run whose last update made the parameters non-finite has the last step here.
        """
        bad = ~np.isfinite(self.training_loss)
        bad[:, -1] |= self.finite_weights == 0
        return np.where(bad.any(axis=1), bad.argmax(axis=1), -1)


def join(parts: Sequence[Curves]) -> Curves:
    """Put the runs of several stacks that were evaluated at the same steps into one."""
    steps = parts[0].steps
    measured = [field.name for field in fields(Curves) if field.name != "steps"]
    return Curves(steps=steps, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in measured})


@dataclass(frozen=True)
class Origin:
    """Where a record comes from."""

    dataset: str
    dataset_sha256: str  # of the packed images and labels
    code_sha256: str  # of the package's files that training is built on
    device: str
    versions: dict[str, str]  # of Python and the libraries whose arithmetic was used


@dataclass(frozen=True)
class Record:
    """A stack of runs: what it was, where it comes from, what was measured."""

    condition: str
    settings: TrainingSettings
    origin: Origin
    curves: Curves


def write_record(record: Record, path: Path) -> None:
    """Write a record as a safetensors file: the curves as arrays, all else as JSON in its header."""
    about = {"condition": record.condition, "settings": asdict(record.settings), "origin": asdict(record.origin)}
    arrays = {field.name: np.ascontiguousarray(getattr(record.curves, field.name)) for field in fields(Curves)}
    with written_whole(path) as partial:
        save_file(arrays, partial, metadata={_HEADER: json.dumps(about, sort_keys=True)})


def read_record(path: Path) -> Record:
    """Read a record. Raises InputError, naming the file, where it is missing, damaged or of another version."""
    try:
        with safe_open(path, framework="numpy") as file:
            about: dict[str, Any] = json.loads(file.metadata()[_HEADER])
            curves = Curves(**{field.name: file.get_tensor(field.name) for field in fields(Curves)})
        return Record(
            condition=about["condition"],
            settings=TrainingSettings.from_plain(about["settings"]),
            origin=Origin(**about["origin"]),
            curves=curves,
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a run record ({error}); delete it, the workflow makes it again") from error
