"""The reference of the configuration, docs/configuration.md: written from the JSON schema, and so from the types."""

import json
from typing import Any

from bnpipe.grid.config import Configuration

Schema = dict[str, Any]

INTRODUCTION = """\
# Reference of the configuration

Every key of `config.yaml`, written from the types in `bnpipe/grid/config.py` by `make schema`. What is not permitted is
refused before any job starts, with a line that names the key, the value and what is permitted; so is a key that does
not stand here. The committed `config.yaml` gives reasons for its values, and `docs/config.schema.json` lets editors
complete and check it.
"""
SECTIONS = {
    "Condition": "Conditions",
    "Study": "Studies",
    "Paper": "The paper's experiment",
    "Normalization": "Normalization",
    "SmallestEffects": "Smallest effects",
}


def reference() -> str:
    """Return the reference as Markdown: a table for each type of the configuration, a row for each key."""
    schema = Configuration.model_json_schema()
    sections = [_section(title, schema["$defs"][name]) for name, title in SECTIONS.items()]
    return "\n".join([INTRODUCTION, _section("The whole file", schema), *sections])


def _section(title: str, schema: Schema) -> str:
    required = schema.get("required", [])
    rows = [_row(key, field, key in required) for key, field in schema["properties"].items()]
    head = ["| key | permitted | default | unit | meaning |", "|---|---|---|---|---|"]
    return "\n".join([f"## {title}", "", schema["description"], "", *head, *rows, ""])


def _row(key: str, field: Schema, required: bool) -> str:
    default = "none: it must be given" if required else _default(field["default"])
    return f"| `{key}` | {permitted(field)} | {default} | {field.get('unit', '')} | {field['description']} |"


def _default(value: Any) -> str:
    match value:
        case {}:
            return "that of each key" if value else "none"
        case [first, _, _, _, *_, last]:
            return f"`[{first}, ..., {last}]`, {len(value)} of them"
        case _:
            return f"`{json.dumps(value)}`"


def permitted(schema: Schema) -> str:
    """Say in words what a JSON schema of the configuration permits."""
    match schema:
        case {"$ref": reference}:
            title = SECTIONS[reference.rpartition("/")[2]]
            return f"keys of [{title}](#{_anchor(title)})"
        case {"anyOf": choices}:
            return "; or ".join(permitted(choice) for choice in choices)
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "object", "patternProperties": properties}:
            (values,) = properties.values()
            return f"names of letters, digits, `_` and `-`, each with {permitted(values)}"
        case {"type": "object"}:
            return "keys of a condition, each with a list of values"
        case {"type": "array", "items": items}:
            return f"a list, each {permitted(items)}"
        case {"type": "string", "examples": [example, *_]}:
            return f"text such as `{example}`"
        case {"type": "integer", "minimum": low, "maximum": high}:
            return f"a whole number from {low:,} to {high:,}"
        case {"type": "number", "exclusiveMinimum": low}:
            return f"a number greater than {low}{_upper_bound(schema)}"
        case {"type": kind}:
            return {"string": "text", "boolean": "`true`, `false`", "null": "`null`"}[kind]
        case _:
            raise ValueError(f"no words for the schema {schema}")


def _upper_bound(schema: Schema) -> str:
    bounds = {"maximum": "at most", "exclusiveMaximum": "less than"}
    return "".join(f" and {words} {schema[bound]}" for bound, words in bounds.items() if bound in schema)


def _anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


if __name__ == "__main__":  # `make schema`
    print(reference(), end="")
