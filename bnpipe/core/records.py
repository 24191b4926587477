"""Run records: the results of a stack of runs, in one file that describes itself."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write_bytes
from bnpipe.core.parts import short_name
from bnpipe.core.settings import TrainingSettings

Arrays = Mapping[str, NDArray[Any]]  # by name

TRAINING_SET = ("training_set_accuracy", "training_set_loss")
_HEADER = "bnpipe_record"
_WEIGHTS = "weights."
_BY_NAME = ("diagnostics", "weights")  # fields of Curves that hold arrays by name: in the file, field.name


@dataclass(frozen=True)
class Curves:
    """What was measured on a stack of runs. If a run stopped early, its arrays hold nan from there on."""

    seeds: NDArray[np.int64]  # (runs,)
    steps: NDArray[np.int64]  # (evaluations,): the steps after whose update the networks were evaluated
    accuracy: NDArray[np.float64]  # (runs, evaluations), validation images, inference mode
    loss: NDArray[np.float64]  # (runs, evaluations), mean cross-entropy of the same
    training_loss: NDArray[np.float32]  # (runs, steps), of each mini-batch before its update, training mode
    test_accuracy: NDArray[np.float64]  # (runs,), after the last step of each run, inference mode
    test_loss: NDArray[np.float64]  # (runs,)
    finite_weights: NDArray[np.uint8]  # (runs,), 1 where all parameters are finite after the last step
    training_set_accuracy: NDArray[np.float64] | None = None  # as `accuracy`, of training images; None: not measured
    training_set_loss: NDArray[np.float64] | None = None
    # By name, (runs, evaluations) or (runs, evaluations, layers): see `bnpipe.training.diagnostics.diagnose`.
    diagnostics: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    failure: NDArray[np.int64] | None = None  # (runs, 3): see `bnpipe.training.failures.locate_failures`
    stopped_after: NDArray[np.int64] | None = None  # (runs,), steps that each run took; None: all of them
    # What each run computes with after its last step, by name, (runs, ...): `bnpipe.training.engines.Stack.weights`.
    # Empty unless the settings say `keep_weights`, and always empty in what `read_record` returns.
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def steps_taken(self) -> NDArray[np.int64]:
        """How many steps each run took, (runs,)."""
        runs, steps = self.training_loss.shape
        return np.full(runs, steps) if self.stopped_after is None else self.stopped_after

    @property
    def evaluated(self) -> NDArray[np.bool]:
        """Whether a run was evaluated, (runs, evaluations); it was not after it stopped."""
        return np.asarray(self.steps < self.steps_taken[:, np.newaxis])

    @property
    def first_nonfinite_step(self) -> NDArray[np.int64]:
        """First step whose training loss is not finite, (runs,); -1 if every loss is finite.

        If only the last update made a run's parameters non-finite, this is the run's last step.
        """
        last = self.steps_taken - 1
        bad = ~np.isfinite(self.training_loss) & (np.arange(self.training_loss.shape[1]) <= last[:, np.newaxis])
        bad[np.arange(len(last)), last] |= self.finite_weights == 0
        return np.where(bad.any(axis=1), bad.argmax(axis=1), -1)


def join(parts: Sequence[Curves]) -> Curves:
    """Join the runs of several stacks into one; all must have been evaluated at the same steps."""
    arrays = [_to_arrays(part) for part in parts]
    joined = {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
    return _from_arrays({**joined, "steps": parts[0].steps})


def _to_arrays(curves: Curves) -> dict[str, NDArray[Any]]:
    """Return the arrays that were measured, by name."""
    values = {own.name: getattr(curves, own.name) for own in fields(Curves)}
    for group in _BY_NAME:
        values |= {f"{group}.{name}": array for name, array in values.pop(group).items()}
    return {name: np.ascontiguousarray(array) for name, array in values.items() if array is not None}


def _from_arrays(arrays: Arrays) -> Curves:
    values: dict[str, Any] = {group: {} for group in _BY_NAME}
    for name, array in arrays.items():
        group, dot, own = name.partition(".")
        if dot:
            values[group][own] = array
        else:
            values[name] = array
    return Curves(**values)


@dataclass(frozen=True)
class Origin:
    """Where a record comes from."""

    dataset: str
    dataset_sha256: str  # of the packed images and labels
    code_sha256: str  # of the package's files that training is built on
    device: str
    versions: dict[str, str]  # of Python and the libraries whose arithmetic was used
    parts: dict[str, str] = field(default_factory=dict)  # SHA-256 of the user's own parts by name, `module:name`


@dataclass(frozen=True)
class Record:
    """A stack of runs: what it was, where it comes from, what was measured."""

    condition: str
    settings: tuple[TrainingSettings, ...]  # of each run; they differ only in what may differ within a stack
    origin: Origin
    curves: Curves

    @property
    def arm(self) -> str:
        """The name under which the arm is shown; all runs share it."""
        return short_name(self.settings[0].arm)


class Label(NamedTuple):
    """What a record says about itself."""

    condition: str
    settings: tuple[TrainingSettings, ...]  # of each run
    origin: Origin
    seeds: tuple[int, ...]  # of each run


def write_record(record: Record, path: Path) -> None:
    """Write a record as a safetensors file: the curves as arrays, all else as JSON in its header."""
    settings = [asdict(run) for run in record.settings]
    about = {"condition": record.condition, "settings": settings, "origin": asdict(record.origin)}
    atomic_write_bytes(path, save(_to_arrays(record.curves), {_HEADER: json.dumps(about, sort_keys=True)}))


def read_record(path: Path) -> Record:
    """Read a record without its weights, which take far more memory than everything else.

    Raises InputError, naming the file, if it is missing, damaged or of another version.
    """
    with _reading(path), safe_open(path, framework="numpy") as file:
        condition, settings, origin = _read_header(file)
        names = [name for name in file.keys() if not name.startswith(_WEIGHTS)]  # noqa: SIM118 - no mapping
        return Record(condition, settings, origin, _from_arrays({name: file.get_tensor(name) for name in names}))


def read_weights(path: Path, run: int) -> dict[str, NDArray[Any]]:
    """Read the weights of one of a record's runs, by name; empty if the record does not hold any.

    run: its place among the runs. Raises InputError as `read_record` does.
    """
    with _reading(path), safe_open(path, framework="numpy") as file:
        names = [name for name in file.keys() if name.startswith(_WEIGHTS)]  # noqa: SIM118 - no mapping
        return {name.removeprefix(_WEIGHTS): file.get_slice(name)[run : run + 1][0] for name in names}


def read_label(path: Path) -> Label:
    """Read what a record says about itself, without its curves. Raises InputError as `read_record` does."""
    with _reading(path), safe_open(path, framework="numpy") as file:
        return Label(*_read_header(file), tuple(file.get_tensor("seeds").tolist()))


def _read_header(file: Any) -> tuple[str, tuple[TrainingSettings, ...], Origin]:
    about: dict[str, Any] = json.loads(file.metadata()[_HEADER])
    settings = tuple(TrainingSettings.from_plain(run) for run in about["settings"])
    return about["condition"], settings, Origin(**about["origin"])


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: expected a run record, got something else ({error}); delete it and run the same command again"
        ) from error
