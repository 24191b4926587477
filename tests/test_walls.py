"""The plan of the package: which folder may import which. The tests parse the files, as the code digests do."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnpipe.core.digests import PACKAGE

# What each folder, and each module beside the folders, may import besides itself.
MAKES = {"core", "data", "networks", "training", "experiments"}  # these make results, without PyTorch
LOOKS = {"core", "analysis", "figures", "report"}  # these look at results
MAY_IMPORT = {
    "core": set(),
    "grid": {"core"},
    "data": {"core"},
    "networks": {"core"},
    "training": {"core", "data", "networks", "modules"},  # `modules` only in engines.py, see below
    "modules": {"core", "data", "networks", "training"},
    "experiments": MAKES - {"experiments"},
    "analysis": {"core"},
    "figures": {"core", "analysis"},
    "report": LOOKS - {"report"},
    "watch": {"core", "grid", "data"},
    "choose": {"core", "grid", "data"},
    "inputs": {"core", "grid", "data"},
    "compare": {"core"},
}
# Modules without a test file of the same name, and the tests that cover them instead.
TESTED_ELSEWHERE = {"data/download.py": "data/test_retrieve.py, by mirrors that answer in every bad way"}


def names_in(statement: ast.AST) -> Iterator[str]:
    """Yield the dotted names of the modules that a statement imports."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom) and statement.module == "bnpipe":
        yield from (f"bnpipe.{alias.name}" for alias in statement.names if alias.name != "__version__")
    elif isinstance(statement, ast.ImportFrom) and statement.module:
        yield statement.module


def all_imports(file: Path) -> Iterator[str]:
    """Yield the dotted names of all modules that a file imports, at its top or within functions."""
    return (name for node in ast.walk(ast.parse(file.read_bytes())) for name in names_in(node))


def imports_at_once(file: Path) -> Iterator[str]:
    """Yield the dotted names of the modules that a file imports at once, not within functions."""
    waiting: list[ast.AST] = [ast.parse(file.read_bytes())]
    while waiting:
        node = waiting.pop()
        yield from names_in(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


def imports(file: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, as dotted names without `bnpipe.`."""
    return (name.removeprefix("bnpipe.") for name in all_imports(file) if name.startswith("bnpipe."))


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


def test_training_imports_the_engine_of_pytorch_in_one_place_and_only_where_it_is_used() -> None:
    files = [
        file for file in PACKAGE.glob("training/*.py") if any(name.startswith("modules.") for name in imports(file))
    ]
    assert files == [PACKAGE / "training/engines.py"]
    assert not any(name.startswith("bnpipe.modules") for name in imports_at_once(files[0]))


def test_pytorch_is_for_one_folder_alone() -> None:
    libraries = {"torch", "torchvision"}
    for file in PACKAGE.rglob("*.py"):
        at_once, ever = ({name.split(".")[0] for name in names(file)} for names in (imports_at_once, all_imports))
        place = file.relative_to(PACKAGE).as_posix()
        if place in ("data/retrieve.py", "data/cifar.py"):  # torchvision knows the mirrors and reads CIFAR-10
            assert ever & libraries == {"torchvision"}
            assert not at_once & libraries
        elif file.parent.name == "modules":
            assert ever & libraries <= at_once, f"{place}: nothing is saved by an import within a function"
        else:
            assert not ever & libraries, f"{place} imports {ever & libraries}"


def test_whoever_does_not_import_its_folder_does_not_import_pytorch() -> None:
    names = (".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in PACKAGE.rglob("*.py"))
    others = [name.removesuffix(".__init__") for name in names if not name.startswith("bnpipe.modules.")]
    assert "bnpipe.training.job" in others
    program = "import importlib, sys; [*map(importlib.import_module, sys.argv[1:])]; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, *others], cwd=PACKAGE.parent, check=False, timeout=100)
    assert done.returncode == 0


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
