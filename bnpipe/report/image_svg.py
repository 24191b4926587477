"""An SVG in fewer bytes, for an image of its own: its names and styles cannot clash with those of a page."""

import re
import string
from collections import Counter
from collections.abc import Iterator
from itertools import count, product

LOOK = re.compile(r'( clip-path="(url\(#[^"]+\))")?( style="([^"]*)")?(?=[ />])')
NAME = re.compile(r'(?<= id=")[^"]+')
REFERENCE = re.compile(r'(?<= href="#)[^"]+|(?<=url\(#)[^)]+')


def shorten(svg: str) -> str:
    """Return the same drawing with short names, a class for each look that is repeated, and quotes that need no escape.

    In the SVG files, names depend on the content, so that one document can hold several drawings.
    """
    names = dict(zip(dict.fromkeys(NAME.findall(svg)), _short_names(), strict=False))
    svg = NAME.sub(lambda found: names[found[0]], svg)
    svg = REFERENCE.sub(lambda found: names.get(found[0], found[0]), svg)
    looks = Counter(_look(found) for found in LOOK.finditer(svg) if found[0])
    classes = dict(zip((look for look, times in looks.most_common() if times > 1), _short_names(), strict=False))
    svg = LOOK.sub(lambda found: f' class="{name}"' if (name := classes.get(_look(found))) else found[0], svg)
    rules = "".join(f".{name}{{{look}}}" for look, name in classes.items())
    if rules:
        svg = re.sub(r"<svg\b[^>]*>", lambda found: f"{found[0]}<style>{rules}</style>", svg, count=1)
    return re.sub(r'="([^"\']*)"', r"='\1'", svg)


def _look(found: re.Match[str]) -> str:
    """Return the style that replaces the attributes, empty if there are none."""
    clipped = f"clip-path:{found[2]}" if found[2] else ""
    return ";".join(part for part in (clipped, found[4]) if part)


def _short_names() -> Iterator[str]:
    for length in count(1):
        yield from map("".join, product(string.ascii_lowercase, repeat=length))
