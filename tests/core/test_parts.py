import subprocess
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest

from bnpipe.core import parts
from bnpipe.core.errors import InputError
from bnpipe.core.parts import check_parts, digests_of, find_part, is_own, own_parts, part_digest, short_name
from tests.conftest import make_settings

FILES = {
    "norms.py": "from helpers import mean\nimport torch.nn as nn\n\nclass MeanOnly(nn.Module): ...\n",
    "helpers.py": "def mean(z): return z.mean(dim=1)\n",
    "other.py": "raise SystemExit('nobody imports me')\n",
    "package/__init__.py": "from .deep import norms\n",
    "package/deep/__init__.py": "",
    "package/deep/norms.py": "from ..tools import scale\nif True:\n    silu = gelu = None\n",
    "package/tools.py": "scale: float = 2.0\n",
    "package/plots.py": "import matplotlib\n",
    "bare/deep/parts.py": "def swish(x): return x\n",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    forget()


def forget() -> None:
    """Let the next question be answered from the files, as in another process."""
    invalidate_caches()
    parts._find.cache_clear()
    parts._digest.cache_clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the working directory, with some files of a user's."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, FILES)
    yield tmp_path
    forget()


def complaint(part: str) -> str:
    with pytest.raises(InputError) as raised:
        find_part(part)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_part_of_ones_own_has_a_colon_and_is_shown_by_what_follows_it() -> None:
    assert [is_own(part) for part in ("vanilla", "norms:MeanOnly", "a.b.c:d", "a:b:c", "a b:c", "a.:b", ":b")] == [
        *(False, True, True),
        *(False, False, False, False),
    ]
    assert [short_name(part) for part in ("vanilla", "a.b.c:MeanOnly")] == ["vanilla", "MeanOnly"]


def test_the_parts_of_a_network_are_its_arm_and_its_nonlinearity() -> None:
    assert own_parts(make_settings()) == []
    assert own_parts(make_settings(arm="norms:MeanOnly", activation="norms:swish")) == ["norms:MeanOnly", "norms:swish"]


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ("norms:MeanOnly", "norms.py"),
        ("norms:mean", "norms.py"),  # imported there
        ("norms:nn", "norms.py"),
        ("package:norms", "package/__init__.py"),
        ("package.deep.norms:gelu", "package/deep/norms.py"),
        ("package.tools:scale", "package/tools.py"),
        ("bare.deep.parts:swish", "bare/deep/parts.py"),  # a package needs no __init__.py
    ],
)
def test_parts_are_found_in_the_working_directory(folder: Path, part: str, file: str) -> None:
    assert find_part(part) == folder / file


def test_parts_are_found_among_installed_packages_after_the_working_directory(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path_factory.mktemp("site-packages")
    write(installed, {"norms.py": "MeanOnly = None", "far/__init__.py": "", "far/away.py": "def swish(x): ..."})
    monkeypatch.syspath_prepend(str(installed))
    assert find_part("far.away:swish") == installed / "far/away.py"
    assert find_part("norms:MeanOnly") == folder / "norms.py"


def test_nothing_is_imported() -> None:
    program = (
        "import sys; from bnpipe.core.parts import digests_of; digests_of(['torch.nn.functional:silu']);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=100).returncode == 0


@pytest.mark.usefixtures("folder")
def test_a_module_that_is_not_there_is_one_line() -> None:
    assert complaint("package.lost:Name") == (
        "expected a module that Python finds, got package.lost:Name, and there is neither package/lost.py beside "
        "config.yaml nor an installed package.lost; write that file or install the package"
    )
    assert complaint("bare:Name").startswith("expected a module that Python finds, got bare:Name")  # a mere folder
    assert complaint("norms.below:Name").startswith("expected a module that Python finds")  # a file is no package
    assert complaint("builtins:len").startswith("expected a module that Python finds")  # it has no file


def test_a_name_that_is_not_there_is_one_line(folder: Path) -> None:
    assert complaint("norms:MeanOnlyNorm") == (
        f"expected a name that {folder}/norms.py defines (MeanOnly, mean, nn), got MeanOnlyNorm; did you mean MeanOnly?"
    )
    assert complaint("helpers:z").endswith("helpers.py defines (mean), got z; define it there, or correct the name")


def test_names_that_parsing_does_not_tell_are_left_to_the_import(folder: Path) -> None:
    write(folder, {"stars.py": "from helpers import *", "lazy.py": "def __getattr__(name): return name"})
    assert find_part("stars:Whatever") == folder / "stars.py"
    assert find_part("lazy:Whatever") == folder / "lazy.py"


def test_a_file_that_is_not_python_is_one_line(folder: Path) -> None:
    write(folder, {"norms.py": "x = 1\nclass (\n", "zero.py": "x = '\0'"})
    assert complaint("norms:MeanOnly") == f"{folder}/norms.py:2: expected Python, got invalid syntax; correct it"
    assert complaint("zero:x").startswith(f"{folder}/zero.py")


@pytest.mark.parametrize(
    ("part", "file", "matters"),
    [
        ("norms:MeanOnly", "norms.py", True),
        ("norms:MeanOnly", "helpers.py", True),  # which it imports
        ("norms:MeanOnly", "other.py", False),
        ("package.deep.norms:gelu", "package/__init__.py", True),  # which Python runs first
        ("package.deep.norms:gelu", "package/tools.py", True),
        ("package.deep.norms:gelu", "package/plots.py", False),
        ("bare.deep.parts:swish", "bare/deep/parts.py", True),
    ],
)
def test_the_digest_is_of_what_a_part_consists_of(folder: Path, part: str, file: str, matters: bool) -> None:
    before = part_digest(part)
    write(folder, {file: FILES[file] + "# edited\n"})
    assert (part_digest(part) != before) == matters


@pytest.mark.usefixtures("folder")
def test_the_digest_is_the_same_in_another_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    before = digests_of(["norms:MeanOnly", "package.deep.norms:gelu"])
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, FILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        assert digests_of(["package.deep.norms:gelu", "norms:MeanOnly"]) == before


def test_of_an_installed_package_all_modules_count(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path_factory.mktemp("site-packages")
    write(installed, {"far/__init__.py": "", "far/away.py": "def swish(x): ...", "far/plots.py": "", "near.py": ""})
    monkeypatch.syspath_prepend(str(installed))
    before = part_digest("far.away:swish")
    write(installed, {"near.py": "x = 1"})
    write(folder, {"helpers.py": ""})
    assert part_digest("far.away:swish") == before
    write(installed, {"far/plots.py": "x = 1"})
    assert part_digest("far.away:swish") != before


def test_of_pytorch_its_version_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = part_digest("torch.nn.functional:silu")
    forget()
    monkeypatch.setattr(parts, "version", lambda name: f"{name} of tomorrow")
    assert part_digest("torch.nn.functional:silu") != before
    forget()


def test_a_part_that_was_edited_since_the_plan_is_one_line(folder: Path) -> None:
    planned = digests_of(["norms:MeanOnly"])
    check_parts(planned)
    check_parts({})
    check_parts(None)
    write(folder, {"norms.py": FILES["norms.py"] + "# edited\n"})
    with pytest.raises(InputError, match=r"^norms:MeanOnly: expected code \w{12}, .*, got \w{12}; it was edited since"):
        check_parts(planned)
