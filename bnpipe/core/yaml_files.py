"""YAML files, read with the strictness that YAML itself lacks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bnpipe.core.errors import InputError, printable

# libyaml's parser where PyYAML has it: ten times as fast, and a grid of conditions is a long file.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises InputError where it is not YAML, or a key stands twice (YAML would silently keep the last).
    """
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        duplicates = list(_duplicate_keys(node))
        values = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        began = error.context_mark
        context = f" ({error.context}, which begins on line {began.line + 1})" if began and error.context else ""
        raise InputError(
            f"{path}: {place}not YAML: {error.problem}{context}; indent with spaces, close quotes and brackets"
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except (OSError, ValueError) as error:  # ValueError: bytes that are no UTF-8, a 13th month
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    if duplicates:
        raise InputError("\n".join(f"{path}: {duplicate}" for duplicate in duplicates))
    return values


def _duplicate_keys(node: yaml.Node | None, prefix: str = "") -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name, line = f"{prefix}{printable(key.value)}", key.start_mark.line + 1
            if name in seen:
                yield f"{name}: stands on line {seen[name]} and again on line {line}; permitted is once; delete one"
            seen[name] = line
            if value.start_mark.index > node.start_mark.index:  # else an alias of what it stands in
                yield from _duplicate_keys(value, f"{name}.")
