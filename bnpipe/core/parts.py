"""The user's own parts, named `module:name` in the configuration: where they are, what they are called, their digest.

Nothing is imported here, because importing a part would import PyTorch, and Snakemake reads the workflow anew in every
job of a cluster. Files are found where Python would find them, and they are parsed. `bnpipe.modules.parts` imports
them when networks are built.
"""

import ast
import difflib
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from importlib.util import resolve_name
from itertools import accumulate
from pathlib import Path

from bnpipe.core.digests import PACKAGE, short_digest
from bnpipe.core.errors import InputError
from bnpipe.core.settings import TrainingSettings

PART_KEYS = ("arm", "activation", "optimizer")  # the settings that may name one of the user's own parts
_WORD = "[A-Za-z_][A-Za-z0-9_]*"
PATTERN = rf"^{_WORD}(\.{_WORD})*:[A-Za-z][A-Za-z0-9_]{{0,63}}$"
LIBRARIES = ("torch",)  # their version identifies their code, which has thousands of files


def is_own(part: str) -> bool:
    """Return whether a part is the user's own, and not one of those that come with bnpipe."""
    return re.fullmatch(PATTERN, part) is not None


def short_name(part: str) -> str:
    """Return the name under which a part is shown, in paths, tables, figures and pages: what follows the colon."""
    return part.rpartition(":")[2]


def own_parts(settings: TrainingSettings) -> list[str]:
    """Return the user's own parts that networks with these settings are built from."""
    return [part for part in (getattr(settings, key) for key in PART_KEYS) if is_own(part)]


def digests_of(parts: Iterable[str]) -> dict[str, str]:
    """Return the digest of each part (see `part_digest`) by its name, in the order of the names."""
    return {part: part_digest(part) for part in sorted({*parts})}


def check_parts(planned: Mapping[str, str] | None) -> None:
    """Check that parts are still the code that a job was planned with.

    planned: their digests at that time, by name; None if the job has none. Raises InputError if a part has been edited
    since.
    """
    for part, digest in (planned or {}).items():
        if part_digest(part) != digest:
            differ = f"expected code {short_digest(digest)}, with which this run was planned"
            found = f"got {short_digest(part_digest(part))}"
            raise InputError(f"{part}: {differ}, {found}; it was edited since; run the same command again")


def find_part(part: str) -> Path:
    """Return the file of the module that defines a part.

    Python looks in the working directory, which is the folder of config.yaml, and then where it finds all packages.
    Raises InputError, whose message lacks the key of the configuration, if there is no such module, if it cannot be
    parsed, or if it does not hold the name.
    """
    return _find(part, Path.cwd())


@cache
def _find(part: str, folder: Path) -> Path:  # noqa: ARG001 - for the cache: a name is another part in another folder
    module, _, name = part.partition(":")
    file = _file_of(module)
    if file is None:
        path = module.replace(".", "/")
        raise InputError(
            f"expected a module that Python finds, got {part}, and there is neither {path}.py beside config.yaml nor "
            f"an installed {module}; write that file or install the package"
        )
    if file.suffix == ".py" and (names := _names_in(file)) is not None and name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        there = ", ".join(names[:10]) or "nothing"
        advice = f"did you mean {near[0]}?" if near else "define it there, or correct the name"
        raise InputError(f"expected a name that {file} defines ({there}), got {name}; {advice}")
    return file


def part_digest(part: str) -> str:
    """Return a SHA-256 over the modules that a part consists of: their names and contents.

    If the part is in the working directory, these are its module, every module that it imports from there, directly or
    indirectly, and the packages that hold them. If it is installed elsewhere, they are all modules of its package.
    Other libraries do not count, and neither does bnpipe, whose code has a digest of its own. The digest of a part of
    PyTorch is that of PyTorch's version. A process computes each digest once, because it keeps using the code that it
    has imported. Raises InputError if a module cannot be found or parsed.
    """
    return _digest(part, Path.cwd())


@cache
def _digest(part: str, folder: Path) -> str:  # noqa: ARG001 - for the cache: a name is another part in another folder
    find_part(part)
    module = part.partition(":")[0]
    digest = hashlib.sha256()
    top = module.partition(".")[0]
    if top in LIBRARIES:
        digest.update(f"{top} {version(top)}".encode())
        return digest.hexdigest()
    for name, file in sorted(_modules_of(module).items()):
        digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _modules_of(module: str) -> dict[str, Path]:
    """Return the files of a module and of all that belongs to it (see `part_digest`), by the names of its modules."""
    top, found = module.partition(".")[0], dict[str, Path]()
    file = _file_of(top)
    if file is not None and not _is_here(top) and file.name == "__init__.py":
        return {path.relative_to(file.parent).as_posix(): path for path in file.parent.rglob("*.py")}
    waiting, seen = [module], set()
    while waiting:
        # Importing a.b.c runs a and a.b first.
        for name in accumulate(waiting.pop().split("."), "{}.{}".format):
            if name in seen:
                continue
            seen.add(name)
            file = _file_of(name)
            if file is not None:
                found[name] = file
                waiting += (other for other in _imports(name, file) if _is_here(other.partition(".")[0]))
    return found


def _is_here(top: str) -> bool:
    """Return whether a module or package is the user's own and lies in the working directory."""
    spec, here = _spec_of_top(top), Path.cwd()
    if spec is None or top == PACKAGE.name:
        return False
    places = [spec.origin] if spec.origin and spec.has_location else (spec.submodule_search_locations or [])
    own = here / f"{top}.py", here / top / "__init__.py", here / top  # the last is a package without an __init__.py
    return any(Path(place).resolve() in own for place in places)


def _file_of(module: str) -> Path | None:
    """Return the file of a module by its dotted name; None if there is none, or if it is a folder without code."""
    top, *rest = module.split(".")
    spec = _spec_of_top(top)
    for name in rest:  # as an import would, but without importing the packages
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return Path(spec.origin).resolve() if spec is not None and spec.has_location and spec.origin else None


def _spec_of_top(name: str) -> ModuleSpec | None:
    """Find a top-level module or package: in the working directory first, then where Python looks for all of them."""
    path = [str(Path.cwd()), *sys.path]
    found = (finder.find_spec(name, path) for finder in sys.meta_path)
    return next((spec for spec in found if spec is not None), None)


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise InputError(f"{file}:{error.lineno or 1}: expected Python, got {error.msg}; correct it") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: expected Python, got a file that cannot be read ({error}); correct it") from error


def _names_in(file: Path) -> list[str] | None:
    """Return the names that a module defines or imports at its top level; None if parsing cannot tell."""
    defined: list[str] = []
    others: list[str] = []
    waiting: list[ast.AST] = [_parsed(file)]
    while waiting:
        match waiting.pop(0):
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                if name == "__getattr__":
                    return None
                defined.append(name)
            case ast.Name(id=name, ctx=ast.Store()):
                others.append(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                if any(alias.name == "*" for alias in aliases):
                    return None
                others += [alias.asname or alias.name.partition(".")[0] for alias in aliases]
            case node if not isinstance(node, ast.AsyncFunctionDef | ast.Lambda):
                waiting += ast.iter_child_nodes(node)
    return list(dict.fromkeys(defined + others))


def _imports(module: str, file: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports; some may be names within a module."""
    if file.suffix != ".py":
        return
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                source = resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:  # beyond its package: Python will complain if the line is reached
                continue
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
