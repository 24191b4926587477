import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bnpipe.core.errors import InputError
from bnpipe.data.packed import Dataset
from bnpipe.modules.engine import TorchEngine
from bnpipe.modules.norms import BatchNorm
from bnpipe.modules.parts import TRANSFORMS, load_part, nonlinearity_of, optimizer_of, transform_of
from bnpipe.networks.network import is_compiled
from bnpipe.training.engines import COMPILED, engine_on_cpu, observe_from
from bnpipe.training.train import train_runs
from tests.conftest import make_settings
from tests.modules import own_parts
from tests.modules.test_engine import compare, small

HERE = "tests.modules.own_parts"
WEIGHT = torch.ones(2, 5, 3)  # of two runs


def own(name: str) -> str:
    return f"{HERE}:{name}"


def test_built_in_parts_are_there_by_name() -> None:
    assert isinstance(transform_of("batchnorm", WEIGHT, make_settings()), BatchNorm)
    assert nonlinearity_of("tanh") is torch.tanh


def test_a_part_of_ones_own_is_what_its_module_holds() -> None:
    assert load_part(own("swish")) is nonlinearity_of(own("swish")) is own_parts.swish
    assert isinstance(transform_of(own("OwnNorm"), WEIGHT, make_settings()), own_parts.OwnNorm)
    assert nonlinearity_of("torch.nn.functional:silu") is torch.nn.functional.silu


def test_trying_a_part_leaves_no_trace_in_it() -> None:
    settings = make_settings(batch_size=4)
    norm = transform_of("bnpipe.modules.norms:BatchNorm", WEIGHT, settings)
    assert norm.training
    for name, tensor in TRANSFORMS["batchnorm"](WEIGHT, settings).state_dict().items():
        assert torch.equal(norm.state_dict()[name], tensor)


@pytest.mark.parametrize("position", ["before", "after"])
def test_a_module_with_a_forward_is_all_that_an_arm_needs(dataset: Dataset, position: str) -> None:
    runs = small([42, 43], arm=own("OwnNorm"), position=position)
    assert not is_compiled(runs.settings)
    engine = engine_on_cpu(runs.settings)
    assert isinstance(engine, TorchEngine)
    curves = train_runs(runs, dataset, engine=engine)
    expected = train_runs(runs.change(arm="layernorm"), dataset, engine=COMPILED)
    own_names = {f"{name}_{kind}" for name in ("gamma", "beta") for kind in ("mean", "std")}
    for name in own_names:  # parameters that are not called gamma and beta are not looked into
        assert torch.tensor(curves.diagnostics[name]).isnan().all()
    others = {name: values for name, values in expected.diagnostics.items() if name not in own_names}
    found = {name: values for name, values in curves.diagnostics.items() if name not in own_names}
    compare(
        replace(curves, diagnostics=found, weights={}), replace(expected, diagnostics=others, weights={}), rtol=1e-6
    )


def test_a_function_is_all_that_a_nonlinearity_needs(dataset: Dataset) -> None:
    runs = small([42, 43], activation=own("rectified"))
    assert not is_compiled(runs.settings)
    curves = train_runs(runs, dataset, engine=engine_on_cpu(runs.settings))
    expected = train_runs(runs.change(activation="relu"), dataset, engine=COMPILED)
    # Whether units are dead is only known of relu.
    assert torch.tensor(curves.diagnostics["dead"]).isnan().all()
    dead = {"dead": expected.diagnostics["dead"]}
    compare(replace(curves, diagnostics={**curves.diagnostics, **dead}), expected, rtol=1e-6)
    images, delta = torch.rand(4, 6).double().numpy(), torch.rand(4, 3).double().numpy()
    seen = observe_from(
        [torch.rand(6, 3).double().numpy()], replace(runs.settings, trained="transforms"), images, delta
    )
    assert seen.z[0].shape == (4, 3)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Raises", r"expected a part that works, got RuntimeError: .*\(.*own_parts.py, line \d+\); correct it"),
        ("NoModule", "expected a class of torch.nn.Module, got NoModule; derive it from that"),
        ("number", "expected a part that works, got TypeError: 'int' object is not callable; correct it"),
        ("OneNumber", r"expected steps with a first dimension of runs \(2\), got the shape \(\); make it .*"),
        ("Shorter", r"expected an output like its input, \(2, 60, 3\) of .*, got \(2, 60, 2\) of .*; return .*"),
        ("OnlyInTraining", r"expected an output like its input, \(2, 60, 3\) of .*, got \(\) of .*; return .*"),
        ("Unused", "expected an output that depends on gamma, got one that does not; use it"),
        ("Detached", "expected an output with a gradient, got one without; do not detach it"),
        ("Silent", "expected a part that returns a tensor, got NoneType; name such a part"),
    ],
)
def test_a_transform_that_does_not_work_is_one_line(name: str, complaint: str) -> None:
    with pytest.raises(InputError, match=f"^{own(name)}: {complaint}$") as raised:
        transform_of(own(name), WEIGHT, make_settings())
    assert "\n" not in str(raised.value)


def test_a_transform_may_learn_nothing_where_the_weights_do() -> None:
    assert [*transform_of(own("Nothing"), WEIGHT, make_settings()).parameters()] == []
    with pytest.raises(InputError, match="expected a parameter to train"):
        transform_of(own("Nothing"), WEIGHT, make_settings(trained="transforms"))


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("half", r"expected an output like its input, \(1, 2, 3\) of torch.float32, got .* of torch.float16; .*"),
        ("OwnNorm", "expected a part that works, got (AttributeError|TypeError): .*; correct it"),
        ("number", "expected a part that works, got TypeError: 'int' object is not callable; correct it"),
    ],
)
def test_a_nonlinearity_that_does_not_work_is_one_line(name: str, complaint: str) -> None:
    with pytest.raises(InputError, match=f"^{own(name)}: {complaint}$"):
        nonlinearity_of(own(name))


def test_a_module_of_gradients_is_all_that_an_optimizer_needs(dataset: Dataset) -> None:
    # With a velocity that forgets all, the direction is the gradient's sign: every weight moves by the learning rate.
    runs = small([42], arm="vanilla", optimizer=own("Signed"), momentum=0.0, learning_rate=1e-3, parameter_rate=1.0)
    assert not is_compiled(runs.settings)
    engine = engine_on_cpu(runs.settings)
    stack = engine.start(runs, dataset.train)
    before = {name: array.copy() for name, array in stack.weights().items()}
    stack.advance(1)
    for name, array in stack.weights().items():
        moved = abs(array - before[name])
        assert moved.max() == pytest.approx(1e-3, rel=1e-3)
        assert ((moved < 1e-9) | (abs(moved - 1e-3) < 1e-6)).all()  # a unit that no image reaches stays
    assert any("velocity" in name for name in stack.state())


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Summed", r"expected an output like its input, \(2, 5, 3\) of .*, got \(\) of .*; return one value for each"),
        ("NoModule", "expected a class of torch.nn.Module, got NoModule; derive it from that"),
        ("number", "expected a part that works, got TypeError: 'int' object is not callable; correct it"),
    ],
)
def test_an_optimizer_that_does_not_work_is_one_line(name: str, complaint: str) -> None:
    with pytest.raises(InputError, match=f"^{own(name)}: {complaint}$"):
        optimizer_of(own(name), WEIGHT, make_settings())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, empty. Modules that are imported from there need names of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def complaint(part: str) -> str:
    with pytest.raises(InputError) as raised:
        load_part(part)
    return str(raised.value)


def test_a_part_in_the_working_directory_is_imported_with_what_it_imports(folder: Path) -> None:
    (folder / "my_norms.py").write_text("from my_helpers import swish\n", encoding="utf-8")
    (folder / "my_helpers.py").write_text("def swish(x): return x\n", encoding="utf-8")
    assert load_part("my_norms:swish").__module__ == "my_helpers"
    assert sys.path[0] == str(folder)


def test_a_part_that_cannot_be_imported_is_one_line(folder: Path) -> None:
    (folder / "my_broken.py").write_text("import not_installed\n\ndef swish(x): return x\n", encoding="utf-8")
    assert complaint("my_broken:swish") == (
        "my_broken:swish: expected a part that works, got ModuleNotFoundError: No module named 'not_installed' "
        f"({folder}/my_broken.py, line 1); correct it"
    )
    (folder / "my_lazy.py").write_text("def __getattr__(name): raise AttributeError(name)\n", encoding="utf-8")
    assert complaint("my_lazy:swish") == (
        f"my_lazy:swish: expected {folder}/my_lazy.py to define swish, got nothing of this name; define it"
    )
    assert complaint("my_lost:swish").startswith("my_lost:swish: expected a module that Python finds")
    assert complaint("swish") == ("swish: expected a built-in part or one of your own, module:name; correct the name")


def test_a_module_that_another_one_hides_is_one_line(folder: Path) -> None:
    # `json` was imported long before the user's own.
    (folder / "json.py").write_text("def swish(x): return x\n", encoding="utf-8")
    assert complaint("json:swish") == (
        f"json:swish: expected {folder}/json.py, got {json.__file__}, which was imported before it; rename your module"
    )
