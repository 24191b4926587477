from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bnpipe.core.csv_files import write_table
from bnpipe.experiments.covariate_shift import SHIFT_COLUMNS
from bnpipe.figures.covariate_shift import draw_covariate_shift, make_covariate_shift_figure
from bnpipe.figures.style import style
from tests.figures.checks import LONG_NAME, check_figure

ARMS = ["vanilla", "batchnorm"]
CONDITIONS = ["tanh", "relu"]


@pytest.fixture
def shifts() -> pd.DataFrame:
    """Return shifts that differ by 0.1 between seeds and by 0.02 between layers, larger under relu."""
    rows = [
        (condition, arm, seed, step, layer, 0.1 * (seed - 41) + 0.02 * layer + extra + step / 1000)
        for condition, extra in (("tanh", 0), ("relu", 0.05))
        for arm in ARMS
        for seed in (42, 43, 44)
        for step in (0, 60, 120)
        for layer in (2, 3)
    ]
    return pd.DataFrame([(*row, 1 - row[-1] ** 2 / 2) for row in rows], columns=SHIFT_COLUMNS)


def named_lines(axes: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axes.get_lines() if not line.get_alpha()}


def test_a_row_for_each_condition_with_both_measures(shifts: pd.DataFrame) -> None:
    with style():
        figure = draw_covariate_shift(shifts, ["relu", "tanh"], "MNIST", ARMS)
    assert [axes.get_title(loc="left").split(":")[0] for axes in figure.axes] == ["relu", "relu", "tanh", "tanh"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"] * 2
    assert {axes.get_xlabel() for axes in figure.axes} == {"training step"}


def test_a_curve_is_the_mean_over_layers_and_seeds(shifts: pd.DataFrame) -> None:
    change, cosine, *_ = draw_covariate_shift(shifts, CONDITIONS, "MNIST", ARMS).axes
    lines = named_lines(change)
    assert list(lines) == ["vanilla (n = 3)", "batchnorm (n = 3)"]
    # tanh: seeds 0.1, 0.2, 0.3 plus layers 0.04, 0.06 have the mean 0.25; a step adds a thousandth.
    assert list(np.asarray(lines["vanilla (n = 3)"].get_ydata())) == pytest.approx([0.25, 0.31, 0.37])
    assert len([line for line in change.get_lines() if line.get_alpha()]) == 6  # a run each
    (faint, *_) = cosine.get_lines()  # of seed 42: the mean of 1 - 0.14^2 / 2 and 1 - 0.16^2 / 2
    assert np.asarray(faint.get_ydata())[0] == pytest.approx(1 - (0.14**2 + 0.16**2) / 4)


@pytest.mark.parametrize("seeds", [[42], [42, 43, 44]])
def test_texts_can_be_read_of_long_names_and_of_one_seed(shifts: pd.DataFrame, seeds: list[int]) -> None:
    renamed = shifts[shifts["seed"].isin(seeds)].replace({"condition": {"tanh": LONG_NAME}})
    with style():
        check_figure(draw_covariate_shift(renamed, [LONG_NAME, "relu"], "scikit-learn digits (not MNIST)", ARMS))


def test_tables_of_several_jobs_are_one_figure_and_equal_bytes(shifts: pd.DataFrame, tmp_path: Path) -> None:
    tables = [tmp_path / f"{condition}-{arm}.csv" for condition in CONDITIONS for arm in ARMS]
    for path in tables:
        condition, arm = path.stem.split("-")
        write_table(shifts[(shifts["condition"] == condition) & (shifts["arm"] == arm)], path)
    for name in ("a", "b"):
        make_covariate_shift_figure(tables, CONDITIONS, "MNIST", ARMS, [tmp_path / f"{name}.svg"])
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert svg.count("<!-- batchnorm (n = 3) -->") == 1
