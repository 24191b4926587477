from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnpipe.core.csv_files import write_table
from bnpipe.figures.arms import COLOURS
from bnpipe.figures.paper import draw_paper, make_paper_figure
from bnpipe.figures.style import style
from tests.figures.checks import check_figure

ARMS = ["vanilla", "batchnorm"]
STEPS = [0, 500, 999]


@pytest.fixture
def accuracy() -> pd.DataFrame:
    rows = [
        (arm, seed, step, 0.1 + 0.8 * step / 999 + 0.01 * (seed - 42) + 0.02 * (arm == "batchnorm"))
        for arm, seed, step in product(ARMS, (42, 43, 44), STEPS)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "step", "accuracy"])


@pytest.fixture
def percentiles() -> pd.DataFrame:
    rows = [
        (arm, seed, step, percentile, (percentile - 50) / 35 * (3 if arm == "vanilla" else 1) + seed - 42)
        for arm, seed, step, percentile in product(ARMS, (42, 43, 44), STEPS, (15, 50, 85))
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "step", "percentile", "value"])


@pytest.fixture
def figure(accuracy: pd.DataFrame, percentiles: pd.DataFrame) -> Figure:
    with style():
        figure = draw_paper(accuracy, percentiles, "MNIST, learning rate 0.1, init std 0.1")
        figure.savefig(BytesIO())  # lays it out
    return figure


def heights(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata())]


def full_lines(axes: Axes) -> list[Line2D]:
    return [line for line in axes.get_lines() if not line.get_alpha()]


def test_three_panels_as_in_the_paper(figure: Figure) -> None:
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "a  accuracy",
        "b  without normalization",
        "c  with batch normalization",
    ]
    labels = ["validation accuracy", "input to the sigmoid", "input to the sigmoid"]
    assert [axes.get_ylabel() for axes in figure.axes] == labels
    assert {axes.get_xlabel() for axes in figure.axes} == {"training step"}


def test_accuracies_are_means_over_faint_seeds(figure: Figure) -> None:
    axes = figure.axes[0]
    means = {str(line.get_label()): heights(line) for line in full_lines(axes)}
    assert means["vanilla"] == pytest.approx([0.11, 0.11 + 400 / 999, 0.91])
    assert means["batchnorm"] == pytest.approx([0.13, 0.13 + 400 / 999, 0.93])
    assert len(axes.get_lines()) == 2 + 6
    assert axes.get_ylim() == (0.7, 1)


def test_runs_that_end_low_are_shown_too(accuracy: pd.DataFrame, percentiles: pd.DataFrame) -> None:
    low = accuracy.assign(accuracy=accuracy["accuracy"] / 2)
    assert draw_paper(low, percentiles, "MNIST").axes[0].get_ylim() == pytest.approx((0.45, 1))


def test_percentiles_of_the_first_seed_stand_out_and_say_which_they_are(figure: Figure) -> None:
    for axes, arm, reach in zip(figure.axes[1:], ARMS, (3, 1), strict=True):
        assert [heights(line) for line in full_lines(axes)] == [pytest.approx([y] * 3) for y in (-reach, 0, reach)]
        assert {to_hex(line.get_color()).upper() for line in axes.get_lines()} == {COLOURS[arm]}
        assert [(text.get_text(), text.xy) for text in axes.texts] == [  # type: ignore[attr-defined]
            ("15%", (999, -reach)),
            ("50%", (999, 0)),
            ("85%", (999, reach)),
        ]
        faint = [heights(line)[0] for line in axes.get_lines() if line.get_alpha()]
        assert faint == pytest.approx([seed + y for seed in (1, 2) for y in (-reach, 0, reach)])
        assert sum(isinstance(artist, PolyCollection) for artist in axes.collections) == 1  # the band


def test_both_arms_have_one_scale(figure: Figure) -> None:
    without, with_normalization = figure.axes[1:]
    assert without.get_ylim() == with_normalization.get_ylim()
    assert without.get_ylim()[0] < -3
    assert without.get_ylim()[1] > 5


@pytest.mark.parametrize("seeds", [[42], [42, 43, 44]])
def test_texts_can_be_read(accuracy: pd.DataFrame, percentiles: pd.DataFrame, seeds: list[int]) -> None:
    accuracy, percentiles = (table[table["seed"].isin(seeds)] for table in (accuracy, percentiles))
    with style():
        check_figure(
            draw_paper(
                accuracy, percentiles, "scikit-learn digits (not MNIST), sigmoid, learning rate 0.1, init std 0.1"
            )
        )


def test_the_figure_is_made_from_the_files_of_both_arms(
    accuracy: pd.DataFrame, percentiles: pd.DataFrame, tmp_path: Path
) -> None:
    for arm in ARMS:
        write_table(accuracy[accuracy["arm"] == arm], tmp_path / f"accuracy-{arm}.csv")
        write_table(percentiles[percentiles["arm"] == arm], tmp_path / f"percentiles-{arm}.csv")
    files = [[tmp_path / f"{table}-{arm}.csv" for arm in ARMS] for table in ("accuracy", "percentiles")]
    for name in ("one", "two"):
        make_paper_figure(files[0], files[1], "MNIST", [tmp_path / f"{name}.svg", tmp_path / f"{name}.png"])
    for suffix in ("svg", "png"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
    svg = (tmp_path / "one.svg").read_text()
    for text in ("MNIST", "a: every seed (n = 3)", "seed 42", "85%"):
        assert text in svg  # as a comment beside its outlines
