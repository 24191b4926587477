"""What must hold for every figure, whatever its tables hold: to be asserted with `check_figure(figure)`."""

from collections.abc import Iterator
from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bnpipe.figures.arms import COLOURS
from bnpipe.figures.style import ONE_COLUMN, SMALL, TWO_COLUMNS, style

ALL_ARMS = list(COLOURS)[:8]  # as many as a figure has room for (docs/how-to.md)
LONG_NAME = "a_condition_with_a_name_as_long_as_the_configuration_permits_64_"
TOUCH = 0.5  # pixels that boxes may share: less than the white space around letters


def check_figure(figure: Figure) -> None:
    """Lay out a figure and assert that it is as wide as it is printed, and that every text can be read.

    That is: large enough, inside the figure, apart from all other texts, and not over the axes of a neighbour.
    """
    with style():
        figure.draw_without_rendering()
    assert figure.get_figwidth() in (ONE_COLUMN, TWO_COLUMNS)
    boxes = {text: _shrunk(text.get_window_extent()) for text in shown_texts(figure)}
    assert not [text for text in boxes if float(text.get_fontsize()) < SMALL], "letters too small"
    assert all(Bbox.union([box, figure.bbox]).bounds == figure.bbox.bounds for box in boxes.values()), "outside"
    assert not [pair for pair in combinations(boxes, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])], "one over another"
    areas = {axes: axes.get_window_extent() for axes in figure.axes if axes.axison}
    over = [(text, axes) for text, box in boxes.items() for axes in areas if box.overlaps(areas[axes])]
    assert not [(text, axes) for text, axes in over if text not in {*axes.findobj(Text)}], "over a neighbour's axes"


def shown_texts(figure: Figure) -> list[Text]:
    """Return the texts that are drawn: ticks outside their axes are not."""
    hidden = {text for axes in figure.axes for text in _hidden(axes)}
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text() and text not in hidden]


def _hidden(axes: Axes) -> Iterator[Text]:
    if not axes.axison:
        yield from (*axes.xaxis.findobj(Text), *axes.yaxis.findobj(Text))
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not min(limits) <= tick.get_loc() <= max(limits):
                yield from (tick.label1, tick.label2)


def _shrunk(box: Bbox) -> Bbox:
    return Bbox.from_extents(box.x0 + TOUCH, box.y0 + TOUCH, box.x1 - TOUCH, box.y1 - TOUCH)
