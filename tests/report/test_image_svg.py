import re
from io import StringIO
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from bnpipe.figures.compact_svg import SVG, compact
from bnpipe.figures.style import style
from bnpipe.report.image_svg import shorten

INSIDE = (
    '<path id="long1" d="m0 0"/><clipPath id="long2"><rect/></clipPath>'
    '<use href="#long1" style="fill:#0072b2"/><use href="#long1" style="fill:#0072b2"/>'
    '<path clip-path="url(#long2)" style="fill:none"/><path clip-path="url(#long2)" style="fill:none"/>'
    '<path style="fill:none"/><g clip-path="url(#long2)"><path d="m1 1"/></g></svg>'
)


def test_names_are_short_and_looks_that_repeat_are_classes() -> None:
    assert shorten(f'<svg width="1pt">{INSIDE}') == (
        "<svg width='1pt'><style>.a{fill:#0072b2}.b{clip-path:url(#b);fill:none}</style>"
        "<path id='a' d='m0 0'/><clipPath id='b'><rect/></clipPath>"
        "<use href='#a' class='a'/><use href='#a' class='a'/>"
        "<path class='b'/><path class='b'/>"
        "<path style='fill:none'/><g clip-path='url(#b)'><path d='m1 1'/></g></svg>"
    )


def test_a_text_keeps_its_quotes_and_what_looks_like_a_name_of_a_colour_stays() -> None:
    svg = '<svg><style>* {fill: #long1}</style><text fill="#long1">"a" = \'b\'</text><path id="long1"/></svg>'
    texts = [element.text for element in ElementTree.fromstring(shorten(svg)).iter()]
    assert "\"a\" = 'b'" in texts
    assert "* {fill: #long1}" in texts
    assert "fill='#long1'" in shorten(svg)


@pytest.fixture(scope="module")
def figure() -> str:
    with style():
        drawn = Figure(figsize=(3, 2))
        axes = drawn.subplots()
        for values in np.random.default_rng(0).random((5, 60)):
            axes.plot(values, "o-", alpha=0.4)
        axes.set_title("title")
        file = StringIO()
        drawn.savefig(file, format="svg", metadata={"Date": None})
    return re.sub("<!--.*?-->", "", compact(file.getvalue()), flags=re.DOTALL)


def test_every_element_looks_as_before(figure: str) -> None:
    """Resolve classes and names, element by element."""
    before, after = ElementTree.fromstring(figure), ElementTree.fromstring(shorten(figure))
    rules = dict(re.findall(r"\.([a-z]+)\{([^}]*)\}", after[0].text or ""))
    after.remove(after[0])
    pairs = list(zip(before.iter(), after.iter(), strict=True))
    names = {one.get("id"): other.get("id") for one, other in pairs}
    assert len({*names.values()}) == len(names)

    def looks(attributes: dict[str, str], names: dict[str | None, str | None]) -> dict[str, str | None]:
        found: dict[str, str | None] = {name: text for name, text in attributes.items() if name not in ("id", "class")}
        clipped = found.pop("clip-path", None)
        look = ";".join(filter(None, [f"clip-path:{clipped}" if clipped else "", found.pop("style", "")]))
        look = rules[attributes["class"]] if "class" in attributes else look
        found["look"] = re.sub(r"(?<=url\(#)\w+", lambda name: names.get(name[0]) or name[0], look)
        if "href" in found:
            found["href"] = names.get(attributes["href"][1:], attributes["href"][1:])
        return found

    for one, other in pairs:
        assert one.tag == other.tag
        assert looks(one.attrib, names) == looks(other.attrib, {})
    assert rules


def test_it_takes_three_quarters_of_the_bytes_in_an_address(figure: str) -> None:
    assert SVG[1:-1] in shorten(figure)
    escaped = len(figure) + 2 * figure.count('"') + 2 * figure.count("#")
    shortened = shorten(figure)
    assert len(shortened) + 2 * shortened.count('"') + 2 * shortened.count("#") < 0.75 * escaped
