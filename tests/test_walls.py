"""The plan of the package: which folder may import which. It is read off the files, as the code digests are."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnpipe.core.digests import PACKAGE

# What each folder, and each command at the door, may import besides itself.
MAKES = {"core", "data", "networks", "training", "experiments"}  # results
LOOKS = {"core", "analysis", "figures", "report"}  # at results
MAY_IMPORT = {
    "core": set(),
    "grid": {"core"},
    "data": {"core"},
    "networks": {"core"},
    "training": {"core", "data", "networks"},
    "experiments": MAKES - {"experiments"},
    "analysis": {"core"},
    "figures": {"core", "analysis"},
    "report": LOOKS - {"report"},
    "watch": {"core", "grid", "data"},
    "choose": {"core", "grid", "data"},
    "inputs": {"core", "grid", "data"},
}
# Modules without a test file of the same name, and what tests them instead.
TESTED_ELSEWHERE = {"data/download.py": "data/test_retrieve.py, by mirrors that answer in every bad way"}


def imports(file: Path) -> Iterator[str]:
    """Go through the modules of the package that a file imports, by dotted name without the package's."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("bnpipe.") for alias in node.names if alias.name.startswith("bnpipe."))
        elif isinstance(node, ast.ImportFrom) and node.module == "bnpipe":
            yield from (alias.name for alias in node.names if alias.name != "__version__")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bnpipe."):
            yield node.module.removeprefix("bnpipe.")


def test_every_module_has_a_place_in_the_plan() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    assert rooms == {*MAY_IMPORT, "__init__"}


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_no_import_goes_through_a_wall(place: str) -> None:
    files = [*PACKAGE.glob(f"{place}/**/*.py"), *PACKAGE.glob(f"{place}.py")]
    assert files
    for file in files:
        used = {name.split(".")[0] for name in imports(file)} - {place}
        assert used <= MAY_IMPORT[place], f"{file.relative_to(PACKAGE)} imports {used - MAY_IMPORT[place]}"


def test_the_modules_of_a_folder_do_not_import_in_a_circle() -> None:
    above = {
        ".".join(file.relative_to(PACKAGE).with_suffix("").parts): set(imports(file)) for file in PACKAGE.rglob("*.py")
    }
    while free := [name for name, used in above.items() if not used & above.keys()]:
        for name in free:
            del above[name]
    assert not above


def test_packages_hold_a_docstring_and_nothing_else() -> None:
    for file in PACKAGE.rglob("*/__init__.py"):
        (docstring,) = ast.parse(file.read_bytes()).body
        assert isinstance(docstring, ast.Expr), file


def test_every_module_has_its_tests_in_the_same_place() -> None:
    modules = [file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py") if file.name != "__init__.py"]
    without = {module.as_posix() for module in modules if not place_of_tests(module).is_file()}
    assert without == TESTED_ELSEWHERE.keys()


def place_of_tests(module: Path) -> Path:
    return Path(__file__).parent / module.with_name(f"test_{module.name}")


def test_nothing_is_imported_that_only_posix_has() -> None:
    only_posix = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert not only_posix & set(names), file
            assert not (isinstance(node, ast.Attribute) and node.attr == "SIGHUP"), file
