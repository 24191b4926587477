"""The SVG that matplotlib writes, in a third of the bytes: the same picture, with its texts as comments."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, TreeBuilder, XMLParser

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
DECIMALS = 2  # of coordinates in points: 4 micrometres
FONTS = {"DejaVuSans-Bold-": "b", "DejaVuSans-Oblique-": "i", "DejaVuSans-": "r"}
REFERENCE = re.compile(r"#([\w-]+)")
COMMAND = re.compile(r"([MLQCz])([^MLQCz]*)")
AT = re.compile(r"translate\(([^ ]+) ([^ ]+)\)")

ElementTree.register_namespace("", SVG[1:-1])


def compact(svg: str) -> str:
    """Return the same drawing in fewer bytes: relative paths, rounded coordinates, nothing that is repeated or unused.

    Elements that others refer to keep a name that depends only on their content, so that several figures can share a
    page.
    """
    for font, letter in FONTS.items():
        svg = svg.replace(font, letter)
    root = ElementTree.fromstring(svg, XMLParser(target=TreeBuilder(insert_comments=True)))
    used = set(REFERENCE.findall(svg))
    styles = {element.get("id", ""): element.get("style") for element in root.iter() if element.get("id") in used}
    _tidy(root, styles)
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")


def relative(path: str) -> str:
    """Rewrite a path of absolute commands M, L, Q, C and z with rounded, relative coordinates, which are shorter.

    Each step is a difference of rounded coordinates, so rounding errors do not add up.
    """
    here = start = (0, 0)
    parts = []
    for command, numbers in COMMAND.findall(path):
        rounded = [round(float(number) * 10**DECIMALS) for number in numbers.split()]
        points = list(zip(rounded[::2], rounded[1::2], strict=True))
        steps = [_written(to - origin) for point in points for to, origin in zip(point, here, strict=True)]
        parts.append(command.lower() + " ".join(steps).replace(" -", "-"))
        here = points[-1] if points else start
        start = here if command == "M" else start
    return "".join(parts)


def _tidy(element: Element, styles: dict[str, str | None]) -> None:
    """Shorten an element and everything in it. styles: those of the elements that others refer to, by name."""
    if element.attrib:
        _shorten(element, styles)
    for child in element:
        _tidy(child, styles)
    if len(element):
        element.text = None  # nothing but white space
    element[:] = [part for child in element for part in _parts(child)]
    _share_style(element)


def _shorten(element: Element, styles: dict[str, str | None]) -> None:
    attributes = element.attrib
    if attributes.get("id") not in styles:
        attributes.pop("id", None)
    if f"{XLINK}href" in attributes:
        attributes["href"] = attributes.pop(f"{XLINK}href")
        if attributes.get("style") == styles.get(attributes["href"].removeprefix("#")):
            attributes.pop("style", None)
    if "d" in attributes:
        attributes["d"] = relative(attributes["d"])
    if "style" in attributes:
        attributes["style"] = attributes["style"].replace(": ", ":").replace("; ", ";")
    for name in {"x", "y"} & attributes.keys():
        attributes[name] = _rounded(attributes[name])
    if "transform" in attributes:
        _move(element)


def _move(element: Element) -> None:
    """Round an element's translation; if a letter only moves along its line, write the translation as `x`."""
    transform = element.attrib.pop("transform")
    moved = AT.fullmatch(transform)
    if moved and moved[2] == "0" and element.tag == f"{SVG}use":
        element.set("x", _rounded(moved[1]))
    else:
        element.set("transform", AT.sub(_rounded_move, transform))


def _rounded_move(found: re.Match[str]) -> str:
    return f"translate({_rounded(found[1])} {_rounded(found[2])})"


def _parts(element: Element) -> Iterator[Element]:
    """Yield what replaces an element: nothing for metadata, its content for a group without attributes, or itself."""
    element.tail = None
    if element.tag == f"{SVG}g" and not element.attrib:
        yield from element
    elif element.tag != f"{SVG}metadata":
        yield element


def _share_style(element: Element) -> None:
    """Give a group of marks the style that all of them share, unless it sets opacity, which is not inherited."""
    styles = {child.get("style", "") for child in element if child.tag == f"{SVG}use"}
    if element.tag == f"{SVG}g" and "style" not in element.attrib and len(styles) == 1 < len(element):
        (style,) = styles
        if style and {child.tag for child in element} == {f"{SVG}use"} and not re.search(r"(^|;)opacity", style):
            element.set("style", style)
            for child in element:
                del child.attrib["style"]


def _rounded(number: str) -> str:
    return _written(round(float(number) * 10**DECIMALS))


def _written(hundredths: int) -> str:
    """Write a number of hundredths without needless digits."""
    number = f"{hundredths / 10**DECIMALS:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return re.sub(r"^(-?)0\.", r"\1.", number)
