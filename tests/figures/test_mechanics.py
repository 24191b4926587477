from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from bnpipe.core.csv_files import write_table
from bnpipe.experiments.mechanics import STAGES, choose_units, follow, mechanics_table, stage_summary_table
from bnpipe.figures.mechanics import STAGE_TITLES, draw_mechanics, make_mechanics_figure
from bnpipe.figures.style import style
from tests.conftest import make_settings
from tests.figures.checks import check_figure

NOTE = "first hidden layer, seed 42, before the first update; scikit-learn digits (not MNIST)"
Tables = tuple[pd.DataFrame, pd.DataFrame]  # mechanics, mechanics_summary


@pytest.fixture(scope="module")
def tables() -> Tables:
    z = np.random.default_rng(3).normal(size=(60, 4)) * [0.7, 0.7, 0.2, 3.0]
    z = z - z.mean(axis=0) + [-1.5, 20.25, 0.25, 1.0]
    units, stages = choose_units(z), follow(z, make_settings())
    return mechanics_table(stages, list(units), np.arange(60, dtype=np.int32)), stage_summary_table(stages, units)


@pytest.fixture(scope="module")
def figure(tables: Tables) -> Figure:
    with style():
        return draw_mechanics(*tables, NOTE)


def histogram(axes: Axes) -> StepPatch:
    (filled,) = (patch for patch in axes.patches if isinstance(patch, StepPatch) and patch.get_fill())
    return filled


def heights(axes: Axes) -> list[float]:
    return [float(height) for height in histogram(axes).get_data()[0]]


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_columns_are_the_stages_of_the_table_under_name_and_formula(figure: Figure) -> None:
    assert list(STAGE_TITLES) == STAGES
    top = figure.axes[:5]
    assert [axes.get_title(loc="left") for axes in top] == [name for name, _ in STAGE_TITLES.values()]
    assert all(formula in words(axes) for axes, (_, formula) in zip(top, STAGE_TITLES.values(), strict=True))


def test_rows_are_the_units_and_say_what_each_was_chosen_for(figure: Figure) -> None:
    labels = [" ".join(axes.get_ylabel().split()) for axes in figure.axes[::5]]
    assert labels == [
        "unit 0 smallest mean images",
        "unit 1 largest mean images",
        "unit 2 smallest standard deviation images",
        "unit 3 largest standard deviation images",
    ]


def test_every_panel_shows_all_images_and_its_own_numbers(figure: Figure, tables: Tables) -> None:
    assert [sum(heights(axes)) for axes in figure.axes] == [60] * 20
    before, centred, _, example, identity = (words(axes)[0] for axes in figure.axes[5:10])  # of unit 1
    deviation = f"{tables[1]['standard_deviation'].iloc[5]:.3f}"
    assert before == f"mean 20.250\nstd {deviation}"
    assert centred == f"mean 0.000\nstd {deviation}"  # never a minus zero
    assert example == "mean 1.000\nstd 0.500\n" r"$\gamma$ = 0.500, $\beta$ = 1.000"
    assert identity.startswith(before)
    assert identity.endswith(r"$\beta$ = 20.250")
    assert words(figure.axes[0])[0].startswith("mean \N{MINUS SIGN}1.500")


def test_bars_keep_their_heights_from_stage_to_stage(figure: Figure) -> None:
    for row in range(4):
        first, *others = (heights(axes) for axes in figure.axes[5 * row : 5 * row + 5])
        assert others == [first] * 4


def test_the_identity_lies_on_the_outline_of_the_values_before(figure: Figure) -> None:
    for axes in figure.axes[4::5]:
        (outline,) = (patch for patch in axes.patches if isinstance(patch, StepPatch) and not patch.get_fill())
        for drawn, expected in zip(outline.get_data()[:2], histogram(axes).get_data()[:2], strict=True):
            assert drawn == pytest.approx(expected, abs=1e-9)


def test_all_panels_have_one_scale_that_holds_every_value(figure: Figure, tables: Tables) -> None:
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    low, high = figure.axes[0].get_xlim()
    assert low < tables[0][STAGES].to_numpy().min()
    assert tables[0][STAGES].to_numpy().max() < high


def test_texts_can_be_read_and_none_lies_on_a_bar(figure: Figure) -> None:
    check_figure(figure)
    for axes in figure.axes:
        text = axes.texts[0].get_window_extent()
        left, low, right, high = axes.transData.inverted().transform(text.corners()[[0, 3]]).flatten()
        heights, edges, _ = histogram(axes).get_data()
        under = (edges[:-1] < right) & (edges[1:] > left)
        assert heights[under].max(initial=0) <= low < high


def test_the_figure_is_made_from_the_files_of_the_tables_in_equal_bytes(tables: Tables, tmp_path: Path) -> None:
    for table, name in zip(tables, ("mechanics", "summary"), strict=True):
        write_table(table, tmp_path / f"{name}.csv")
    for name in ("a", "b"):
        make_mechanics_figure(tmp_path / "mechanics.csv", tmp_path / "summary.csv", NOTE, [tmp_path / f"{name}.svg"])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert f"One mini-batch of 60 images, {NOTE}" in (tmp_path / "a.svg").read_text()
