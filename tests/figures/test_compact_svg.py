import re
from io import BytesIO, StringIO
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from bnpipe.figures.compact_svg import SVG, compact, relative
from bnpipe.figures.style import style


@pytest.fixture(scope="module")
def written() -> str:
    """Return what matplotlib writes of a figure with lines, marks, areas, pixels, formulas and bold text."""
    with style():
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        rng = np.random.default_rng(0)
        axes.plot(rng.random(200), "o", alpha=0.4, color="#0072B2")
        axes.plot(rng.random(200), linewidth=0.5)
        axes.fill_between([0, 100], [0, 0.5], [1, 1], alpha=0.3)
        axes.stairs([1, 3, 2], fill=True)
        axes.pcolormesh(rng.random((2, 2)), rasterized=True)
        axes.set_title("bold & <plain>", fontweight="bold")
        axes.set_xlabel(r"$\hat{x}^2$ over $\sqrt{y}$")
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def test_paths_are_relative_with_rounded_coordinates() -> None:
    assert relative("M 10.123456 20 \nL 13 20.5 \nL 12.5 20 \nz\n") == "m10.12 20l2.88 .5l-.5-.5z"
    assert relative("M 1 1 Q 2 2 3 1 C 4 1 5 1 6 1") == "m1 1q1 1 2 0c1 0 2 0 3 0"


def test_after_a_closed_part_the_next_begins_from_its_start() -> None:
    assert relative("M 1 1 L 5 5 z M 2 2 L 3 3") == "m1 1l4 4zm1 1l1 1"


def test_roundings_do_not_add_up() -> None:
    """A thousand steps of 0.004 end where they should, each of them rounded to 0 or 0.01."""
    path = "M 0 0 " + " ".join(f"L {0.004 * step:.6f} 0" for step in range(1, 1001))
    steps = re.findall(r"l(\S+) 0", relative(path))
    assert len(steps) == 1000
    assert sum(float(step) for step in steps) == pytest.approx(4)


def absolute(path: str) -> list[tuple[float, float]]:
    """Return the corners of a relative path of lines, by the definition of SVG."""
    here, corners = np.zeros(2), []
    for numbers in re.findall(r"[ml]([^mlz]*)", path):
        here = here + [float(number) for number in re.findall(r"-?\d*\.?\d+", numbers)]
        corners.append((float(here[0]), float(here[1])))
    return corners


def test_every_corner_stays_within_half_a_hundredth_of_a_point(written: str) -> None:
    longest = max(re.findall(r' d="([^"]*)"', written), key=lambda path: path.count("L"))
    drawn = [(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", longest)]
    assert np.abs(np.array(absolute(relative(longest))) - drawn).max() <= 0.005 + 1e-9


def test_nothing_that_is_drawn_is_lost(written: str) -> None:
    before, after = ElementTree.fromstring(written), ElementTree.fromstring(compact(written))
    for tag in ("path", "use", "clipPath"):
        assert len([*after.iter(f"{SVG}{tag}")]) == len([*before.iter(f"{SVG}{tag}")]) > 0
    assert {key: before.get(key) for key in ("width", "height", "viewBox")} == {
        key: after.get(key) for key in ("width", "height", "viewBox")
    }


def test_every_reference_finds_what_it_names(written: str) -> None:
    root = ElementTree.fromstring(compact(written))
    names = [element.get("id") for element in root.iter() if element.get("id")]
    used = {use.get("href", "").removeprefix("#") for use in root.iter(f"{SVG}use")}
    clips = set(re.findall(r"url\(#(\w+)\)", compact(written)))
    assert len(names) == len({*names})
    assert {*names} == used | clips


def test_texts_stay_as_comments_and_metadata_go(written: str) -> None:
    compacted = compact(written)
    assert "<!-- bold &amp; &lt;plain&gt; -->" in compacted or "<!-- bold & <plain> -->" in compacted
    assert "<metadata" not in compacted
    assert "Matplotlib" not in compacted


def test_it_is_less_than_half_as_long_and_does_not_change_when_repeated(written: str) -> None:
    assert len(compact(written)) < 0.5 * len(written)
    assert compact(written) == compact(written)


def test_marks_share_their_style_where_it_is_inherited(written: str) -> None:
    marks = re.findall(
        r'<g clip-path="[^"]*" style="[^"]*">(?:<use x="[^"]*" y="[^"]*" href="[^"]*"/>){200}</g>', compact(written)
    )
    assert len(marks) == 1
    assert "fill-opacity:0.4" in marks[0]


def test_letters_are_placed_by_x_and_whole_texts_by_their_transform() -> None:
    letters = '<use href="#m"/><use href="#m" transform="translate(63.625 0)"/><use href="#m" transform="scale(0.7)"/>'
    groups = "".join(
        f'<g transform="{to}">{letters}</g>' for to in ("translate(1.23456 0)", "translate(0.5 2) scale(0.09 -0.09)")
    )
    compacted = compact(f'<svg xmlns="{SVG[1:-1]}"><path id="m" d="M 0 0"/>{groups}</svg>')
    placed = '<use href="#m"/><use href="#m" x="63.62"/><use href="#m" transform="scale(0.7)"/></g>'
    assert f'<g transform="translate(1.23 0)">{placed}' in compacted
    assert f'<g transform="translate(.5 2) scale(0.09 -0.09)">{placed}' in compacted


def test_transparency_of_a_whole_is_left_to_each_mark() -> None:
    uses = '<use style="opacity: 0.3" x="1" y="1" href="#m"/>' * 2
    svg = f'<svg xmlns="{SVG[1:-1]}"><path id="m" d="M 0 0"/><g clip-path="url(#m)">{uses}</g></svg>'
    assert compact(svg).count("opacity:0.3") == 2


def test_a_browser_is_not_needed_to_read_it(written: str) -> None:
    assert ElementTree.parse(BytesIO(compact(written).encode())).getroot().tag == f"{SVG}svg"
