import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bnpipe
from bnpipe.core.errors import InputError
from bnpipe.core.records import Origin, Record, write_record
from bnpipe.core.settings import Arm
from bnpipe.data.packed import Dataset
from bnpipe.modules.export import COUNTERPARTS, build, to_torch_module
from bnpipe.modules.parts import TRANSFORMS
from bnpipe.training.engines import engine_on_cpu
from bnpipe.training.train import train_runs
from tests.conftest import make_runs, make_settings

SHORT: dict[str, Any] = {
    "hidden_sizes": (20, 15),
    "steps": 61,
    "learning_rate": 0.3,
    "groups": 5,
    "normalize_logits": False,
    "keep_weights": True,
}


def record(dataset: Dataset, path: Path, seeds: tuple[int, ...] = (42, 43), **changes: Any) -> Record:
    runs = make_runs(seeds, **{**SHORT, **changes})
    curves = train_runs(runs, dataset, engine=engine_on_cpu(runs.settings))
    made = Record("tanh", runs.each, Origin("made up", "d", "c", "cpu", {}), curves)
    write_record(made, path)
    return made


CASES: list[dict[str, Any]] = [
    *({"arm": arm} for arm in COUNTERPARTS),
    {"arm": "vanilla", "activation": "relu", "precision": "float64", "init_std": "he"},
    {"arm": "batchnorm", "activation": "sigmoid", "moving_variance": "unbiased"},
    {"arm": "batchnorm", "activation": "relu", "position": "after"},
    {"arm": "batchnorm", "activation": "relu", "normalize_logits": True, "precision": "float64"},
    {"arm": "batchnorm", "normalize_hidden": False, "normalize_logits": True},
    {"arm": "layernorm", "position": "after", "epsilon": 0.5},
]


@pytest.mark.parametrize("changes", CASES, ids=lambda changes: " ".join(map(str, changes.values())))
def test_the_module_has_the_accuracy_and_loss_of_the_record(
    dataset: Dataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    made = record(dataset, tmp_path / "r.safetensors", **changes)
    number = torch.float64 if made.settings[0].precision == "float64" else torch.float32
    pixels = torch.from_numpy(dataset.test.pixels).to(number) / 255
    labels = torch.from_numpy(dataset.test.labels)
    for run, seed in enumerate((42, 43)):
        module = to_torch_module(tmp_path / "r.safetensors", seed)
        with torch.no_grad():
            logits = module(pixels.reshape(-1, 1, 28, 28))
        assert logits.dtype == number
        assert (logits.argmax(dim=1) == labels).double().mean().item() == made.curves.test_accuracy[run]
        loss = nn.functional.cross_entropy(logits, labels).item()
        assert loss == pytest.approx(made.curves.test_loss[run], rel=1e-4)
    assert made.curves.test_accuracy.max() > 0.15  # more than guessing gives


def test_the_module_is_an_ordinary_one(dataset: Dataset, tmp_path: Path) -> None:
    record(dataset, tmp_path / "r.safetensors", arm="batchnorm", moving_average_weight=0.25, epsilon=0.125)
    module = to_torch_module(str(tmp_path / "r.safetensors"), 42)
    assert [*module._modules] == [
        "flatten",
        *("linear1", "norm1", "activation1", "linear2", "norm2", "activation2", "linear3"),
    ]
    assert isinstance(module.norm1, nn.BatchNorm1d)
    assert (module.norm1.momentum, module.norm1.eps) == (0.25, 0.125)
    assert [part.bias is None for part in module if isinstance(part, nn.Linear)] == [True, True, False]
    assert not module.training
    module.train()(torch.rand(8, 784)).sum().backward()  # it can be trained on
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_weight_normalization_stays_one(dataset: Dataset, tmp_path: Path) -> None:
    made = record(dataset, tmp_path / "r.safetensors", arm="weightnorm")
    module = to_torch_module(tmp_path / "r.safetensors", 42)
    assert isinstance(module.linear1, nn.Linear)
    norms = torch.linalg.vector_norm(module.linear1.weight.detach(), dim=1)
    np.testing.assert_allclose(norms, abs(made.curves.weights["layers.0.transform.gamma"][0, 0]), rtol=1e-5)


def test_an_arm_without_counterpart_is_one_line(dataset: Dataset, tmp_path: Path) -> None:
    others = sorted({*TRANSFORMS} - {*COUNTERPARTS})
    assert others == ["rmsnorm"]
    arm: Arm = "rmsnorm"
    record(dataset, tmp_path / "r.safetensors", arm=arm, steps=2)
    with pytest.raises(InputError) as caught:
        to_torch_module(tmp_path / "r.safetensors", 42)
    assert str(caught.value) == (
        "to_torch_module: arm: expected vanilla or batchnorm or layernorm or groupnorm or weightnorm or firstbatch or "
        "noisybatchnorm or batchrenorm or ghostbatchnorm, which torch.nn has, got rmsnorm; "
        "use bnpipe.core.records.read_weights, which returns the arrays"
    )


def test_other_parts_without_counterpart_are_one_line_too() -> None:
    settings = make_settings(arm="vanilla")
    with pytest.raises(InputError, match=r"activation: expected tanh or relu or sigmoid, which .*, got swish"):
        build({}, replace(settings, activation="swish"))
    with pytest.raises(InputError, match=r"^to_torch_module: network: expected fully_connected, got conv.*; use"):
        build({}, replace(settings, network="convolutional"))


def test_a_run_of_a_study_is_named_by_its_settings(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    made = record(dataset, path, seeds=(42, 42), learning_rate=[0.1, 0.3], init_std=[0.1, "he"], steps=5)
    weights = made.curves.weights["layers.0.weight"]
    for run, module in enumerate(
        (to_torch_module(path, 42, learning_rate=0.1), to_torch_module(path, 42, init_std="he"))
    ):
        np.testing.assert_array_equal(module.get_parameter("linear1.weight").detach().numpy().T, weights[run])
    cases: list[tuple[dict[str, float], int]] = [({}, 2), ({"learning_rate": 0.7}, 0)]
    for chosen, count in cases:
        with pytest.raises(InputError) as caught:
            to_torch_module(path, 42, **chosen)
        assert str(caught.value) == (
            f"{path}: expected settings of one run of seed 42, got {count} runs; "
            "name learning_rate=0.1, init_std=0.1 or learning_rate=0.3, init_std='he'"
        )
    with pytest.raises(InputError, match="expected settings of a run, got rate"):
        to_torch_module(path, 42, rate=0.1)


def test_what_is_not_there_is_one_line(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    with pytest.raises(InputError, match="expected a run record"):
        to_torch_module(path, 42)
    record(dataset, path, steps=2, keep_weights=False)
    with pytest.raises(InputError) as caught:
        to_torch_module(path, 7)
    assert str(caught.value) == f"{path}: expected one of its seeds (42, 43), got 7; name one of these"
    with pytest.raises(InputError) as caught:
        to_torch_module(path, 42)
    assert str(caught.value) == (
        f"{path}: expected a record that holds its weights, got one without; "
        "set keep_weights: true in the configuration, and run the workflow again"
    )


def test_the_package_offers_it_and_does_not_import_pytorch_before() -> None:
    assert bnpipe.to_torch_module is to_torch_module
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bnpipe.nothing  # noqa: B018
    program = "import sys, bnpipe; before = 'torch' in sys.modules; bnpipe.to_torch_module; sys.exit(before)"
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=100)
    assert done.returncode == 0
