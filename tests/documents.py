"""Reads and runs the blocks of Python in the documents."""

import re
from typing import Any

from tests.workplace import REPOSITORY

OWN_PARTS = "A normalizer or a nonlinearity of your own"


def code_of(name: str, heading: str = "") -> list[str]:
    """Return the blocks of Python in a document, or in its section under a heading."""
    text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    if heading:
        text = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run_document(name: str, heading: str = "") -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec("\n".join(code_of(name, heading)), names)
    return names
