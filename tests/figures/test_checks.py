"""The check of all figures finds what it is there to find."""

from collections.abc import Callable, Iterator

import pytest
from matplotlib.figure import Figure

from bnpipe.figures.style import ONE_COLUMN, SMALL, canvas, style
from tests.figures.checks import check_figure


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    with style():
        yield


def two_panels(width: float = ONE_COLUMN) -> Figure:
    figure = canvas(width, 2, "What is drawn")
    for axes in figure.subplots(1, 2):
        axes.set_title("panel")
    return figure


def test_a_good_figure_passes() -> None:
    figure = two_panels()
    check_figure(figure)
    figure.axes[0].annotate("within its own axes", (0.1, 0.5), fontsize=SMALL)
    check_figure(figure)


def small(figure: Figure) -> None:
    figure.axes[0].set_title("panel", fontsize=SMALL - 0.1)


def outside(figure: Figure) -> None:
    figure.text(0.9, 0.5, "over the edge").set_in_layout(False)


def over_a_text(figure: Figure) -> None:
    figure.axes[0].set_title("a title so long that it reaches the next panel's")


def over_a_neighbour(figure: Figure) -> None:
    figure.axes[0].annotate(
        "from the left panel over into the right one", (0.3, 0.5), annotation_clip=False
    ).set_in_layout(False)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (small, "letters too small"),
        (outside, "outside"),
        (over_a_text, "one over another"),
        (over_a_neighbour, "over a neighbour's axes"),
    ],
)
def test_what_cannot_be_read_fails(spoil: Callable[[Figure], None], found: str) -> None:
    figure = two_panels()
    spoil(figure)
    with pytest.raises(AssertionError, match=found):
        check_figure(figure)


def test_another_width_than_that_of_the_page_fails() -> None:
    with pytest.raises(AssertionError):
        check_figure(two_panels(width=5))
