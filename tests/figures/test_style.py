from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest

from bnpipe.figures.style import (
    ONE_COLUMN,
    apart,
    canvas,
    draw_mean,
    label_ends,
    legend_columns,
    save,
    scale_steps,
    style,
    wrapped,
)


def test_a_style_that_was_set_before_ends_where_that_of_the_project_begins() -> None:
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 20}):
        with style():
            assert (matplotlib.rcParams["axes.facecolor"], matplotlib.rcParams["font.size"]) == ("white", 7)
        assert (matplotlib.rcParams["axes.facecolor"], matplotlib.rcParams["font.size"]) == ("black", 20)


def test_places_that_are_apart_stay() -> None:
    assert apart([0.9, 0.1, 0.5], 0.2) == pytest.approx([0.9, 0.1, 0.5])


def test_places_move_to_both_sides_alike_and_keep_their_order() -> None:
    assert apart([0.5, 0.52], 0.1) == pytest.approx([0.46, 0.56])
    assert apart([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert apart([0.52, 0.1, 0.5], 0.1) == pytest.approx([0.56, 0.1, 0.46])


def test_places_stay_between_0_and_1_while_there_is_room() -> None:
    assert apart([0.0, 0.0], 0.3) == pytest.approx([0, 0.3])
    assert apart([1.0, 0.98, 0.99], 0.2) == pytest.approx([1, 0.6, 0.8])
    assert apart([0.5] * 4, 0.5) == pytest.approx([0, 0.5, 1, 1.5])


@pytest.mark.parametrize("count", [1, 2, 6])
def test_places_are_never_nearer_than_the_gap(count: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(50):
        moved = np.sort(apart(list(rng.random(count)), 0.15))
        assert (np.diff(moved) >= 0.15 - 1e-9).all()
        assert moved.min() >= 0
        assert moved.max() <= 1 + 1e-9


def test_labels_stand_at_the_ends_of_their_lines_in_their_colours() -> None:
    figure = canvas(ONE_COLUMN, 2)
    axes = figure.subplots()
    (line,) = axes.plot([0, 1, 2], [1, 9, 4], color="#0072B2")
    axes.set_ylim(0, 16)
    label_ends(axes, {line: "blue"})
    (label,) = axes.texts
    assert (label.get_text(), label.get_color()) == ("blue", "#0072B2")
    assert label.xy == (1, pytest.approx(0.25))  # type: ignore[attr-defined]


def test_text_is_broken_at_blanks_underscores_and_its_own_lines() -> None:
    assert wrapped("learning_rate and init_std", width=10 * 0.58 * 7 / 72) == "learning_\nrate and\ninit_std"
    assert wrapped("one\ntwo", width=3) == "one\ntwo"
    assert wrapped("tanh_bad_init", width=3) == "tanh_bad_init"


def test_a_heading_does_not_make_the_axes_lower() -> None:
    with style():
        heights = []
        for lines in (1, 5):
            figure = canvas(ONE_COLUMN, 2, *["a line"] * lines)
            axes = figure.subplots()
            figure.draw_without_rendering()
            heights.append(axes.get_window_extent().height)
    assert heights[0] == pytest.approx(heights[1], rel=0.05)


@pytest.mark.parametrize(("arms", "columns"), [(1, 1), (2, 2), (6, 6), (7, 4), (8, 4), (11, 6), (13, 5)])
def test_many_arms_are_named_in_several_rows(arms: int, columns: int) -> None:
    assert legend_columns(arms) == columns


def test_steps_begin_at_0_and_have_whole_ticks_with_separators() -> None:
    axes = canvas(ONE_COLUMN, 2).subplots()
    axes.plot([0, 50_000], [0, 1])
    scale_steps(axes, most=3)
    low, high = axes.get_xlim()
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert low == 0
    assert {"0", "20,000", "40,000"} <= {*ticks}
    assert high > 50_000


def test_an_svg_is_compact_and_of_the_size_in_which_it_is_printed(tmp_path: Path) -> None:
    with style():
        figure = canvas(ONE_COLUMN, 2, "a heading")
        figure.subplots().plot([0, 1], [0, 1])
        save(figure, [tmp_path / "figure.svg"])
    svg = (tmp_path / "figure.svg").read_text()
    assert float(ElementTree.fromstring(svg).attrib["width"].removesuffix("pt")) == pytest.approx(90 / 25.4 * 72)
    assert "a heading" in svg  # as a comment beside its outlines
    assert "<metadata" not in svg


def test_a_geometric_mean_and_its_interval_are_those_of_the_logarithms() -> None:
    axes = canvas(ONE_COLUMN, 1).subplots()
    curves = pd.DataFrame({"step": [0, 0, 60, 60], "value": [1.0, 100.0, 10.0, 10.0]})
    line = draw_mean(axes, curves, "step", "value", "k", geometric=True)
    assert [float(y) for y in np.asarray(line.get_ydata())] == pytest.approx([10, 10])
    (band,) = axes.collections
    ends = np.asarray(band.get_paths()[0].vertices)
    # log10: 0 and 2 have the mean 1 and the standard deviation sqrt(2); t(1) is 12.706 at 97.5%.
    assert ends[:, 1].max() == pytest.approx(10**13.706, rel=1e-2)
    assert ends[:, 1].min() == pytest.approx(10**-11.706, rel=1e-2)
    assert np.size(draw_mean(axes, curves[:0], "step", "value", "k").get_xdata()) == 0
