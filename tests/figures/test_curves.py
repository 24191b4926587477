from collections.abc import Sequence
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from bnpipe.analysis.tables import make_tables
from bnpipe.core.records import write_record
from bnpipe.core.settings import Arm
from bnpipe.figures.arms import COLOURS
from bnpipe.figures.curves import draw_all_seeds, draw_overview, draw_single_seed, make_overview
from bnpipe.figures.style import save, style
from tests.conftest import make_record, run_tables
from tests.figures.checks import ALL_ARMS, LONG_NAME, check_figure

ARMS: list[Arm] = ["vanilla", "batchnorm"]


@pytest.fixture
def accuracy() -> pd.DataFrame:
    rows = [
        (condition, arm, seed, step, 0.1 + step / 1000 + 0.01 * (seed - 42) + 0.3 * (arm == "batchnorm"), False)
        for condition in ("tanh", "relu", "third", LONG_NAME)
        for arm in ARMS
        for seed in (42, 43, 44)
        for step in (0, 60, 120)
    ]
    return pd.DataFrame(rows, columns=["condition", "arm", "seed", "step", "accuracy", "diverged"])


def of(accuracy: pd.DataFrame, condition: str = "tanh") -> pd.DataFrame:
    return accuracy[accuracy["condition"] == condition]


def heights(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata())]


def named_lines(axes: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axes.get_lines() if not line.get_alpha()}


def test_a_single_seed_is_drawn_alone_in_the_colour_of_its_arm(accuracy: pd.DataFrame) -> None:
    figure = draw_single_seed(of(accuracy), "tanh", "MNIST", 43, ARMS)
    (axes,) = figure.axes
    lines = named_lines(axes)
    assert list(lines) == ARMS
    assert heights(lines["vanilla"]) == pytest.approx([0.11, 0.17, 0.23])
    assert {arm: to_hex(line.get_color()).upper() for arm, line in lines.items()} == {arm: COLOURS[arm] for arm in ARMS}
    assert lines["vanilla"].get_linestyle() != lines["batchnorm"].get_linestyle()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training step", "validation accuracy")


def test_all_seeds_are_faint_under_their_mean(accuracy: pd.DataFrame) -> None:
    (axes,) = draw_all_seeds(of(accuracy), "tanh", "MNIST", ARMS).axes
    faint = [line for line in axes.get_lines() if line.get_alpha()]
    means = named_lines(axes)
    assert len(faint) == 6
    assert list(means) == ARMS
    assert [label.get_text() for label in axes.texts] == ["vanilla\nn = 3", "batchnorm\nn = 3"]
    assert [to_hex(label.get_color()).upper() for label in axes.texts] == [COLOURS[arm] for arm in ARMS]
    assert heights(means["vanilla"]) == pytest.approx([0.11, 0.17, 0.23])
    assert len(axes.collections) == 2  # the bands


def test_diverged_runs_are_counted_and_not_averaged_with_others(accuracy: pd.DataFrame) -> None:
    curves = of(accuracy).copy()
    curves.loc[(curves["arm"] == "vanilla") & (curves["seed"] == 44), "diverged"] = True
    (axes,) = draw_all_seeds(curves, "tanh", "MNIST", ARMS).axes
    means = named_lines(axes)
    assert [label.get_text() for label in axes.texts] == ["vanilla\n1 of 3 diverged", "batchnorm\nn = 3"]
    assert heights(means["vanilla"]) == pytest.approx([0.105, 0.165, 0.225])


def test_the_overview_shows_the_named_conditions_alone(accuracy: pd.DataFrame) -> None:
    figure = draw_overview(accuracy, ["third", "relu"], "MNIST, first 2 of 4 conditions", ARMS)
    assert [axes.get_title() for axes in figure.axes] == ["third", "relu"]


def test_the_overview_shows_every_condition_on_one_scale(accuracy: pd.DataFrame) -> None:
    with style():
        figure = draw_overview(accuracy, ["relu", "tanh", "third", LONG_NAME], "MNIST", ARMS)
    shown = [axes for axes in figure.axes if axes.axison]
    titles = [axes.get_title(loc="left").replace("\n", "") for axes in shown]
    assert titles == ["relu", "tanh", "third", LONG_NAME]
    assert {axes.get_ylim() for axes in shown} == {(0, 1)}


NOTE = (
    "tanh, learning rate 0.0001, init std 0.1\nscikit-learn digits (not MNIST), every seed, mean and its 95% interval"
)


def ended(arms: Sequence[str], conditions: Sequence[str], seeds: int, diverged: bool) -> pd.DataFrame:
    """Return curves of which those of different arms end within 0.02."""
    rows = [
        (condition, arm, 42 + seed, step, 0.9 + 0.004 * number - 0.8 * (step == 0), diverged)
        for condition in conditions
        for (number, arm), seed in product(enumerate(arms), range(seeds))
        for step in (0, 60, 120)
    ]
    return pd.DataFrame(rows, columns=["condition", "arm", "seed", "step", "accuracy", "diverged"])


@pytest.mark.parametrize("name", ["tanh", LONG_NAME])
@pytest.mark.parametrize(
    ("arms", "seeds", "diverged"), [(ARMS[:1], 1, False), (ARMS, 10, True), (ALL_ARMS, 1, False), (ALL_ARMS, 10, True)]
)
def test_texts_of_a_condition_can_be_read(name: str, arms: Sequence[str], seeds: int, diverged: bool) -> None:
    curves = ended(arms, [name], seeds, diverged)
    with style():
        check_figure(draw_all_seeds(curves, name, NOTE, arms))
        check_figure(draw_single_seed(curves, name, NOTE, 42, arms))


@pytest.mark.parametrize("conditions", [["tanh"], [LONG_NAME, "tanh"], [f"{LONG_NAME[:-2]}{i:02}" for i in range(20)]])
def test_texts_of_the_overview_can_be_read(conditions: Sequence[str]) -> None:
    with style():
        check_figure(draw_overview(ended(ALL_ARMS, conditions, 2, diverged=True), conditions, NOTE, ALL_ARMS))


def test_equal_figures_are_equal_bytes_without_a_date(accuracy: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        with style():
            figure = draw_all_seeds(of(accuracy), "tanh", "MNIST", ARMS)
            save(figure, [tmp_path / f"{name}.svg", tmp_path / f"{name}.png"])
    for suffix in ("svg", "png"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    svg = (tmp_path / "a.svg").read_text()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "<dc:date>" not in svg


def test_the_overview_is_made_from_the_tables_alone(tmp_path: Path) -> None:
    paths = []
    for arm in ARMS:
        paths.append(tmp_path / f"runs/{arm}.safetensors")
        write_record(make_record("tanh", arm, (42, 43), diverged=arm == "vanilla"), paths[-1])
    tables = run_tables(tmp_path)
    make_tables(paths, ["tanh"], ARMS, [42, 43], **tables)
    make_overview(tables["accuracy"], tables["runs"], ["tanh"], "MNIST", ARMS, [tmp_path / "figure.svg"])
    svg = (tmp_path / "figure.svg").read_text()
    assert "MNIST, every seed" in svg
    assert svg.count("<!-- batchnorm -->") == 1
