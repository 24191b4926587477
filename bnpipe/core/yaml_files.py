"""Read YAML more strictly than YAML itself asks, and keep the line of every value.

A value without quotes is kept as it is written (`Unquoted`), and the key that it belongs to decides whether it is a
number, true or false, or text. YAML 1.1 decides without the key: it reads 061 as 49, 1:30 as 90 and 1e3 as text, and
cannot tell a folder named 2024 from the number.
"""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bnpipe.core.errors import InputError, printable

_NULLS = {"", "~", "null", "Null", "NULL"}
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}  # as in YAML 1.1
# Decimal numbers in all notations of YAML 1.1, YAML 1.2 and JSON, but without a leading zero, which means octal in 1.1.
_DIGITS = r"(0|[1-9][0-9]*(_[0-9]+)*)"
_WHOLE_NUMBER = re.compile(rf"[-+]?{_DIGITS}")
_NUMBER = re.compile(rf"[-+]?({_DIGITS}(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")  # not in YAML


class Unquoted(str):
    """A value that has no quotes in YAML: a number, true or false, or text. See `plain`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class YamlFile:
    """What a YAML file holds, and on which lines."""

    path: Path
    values: Any  # those without quotes are Unquoted; null is None
    # Line of each key and list entry, counted from 1, by the keys and positions that lead to it, all as text:
    # ("arms", "0") is the first of the arms. Some entries that are reached through an alias are left out.
    lines: Mapping[tuple[str, ...], int]


def mapped(value: Any, read: Callable[[Any], Any]) -> Any:
    """Return values with `read` applied to everything that is neither a list nor a mapping."""
    if isinstance(value, dict):
        return {str(key) if isinstance(key, str) else key: mapped(each, read) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [mapped(each, read) for each in value]
    return read(value)


def plain(value: Any) -> Any:
    """Return values with everything that is Unquoted turned into a number, true or false, or text."""
    return mapped(value, _read_unquoted)


def _read_unquoted(text: Any) -> Any:
    if not isinstance(text, Unquoted):
        return text
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    is_word = text in (text.lower(), text.capitalize(), text.upper())  # not yES
    return _SWITCHES.get(text.lower(), str(text)) if is_word else str(text)


def unquoted(value: Any) -> Any:
    """Return values with all text treated as if it had no quotes in YAML."""
    return mapped(value, lambda each: (None if each in _NULLS else Unquoted(each)) if isinstance(each, str) else each)


def surprise(value: Any) -> int | float | None:
    """Return the number that YAML 1.1 reads in an Unquoted value that is not a decimal number; None if it reads none.

    Examples are 061 (octal, 49), 0x10, 0b1 and 1:30 (base 60, 90).
    """
    if not isinstance(value, Unquoted) or plain(value) != str(value):
        return None
    try:
        read = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        return None
    return read if isinstance(read, int | float) else None


def read_yaml(path: Path) -> Any:
    """Return the plain values that a YAML file holds. Raises InputError as `read_yaml_file` does."""
    return plain(read_yaml_file(path).values)


def read_yaml_file(path: Path) -> YamlFile:
    """Read a YAML file. Raises InputError if it cannot be read, is not UTF-8, or as `parse_yaml` does."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    values, lines = parse_yaml(_decoded(content, path), f"{path}")
    return YamlFile(path, values, lines)


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")  # with or without the byte order mark that Windows writes
    except UnicodeDecodeError as error:
        if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise InputError(f"{path}: expected text in UTF-8, got UTF-16; save the file as UTF-8") from error
        line, byte = content[: error.start].count(b"\n") + 1, content[error.start]
        raise InputError(
            f"{path}:{line}: expected text in UTF-8, got the byte 0x{byte:02x} ({chr(byte)!r} in Latin-1); save the "
            "file as UTF-8"
        ) from error


def parse_yaml(text: str, name: str, numbered: bool = True) -> tuple[Any, Mapping[tuple[str, ...], int]]:
    """Return the values that a YAML text holds and their lines, see YamlFile.

    name: what messages call the text. numbered: whether they give the line too. Raises InputError if it is not YAML, or
    if a mapping has a key twice (YAML would silently keep the last).
    """

    def at(line: int | None) -> str:
        return f"{name}:{line}" if line and numbered else name

    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise InputError(f"{at(line)}: not YAML: expected text, got the character {control[0]!r}; delete it")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        entries = list(_entries(node))
        values = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        began = error.context_mark
        context = f" ({error.context}, which begins on line {began.line + 1})" if began and error.context else ""
        raise InputError(
            f"{at(mark.line + 1 if mark else None)}: not YAML: {error.problem}{context}; indent with spaces, close "
            "quotes and brackets"
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: !!timestamp with a 13th month
        raise InputError(f"{name}: not YAML: {' '.join(str(error).split())}") from error
    duplicates = [
        f"{at(line)}: {'.'.join(map(printable, entry))}: expected once, but line {earlier} has it too; delete one"
        for entry, line, earlier in entries
        if earlier is not None
    ]
    if duplicates:
        raise InputError("\n".join(duplicates))
    return values, {entry: line for entry, line, _ in entries}


def _entries(
    node: yaml.Node | None, path: tuple[str, ...] = (), around: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[str, ...], int, int | None]]:
    """Yield all keys and list entries below a node: path, line, and the line of an earlier equal key, if any.

    around: the identities of the nodes that contain the node. Raises yaml.MarkedYAMLError if the node contains itself.
    """
    if node and id(node) in around:
        raise yaml.MarkedYAMLError(problem="an alias within the value that it stands for", problem_mark=node.start_mark)
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
        if (
            id(child) in (*around, id(node)) or child.start_mark.index > node.start_mark.index
        ):  # otherwise it is an alias
            yield from _entries(child, (*path, name), (*around, id(node)))


# Use libyaml's parser if PyYAML has it: it is ten times as fast, and a grid of conditions is a long file. Of the words
# that have a meaning in YAML, only null and << (merge) keep theirs.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEPT = {"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}


class _Loader(_Base):  # type: ignore[misc]
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name and type
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }


def _construct_text(loader: Any, node: yaml.ScalarNode) -> str:
    text: str = loader.construct_scalar(node)
    return text if node.style else Unquoted(text)


_Loader.add_constructor("tag:yaml.org,2002:str", _construct_text)
