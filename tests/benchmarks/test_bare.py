import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks import bare
from tests.workplace import REPOSITORY


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the name of a package that cannot be imported and has a stand-in."""
    name = "no_such_package_1"
    contents = {name: {"answer": 42}, f"{name}.inner": {"work": bare.refusing(name)}}
    monkeypatch.setattr(bare, "STAND_INS", {"json": {"json": {"dumps": None}}, name: contents})
    yield name
    for module in contents:
        sys.modules.pop(module, None)


def test_what_is_missing_has_a_stand_in_that_refuses_to_work(absent: str) -> None:
    json = sys.modules["json"]
    assert bare.stand_in() == {absent: f"ModuleNotFoundError: No module named '{absent}'"}
    assert sys.modules[absent].answer == 42
    with pytest.raises(ModuleNotFoundError, match=f"^{absent}: needed for this, but it cannot be imported$"):
        sys.modules[f"{absent}.inner"].work(1, two=2)
    assert sys.modules["json"] is json  # installed packages stay


def test_networks_in_pytorch_need_nothing_but_pytorch_and_numpy() -> None:
    program = """
import sys
for name in sys.argv[1].split():
    sys.modules[name] = None
from benchmarks.bare import stand_in
assert list(stand_in()) == ["numba", "scipy", "safetensors", "threadpoolctl", "filelock"]
import benchmarks.gpu_checks
import benchmarks.gpu_speed
"""
    hidden = "numba scipy safetensors threadpoolctl filelock pydantic yaml pandas snakemake torchvision matplotlib"
    command = [sys.executable, "-c", program, f"{hidden} sklearn tqdm altair jinja2 pytest"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
