"""The parts that networks are built from, built in or the user's own, by their names in the configuration.

`load_part` loads every kind of part. To let the configuration name parts of another kind, add its key to
`bnpipe.core.parts.PART_KEYS`, and add a function here that looks among the built-in ones and then calls `load_part`.
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bnpipe.core.errors import InputError
from bnpipe.core.parts import find_part, is_own
from bnpipe.core.settings import TrainingSettings
from bnpipe.modules.batch_norms import BatchRenorm, GhostBatchNorm
from bnpipe.modules.norms import BatchNorm, Bias, FeatureNorm, NoisyBatchNorm, WeightNorm
from bnpipe.modules.optimizers import Adam, Momentum, PlainDescent

Transform = Callable[[Tensor, TrainingSettings], nn.Module]  # of a layer's weights (runs, fan_in, units)
Nonlinearity = Callable[[Tensor], Tensor]
Direction = Callable[[Tensor, TrainingSettings], nn.Module]  # of a parameter (runs, ...)

TRANSFORMS: dict[str, Transform] = {
    "vanilla": Bias,
    "batchnorm": BatchNorm,
    "layernorm": FeatureNorm,
    "groupnorm": lambda weight, settings: FeatureNorm(weight, settings, groups=settings.groups),
    "rmsnorm": lambda weight, settings: FeatureNorm(weight, settings, centred=False),
    "weightnorm": WeightNorm,
    "firstbatch": Bias,
    "noisybatchnorm": NoisyBatchNorm,
    "batchrenorm": BatchRenorm,
    "ghostbatchnorm": GhostBatchNorm,
}
WITHOUT_STATISTICS = ("vanilla", "weightnorm", "firstbatch")  # the setting `position` does not apply to these arms
NONLINEARITIES: dict[str, Nonlinearity] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}
OPTIMIZERS: dict[str, Direction] = {"sgd": PlainDescent, "momentum": Momentum, "adam": Adam}


def transform_of(arm: str, weight: Tensor, settings: TrainingSettings) -> nn.Module:
    """Build the transform of a layer, for a built-in arm or one of the user's own. weight: (runs, fan_in, units).

    Raises InputError if a part of the user's own cannot be imported, or does not do what docs/how-to.md requires.
    """
    if arm in TRANSFORMS:
        return TRANSFORMS[arm](weight, settings)
    make = load_part(arm)
    with _explaining(arm):
        _try_transform(arm, make(weight, settings), weight, settings)
        module: nn.Module = make(weight, settings)
    return module


def nonlinearity_of(activation: str) -> Nonlinearity:
    """Return the function of a nonlinearity, which takes and returns tensors of any shape.

    Raises InputError if one of the user's own cannot be imported, or is not such a function.
    """
    if activation in NONLINEARITIES:
        return NONLINEARITIES[activation]
    function: Nonlinearity = load_part(activation)
    with _explaining(activation):
        x = torch.linspace(-1, 1, 6).view(1, 2, 3).requires_grad_()
        y = function(x)
        _check_output(activation, x, y)
        _check_gradients(activation, y, {"its input": x})
    return function


def optimizer_of(optimizer: str, parameter: Tensor, settings: TrainingSettings) -> nn.Module:
    """Build the module that gives the direction of a parameter's steps, for a built-in optimizer or the user's own.

    parameter: (runs, ...). Raises InputError if a part of the user's own cannot be imported, or does not do what
    docs/how-to.md requires.
    """
    if optimizer in OPTIMIZERS:
        return OPTIMIZERS[optimizer](parameter, settings)
    make = load_part(optimizer)
    with _explaining(optimizer):
        _try_optimizer(optimizer, make(parameter, settings), parameter)
        module: nn.Module = make(parameter, settings)
    return module


@cache
def load_part(part: str) -> Any:
    """Import one of the user's own parts, `module:name`.

    The working directory becomes the first place that Python looks in, as if it ran a script there. Raises InputError
    if the module cannot be found or imported, or does not hold the name.
    """
    if not is_own(part):
        raise InputError(f"{part}: expected a built-in part or one of your own, module:name; correct the name")
    try:
        file = find_part(part)
    except InputError as error:
        raise InputError(f"{part}: {error}") from error
    here = str(Path.cwd())
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)
    module, _, name = part.partition(":")
    with _explaining(part):
        imported = import_module(module)
        found = Path(imported.__file__ or "").resolve()
        if found != file:
            raise InputError(f"{part}: expected {file}, got {found}, which was imported before it; rename your module")
        if not hasattr(imported, name):
            raise InputError(f"{part}: expected {file} to define {name}, got nothing of this name; define it")
        return getattr(imported, name)


@contextmanager
def _explaining(part: str) -> Iterator[None]:
    """Turn any exception from the user's code into one line that names the last place in that code."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        folder = find_part(part).parent
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == folder]
        place = f" ({lines[-1].filename}, line {lines[-1].lineno})" if lines else ""
        message = " ".join(str(error).split())
        raise InputError(
            f"{part}: expected a part that works, got {type(error).__name__}: {message}{place}; correct it"
        ) from error


def _try_transform(part: str, made: object, weight: Tensor, settings: TrainingSettings) -> None:
    """Take a mini-batch through a transform that was built only for this check."""
    module = _as_module(part, made)
    runs, _, units = weight.shape
    for name, tensor in module.state_dict().items():
        if tensor.shape[:1] != (runs,):
            raise InputError(
                f"{part}: expected {name} with a first dimension of runs ({runs}), got the shape "
                f"{tuple(tensor.shape)}; make it (runs, 1, units)"
            )
    z = torch.linspace(-1, 1, runs * settings.batch_size * units, device=weight.device, dtype=weight.dtype)
    z = z.view(runs, settings.batch_size, units).requires_grad_()
    for mode in (False, True):
        output = module.train(mode)(z)
        _check_output(part, z, output)
    learned = {name: own for name, own in module.named_parameters() if own.requires_grad}
    if settings.trained == "transforms" and not learned:
        raise InputError(f"{part}: expected a parameter to train (trained: transforms), got none; add one")
    _check_gradients(part, output, {"its input": z, **learned})


@torch.no_grad()
def _try_optimizer(part: str, module: object, parameter: Tensor) -> None:
    """Take one step with an optimizer that was built only for this check."""
    step = _as_module(part, module)
    gradient = torch.linspace(-1, 1, parameter.numel(), device=parameter.device, dtype=parameter.dtype)
    gradient = gradient.view_as(parameter)
    _check_output(part, gradient, step(gradient.clone()))


def _as_module(part: str, module: object) -> nn.Module:
    if not isinstance(module, nn.Module):
        raise InputError(f"{part}: expected a class of torch.nn.Module, got {_kind(module)}; derive it from that")
    return module


def _check_output(part: str, z: Tensor, output: object) -> None:
    if not isinstance(output, Tensor):
        raise InputError(f"{part}: expected a part that returns a tensor, got {_kind(output)}; name such a part")
    if (output.shape, output.dtype) != (z.shape, z.dtype):
        raise InputError(
            f"{part}: expected an output like its input, {tuple(z.shape)} of {z.dtype}, got {tuple(output.shape)} of "
            f"{output.dtype}; return one value for each"
        )


def _check_gradients(part: str, output: Tensor, sources: Mapping[str, Tensor]) -> None:
    if not output.requires_grad:
        raise InputError(f"{part}: expected an output with a gradient, got one without; do not detach it")
    found = torch.autograd.grad(output.sum(), [*sources.values()], allow_unused=True)
    for name, gradient in zip(sources, found, strict=True):
        if gradient is None:
            raise InputError(f"{part}: expected an output that depends on {name}, got one that does not; use it")


def _kind(thing: object) -> str:
    return type(thing).__name__
