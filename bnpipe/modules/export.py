"""Turn a trained network of a run record into an ordinary module of PyTorch, for use outside bnpipe."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from bnpipe.core.errors import InputError
from bnpipe.core.records import read_label, read_weights
from bnpipe.core.settings import TrainingSettings
from bnpipe.modules.network import PRECISIONS, arm_of_layer
from bnpipe.modules.parts import WITHOUT_STATISTICS

Value = TypeVar("Value")
Learned = Mapping[str, Tensor]  # of a transform, by name, each (units,)

# The advice for a network with a part that torch.nn does not have.
INSTEAD = "use bnpipe.core.records.read_weights, which returns the arrays"
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def to_torch_module(record: str | Path, seed: int, **settings: Any) -> nn.Sequential:
    """Return a trained network as an ordinary `torch.nn.Sequential`, in inference mode.

    record: a run record that holds its weights, made with `keep_weights: true`. seed: of the run. settings: what else
    identifies the run if the record holds several of this seed, as records of studies do: `learning_rate=0.1`.

    The module takes images as numbers from 0 to 1, (images, pixels) or with dimensions that are flattened to pixels,
    such as (images, 1, 28, 28), in the precision that the network was trained in, and returns logits (images, classes).
    (Networks that were trained with `binarize` expect pixels of 0 or 1.) Its parts are named after the layers, from 1:

        linear1, norm1, activation1, linear2, ...

    `norm` is a BatchNorm1d (batchnorm and its variants), LayerNorm or GroupNorm, with gamma as its weight and beta as
    its bias; `position: after` puts it after the activation. vanilla and firstbatch have a bias in `linear` instead,
    and weightnorm has PyTorch's parametrization of that name. Inference gives what bnpipe computes, up to rounding. Two
    things differ if you train the module further: BatchNorm1d averages the unbiased variance whatever `moving_variance`
    says, and the variants of batch normalization train as batch normalization does.

    Raises InputError, in one line, if there is no such record or run, if the record holds no weights, or if a part of
    the network has no counterpart in torch.nn.
    """
    path = Path(record)
    run, trained_with = _find(path, seed, settings)
    weights = read_weights(path, run)
    if not weights:
        raise InputError(
            f"{path}: expected a record that holds its weights, got one without; "
            "set keep_weights: true in the configuration, and run the workflow again"
        )
    return build(weights, trained_with)


def build(weights: Mapping[str, NDArray[Any]], settings: TrainingSettings) -> nn.Sequential:
    """Build the module of a network from what it learned.

    weights: by the names of `bnpipe.training.engines.Stack.weights`, of one run. Raises InputError if a part has no
    counterpart in torch.nn.
    """
    if settings.network != "fully_connected":
        raise InputError(f"to_torch_module: network: expected fully_connected, got {settings.network}; {INSTEAD}")
    tensors = {name: torch.from_numpy(array).clone() for name, array in weights.items()}
    layers = sum(name.endswith(".weight") and ".transform." not in name for name in tensors)
    activation = _known("activation", settings.activation, ACTIVATIONS)
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for number in range(layers):
        is_last = number == layers - 1
        arm, prefix = arm_of_layer(settings, is_last), f"layers.{number}.transform."
        learned = {name.removeprefix(prefix): tensors[name].flatten() for name in tensors if name.startswith(prefix)}
        weight = tensors[f"layers.{number}.weight"]  # (fan_in, fan_out), in torch.nn (fan_out, fan_in)
        linear, norm = _known("arm", arm, COUNTERPARTS)(weight.T.contiguous(), learned, settings)
        normalization = [("norm", norm)] if norm is not None else []
        nonlinearity = [] if is_last else [("activation", activation())]
        is_after = settings.position == "after" and arm not in WITHOUT_STATISTICS
        order = nonlinearity + normalization if is_after else normalization + nonlinearity
        parts.update((f"{name}{number + 1}", part) for name, part in [("linear", linear), *order])
    return nn.Sequential(parts).to(PRECISIONS[settings.precision]).eval()


def _find(path: Path, seed: int, wanted: Mapping[str, Any]) -> tuple[int, TrainingSettings]:
    """Return the place of a run in its record, and what it was trained with."""
    label = read_label(path)
    unknown = [name for name in wanted if not hasattr(label.settings[0], name)]
    if unknown:
        raise InputError(f"{path}: expected settings of a run, got {unknown[0]}; see docs/configuration.md")
    of_seed = [run for run, own in enumerate(label.seeds) if own == seed]
    if not of_seed:
        seeds = ", ".join(map(str, dict.fromkeys(label.seeds)))
        raise InputError(f"{path}: expected one of its seeds ({seeds}), got {seed}; name one of these")
    found = [
        run for run in of_seed if all(getattr(label.settings[run], name) == value for name, value in wanted.items())
    ]
    if len(found) != 1:
        there = " or ".join(
            f"learning_rate={own.learning_rate!r}, init_std={own.init_std!r}"
            for own in (label.settings[run] for run in of_seed)
        )
        raise InputError(f"{path}: expected settings of one run of seed {seed}, got {len(found)} runs; name {there}")
    return found[0], label.settings[found[0]]


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """Return a linear layer of this weight (fan_out, fan_in) and bias (fan_out,)."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    return linear


def _with_bias(weight: Tensor, learned: Learned, settings: TrainingSettings) -> tuple[nn.Linear, None]:  # noqa: ARG001
    return _linear(weight, learned["beta"]), None


def _with_batch_norm(weight: Tensor, learned: Learned, settings: TrainingSettings) -> tuple[nn.Linear, nn.BatchNorm1d]:
    norm = nn.BatchNorm1d(len(weight), eps=settings.epsilon, momentum=settings.moving_average_weight)
    averages = {"running_mean": learned["mean"], "running_var": learned["variance"]}
    norm.load_state_dict({"weight": learned["gamma"], "bias": learned["beta"], **averages}, strict=False)
    return _linear(weight), norm


def _with_feature_norm(weight: Tensor, learned: Learned, settings: TrainingSettings) -> tuple[nn.Linear, nn.Module]:
    norm: nn.Module = nn.LayerNorm(len(weight), eps=settings.epsilon)
    if settings.arm == "groupnorm":
        norm = nn.GroupNorm(settings.groups, len(weight), eps=settings.epsilon)
    norm.load_state_dict({"weight": learned["gamma"], "bias": learned["beta"]})
    return _linear(weight), norm


def _with_weight_norm(weight: Tensor, learned: Learned, settings: TrainingSettings) -> tuple[nn.Linear, None]:  # noqa: ARG001
    """Return gamma * z / ||w|| + beta as PyTorch represents it: weights of norm gamma, and a bias."""
    linear = parametrizations.weight_norm(_linear(weight, learned["beta"]))
    with torch.no_grad():
        linear.parametrizations.weight.original0.copy_(learned["gamma"].unsqueeze(1))
    return linear, None


Counterpart = Callable[[Tensor, Learned, TrainingSettings], tuple[nn.Linear, nn.Module | None]]
COUNTERPARTS: dict[str, Counterpart] = {  # of the arms that torch.nn has
    "vanilla": _with_bias,
    "batchnorm": _with_batch_norm,
    "layernorm": _with_feature_norm,
    "groupnorm": _with_feature_norm,
    "weightnorm": _with_weight_norm,
    "firstbatch": _with_bias,
    "noisybatchnorm": _with_batch_norm,
    "batchrenorm": _with_batch_norm,
    "ghostbatchnorm": _with_batch_norm,
}


def _known(what: str, name: str, counterparts: Mapping[str, Value]) -> Value:
    """Return the counterpart of a part in torch.nn."""
    if name not in counterparts:
        there = " or ".join(counterparts)
        raise InputError(f"to_torch_module: {what}: expected {there}, which torch.nn has, got {name}; {INSTEAD}")
    return counterparts[name]
