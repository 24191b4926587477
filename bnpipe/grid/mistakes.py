"""Mistakes in the configuration, explained to the user: where each is, what is expected, what is there instead."""

import difflib
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bnpipe.core.errors import printable
from bnpipe.core.secrets import mask_values
from bnpipe.core.yaml_files import YamlFile

KeyPath = tuple[int | str, ...]  # the keys and positions that lead to a value

_NOTHING = object()


def explain(error: ValidationError, section: type[BaseModel]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the mistakes that keep values from being a valid section: the path of each, and a line about it."""
    mistakes = error.errors(include_url=False)
    # A list whose only entry is wrong is reported a second time, as too short: keep only the innermost mistake.
    outer = {mistake["loc"][:depth] for mistake in mistakes for depth in range(len(mistake["loc"]))}
    for mistake in mistakes:
        if mistake["loc"] not in outer:
            yield mistake["loc"], _explain(mistake, section)


def locate(path: KeyPath, values: Any, files: Sequence[YamlFile]) -> str:
    """Return file and line of a value of the configuration, or "configuration" if it is in none of the files.

    values: the whole configuration. It may hold values that replace those of the files, so a file counts only if it
    holds the same. files: in the order in which they were read; each replaces values of those before it.
    """
    while _value_at(values, path) is _NOTHING:  # a missing key, for example: its section is there
        path = path[:-1]
    value = repr(_value_at(values, path))  # as text: 1, 1.0 and true differ, and .nan equals itself
    for file in reversed(files):
        if repr(_value_at(file.values, path)) == value:
            names = tuple(map(str, path))
            lines = (file.lines.get(names[:depth]) for depth in range(len(names), 0, -1))
            line = next(filter(None, lines), None)
            return f"{file.path}:{line}" if line else f"{file.path}"
    return "configuration"


def _value_at(values: Any, path: KeyPath) -> Any:
    for part in path:
        try:
            values = values[part]
        except (IndexError, KeyError, TypeError):
            return _NOTHING
    return values


def _explain(mistake: ErrorDetails, section: type[BaseModel]) -> str:
    """Return a line about a mistake: the key, what is expected, what is there, what to do."""
    path = [printable(part) for part in mistake["loc"] if part != "[key]"]
    key = f"{'.'.join(path)}: " if path else ""
    value = repr(mask_values(mistake["input"]))
    value = value if len(value) <= 80 else f"{value[:77]}..."
    match mistake["type"]:
        case "extra_forbidden":
            known = list(_fields_at(section, mistake["loc"][:-1]))
            guess = difflib.get_close_matches(path[-1], known, n=1)
            advice = f"did you mean {guess[0]}?" if guess else "delete it"
            return f"{key}unknown key (got {value}); expected one of {', '.join(known)}; {advice}"
        case "invalid_key":
            known = list(_fields_at(section, mistake["loc"][:-1]))
            return f"{key}expected one of the keys {', '.join(known)}, got {value}"
        case "missing":
            about = _fields_at(section, mistake["loc"][:-1])[path[-1]].description or ""
            return f"{key}missing; add it ({about.removesuffix('.')})"
        case "unexpected":
            advice = mistake["ctx"]["advice"]
            return f"{key}expected {mistake['ctx']['expected']}, got {value}" + (f"; {advice}" if advice else "")
        case "sweep":
            return f"{key}{mistake['msg']}"
        case "too_short":
            least = mistake["ctx"]["min_length"]
            entries = "one entry" if least == 1 else f"{least} entries"
            return f"{key}expected at least {entries}, got {value}"
        case "tuple_type":
            return f"{key}expected a list, [a, b, ...], got {value}"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{key}expected a mapping (a line 'key: value' for each entry), got {value}"
        case _:
            return f"{key}{mistake['msg']}, got {value}"


def _fields_at(section: Any, path: KeyPath) -> dict[str, FieldInfo]:
    """Return the fields of the section that a path leads to, from the section where the path begins."""
    for part in path:
        if isinstance(section, type) and issubclass(section, BaseModel):
            section = section.model_fields[str(part)].annotation
        else:  # sections by name
            _, section = get_args(section)
        if NoneType in get_args(section):  # a section that may be left out
            section, _ = get_args(section)
    return dict(section.model_fields)
