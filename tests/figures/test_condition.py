from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.records import write_record
from bnpipe.core.settings import Arm
from bnpipe.figures.condition import make_condition
from tests.conftest import make_record

ARMS: list[Arm] = ["vanilla", "batchnorm"]


@pytest.mark.parametrize("diagnostics", [True, False])
def test_a_condition_is_drawn_with_its_layers_where_these_were_looked_into(tmp_path: Path, diagnostics: bool) -> None:
    records = [tmp_path / f"{arm}.safetensors" for arm in ARMS]
    for arm, path in zip(ARMS, records, strict=True):
        write_record(make_record("tanh", arm, (42, 43), diagnostics=diagnostics), path)
    one, all_seeds, layers = (tmp_path / f"{name}.svg" for name in ("one", "all", "layers"))
    asked = {"diagnostics": [layers]} if diagnostics else {}  # as the rule does
    make_condition(records, "tanh", "MNIST", 42, ARMS, [one], [all_seeds], **asked)
    assert "MNIST, seed 42" in one.read_text()
    assert all_seeds.read_text().count("<!-- n = 2 -->") == 2
    assert layers.exists() == diagnostics


def test_curves_are_drawn_from_the_records(tmp_path: Path) -> None:
    paths = []
    for arm in ARMS:
        paths.append(tmp_path / f"{arm}.safetensors")
        write_record(make_record("tanh", arm, (42, 43), diverged=arm == "vanilla"), paths[-1])
    make_condition(paths, "tanh", "MNIST", 42, ARMS, [tmp_path / "one.svg"], [tmp_path / "all.svg"], [])
    assert "MNIST, seed 42" in (tmp_path / "one.svg").read_text()  # as a comment beside its outlines
    assert (tmp_path / "all.svg").read_text().count("<!-- 2 of 2 diverged -->") == 1


def test_layers_are_drawn_from_the_records_in_equal_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / f"{arm}.safetensors" for arm in ARMS]
    for path, arm in zip(paths, ARMS, strict=True):
        write_record(make_record("tanh", arm, (42, 43), diverged=arm == "vanilla"), path)
    for name in ("a", "b"):
        make_condition(paths, "tanh", "MNIST", 42, ARMS, [], [], [tmp_path / f"{name}.svg"])
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert "<!-- all 2 runs -->" in svg  # as a comment beside its outlines
    assert "MNIST" in svg


def test_records_without_diagnostics_are_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    write_record(make_record("tanh", diagnostics=False), tmp_path / "record")
    with pytest.raises(InputError, match=r"condition tanh: expected .* set `diagnostics: true`"):
        make_condition([tmp_path / "record"], "tanh", "MNIST", 42, ["vanilla"], [], [], [tmp_path / "a.svg"])
