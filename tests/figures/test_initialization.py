from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.core.csv_files import write_table
from bnpipe.figures.activations import INITIALIZATION_TITLES
from bnpipe.figures.arms import MARKERS
from bnpipe.figures.initialization import draw_growth, make_growth
from bnpipe.figures.style import style
from tests.figures.checks import ALL_ARMS, LONG_NAME, check_figure
from tests.figures.layers import ACTIVATIONS, ARMS, NOTE, SEEDS, heights, layer_rows, line_of


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    with style():
        yield


@pytest.fixture
def activations() -> pd.DataFrame:
    return layer_rows(SEEDS)


def test_growth_is_dots_as_measured_and_a_line_in_theory(activations: pd.DataFrame) -> None:
    figure = draw_growth(activations, "title", "note", "activation", ACTIVATIONS, ARMS)
    forward, backward = figure.axes[:2]
    dots, line = line_of(backward, "batchnorm, measured"), line_of(backward, "batchnorm, theory")
    assert heights(dots) == pytest.approx([1.2] * 3 + [1.32] * 3)
    assert (dots.get_linestyle(), dots.get_marker()) == ("None", MARKERS["batchnorm"])
    assert heights(line) == pytest.approx([1.25] * 3)
    assert heights(line_of(forward, "vanilla, theory")) == pytest.approx([np.nan, 0.0001, 0.0001], nan_ok=True)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        f"{arm}, {kind}" for arm in ARMS for kind in ("measured", "theory")
    ]


def test_an_arm_without_a_theory_has_no_line(activations: pd.DataFrame) -> None:
    untold = activations.assign(forward_theory=np.nan, backward_theory=np.nan)
    activations = pd.concat([activations[activations["arm"] == "vanilla"], untold[untold["arm"] == "batchnorm"]])
    figure = draw_growth(activations, "title", "note", "activation", ACTIVATIONS, ARMS)
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["vanilla, measured", "vanilla, theory", "batchnorm, measured"]


@pytest.mark.parametrize(("seeds", "arms"), [(1, ARMS), (2, ALL_ARMS)])
def test_texts_can_be_read_of_long_names_one_seed_and_many_arms(seeds: int, arms: list[str]) -> None:
    layers = layer_rows([42 + seed for seed in range(seeds)], arms, range(1, 11))
    renamed, title = layers.replace({"activation": {"tanh": LONG_NAME}}), max(INITIALIZATION_TITLES.values(), key=len)
    check_figure(draw_growth(renamed, title, NOTE, "activation", [LONG_NAME, "relu"], arms))


def test_growth_of_the_trained_networks_has_a_row_for_each_condition(activations: pd.DataFrame, tmp_path: Path) -> None:
    layers = activations.rename(columns={"activation": "condition"})
    write_table(layers, tmp_path / "layers.csv")
    make_growth(tmp_path / "layers.csv", ["relu", "tanh"], "MNIST", ARMS, [tmp_path / "growth.svg"])
    svg = (tmp_path / "growth.svg").read_text()
    assert svg.index("<!-- relu -->") < svg.index("<!-- tanh -->")
    assert "MNIST" in svg
