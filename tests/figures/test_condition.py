from pathlib import Path

import pytest

from bnpipe.errors import InputError
from bnpipe.figures.condition import make_condition
from bnpipe.records import write_record
from bnpipe.settings import Arm
from tests.conftest import make_record

ARMS: list[Arm] = ["vanilla", "batchnorm"]


@pytest.mark.parametrize("diagnostics", [True, False])
def test_a_condition_is_drawn_with_its_layers_where_these_were_looked_into(tmp_path: Path, diagnostics: bool) -> None:
    records = [tmp_path / f"{arm}.safetensors" for arm in ARMS]
    for arm, path in zip(ARMS, records, strict=True):
        write_record(make_record("tanh", arm, (42, 43), diagnostics=diagnostics), path)
    one, all_seeds, layers = (tmp_path / f"{name}.svg" for name in ("one", "all", "layers"))
    make_condition(records, "tanh", "MNIST", 42, ARMS, [one], [all_seeds], [layers] if diagnostics else [])
    assert "MNIST, seed 42" in one.read_text()
    assert "vanilla (n = 2)" in all_seeds.read_text()
    assert layers.exists() == diagnostics


def test_layers_that_were_not_looked_into_cannot_be_drawn(tmp_path: Path) -> None:
    path = tmp_path / "vanilla.safetensors"
    write_record(make_record("tanh", "vanilla", (42,), diagnostics=False), path)
    with pytest.raises(InputError, match="diagnostics"):
        make_condition([path], "tanh", "MNIST", 42, ["vanilla"], [], [], [tmp_path / "layers.svg"])
