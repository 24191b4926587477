"""YAML files, read with the strictness that YAML itself lacks, and with the line of every value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bnpipe.core.errors import InputError, printable

# libyaml's parser if PyYAML has it: ten times as fast, and a grid of conditions is a long file.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class YamlFile:
    """What a YAML file holds, and on which lines."""

    path: Path
    values: Any
    # Line of each key and list entry, counted from 1, by the keys and positions that lead to it, all as text:
    # ("arms", "0") is the first of the arms. Some of what aliases stand for is left out.
    lines: Mapping[tuple[str, ...], int]


def read_yaml(path: Path) -> Any:
    """Return the values that a YAML file holds. Raises InputError as `read_yaml_file` does."""
    return read_yaml_file(path).values


def read_yaml_file(path: Path) -> YamlFile:
    """Read a YAML file.

    Raises InputError if it is not YAML, or if a mapping has a key twice (YAML would silently keep the last).
    """
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        entries = list(_entries(node))
        values = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else f"{path}"
        began = error.context_mark
        context = f" ({error.context}, which begins on line {began.line + 1})" if began and error.context else ""
        raise InputError(
            f"{place}: not YAML: {error.problem}{context}; indent with spaces, close quotes and brackets"
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except (OSError, ValueError) as error:  # ValueError: bytes that are not UTF-8, a 13th month
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    duplicates = [
        f"{path}:{line}: {'.'.join(map(printable, entry))}: expected once, but line {earlier} has it too; delete one"
        for entry, line, earlier in entries
        if earlier is not None
    ]
    if duplicates:
        raise InputError("\n".join(duplicates))
    return YamlFile(path, values, {entry: line for entry, line, _ in entries})


def _entries(node: yaml.Node | None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int, int | None]]:
    """Go through all keys and list entries below a node: path, line, and line of the same key before it, if any."""
    if isinstance(node, yaml.MappingNode):
        children = [(str(key.value), key.start_mark.line + 1, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(place), entry.start_mark.line + 1, entry) for place, entry in enumerate(node.value)]
    else:
        return
    lines: dict[str, int] = {}
    for name, line, child in children:
        yield (*path, name), line, lines.get(name)
        lines[name] = line
        # Otherwise it is an alias of an earlier node, perhaps of one that contains it.
        if child.start_mark.index > node.start_mark.index:
            yield from _entries(child, (*path, name))
