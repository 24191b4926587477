"""Which code made a result: the files of the package that a module depends on, their digest, and versions."""

import ast
import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from bnpipe.core.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]


@cache
def module_files(module: str) -> tuple[Path, ...]:
    """Return the files of ``module`` and of every module of the package that it imports, directly or not.

    module: dotted name below ``bnpipe``, as in ``module_files("training.job")``. The files are parsed, not imported:
    the workflow asks for them while Snakemake reads it, and loading torch and pandas there would take seconds. Raises
    ModuleNotFoundError if there is no such module.
    """
    if _file_of(f"bnpipe.{module}") is None:
        raise ModuleNotFoundError(f"bnpipe has no module {module}")
    found: set[Path] = set()
    waiting = [_file_of(f"bnpipe.{module}")]
    while waiting:
        file = waiting.pop()
        if file is not None and file not in found:
            found.add(file)
            waiting += map(_file_of, _imports(file))
    return tuple(sorted(found))


def code_digest(*modules: str) -> str:
    """Return the SHA-256 over the names and contents of the files that modules depend on.

    It is a parameter of every rule, so that a change in the package makes everything that depends on it run again.
    """
    digest = hashlib.sha256()
    for file in sorted({file for module in modules for file in module_files(module)}):
        digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def check_code(planned: str, *modules: str, beside: Path) -> None:
    """Check that the code that this process has imported is the code that its job was planned with.

    planned: the digest of the modules at that time. beside: the folder whose package made the plan. Raises InputError
    if the code differs, because it was edited while the workflow ran or because another copy was imported.
    """
    found = code_digest(*modules)
    if found == planned:
        return
    differ = f"expected code {short_digest(planned)}, with which this run was planned, got {short_digest(found)}"
    if beside.resolve() == PACKAGE.parent:
        raise InputError(f"{PACKAGE}: {differ}; it was edited since; run the same command again")
    raise InputError(f"{PACKAGE}: {differ}; this copy was imported instead of the one in {beside}; uninstall it")


def short_digest(digest: str) -> str:
    """Return the beginning of a digest, as messages show it."""
    return digest[:12]


def versions(*libraries: str) -> dict[str, str]:
    """Return the versions of Python and of the named libraries, as installed."""
    return {"python": platform.python_version(), **{library: version(library) for library in libraries}}


def _file_of(name: str) -> Path | None:
    """Return the file of a dotted module name, or None if it is not a module of this package."""
    package, *rest = name.split(".")
    if package != PACKAGE.name:
        return None
    stem = PACKAGE.joinpath(*rest)
    candidates = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((file for file in candidates if rest and file.is_file()), None)


@cache
def _imports(file: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
