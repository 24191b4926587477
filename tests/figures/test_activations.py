from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.words import MINUS, TIMES
from bnpipe.core.csv_files import write_table
from bnpipe.experiments.activations import INITIALIZATIONS
from bnpipe.figures.activations import (
    INITIALIZATION_TITLES,
    MU,
    SIGMA,
    draw_histograms,
    draw_layers,
    make_activation_figures,
)
from bnpipe.figures.arms import COLOURS
from bnpipe.figures.style import style
from tests.figures.checks import ALL_ARMS, check_figure
from tests.figures.layers import ACTIVATIONS, ARMS, LAYERS, NOTE, SEEDS, heights, layer_rows, line_of


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    with style():
        yield


@pytest.fixture
def activations() -> pd.DataFrame:
    return layer_rows(SEEDS)


def histogram_rows(arms: Sequence[str], layers: Sequence[int]) -> pd.DataFrame:
    """Return made-up histograms of seed 42: of eight values three are outside, two and three in the bins."""
    bins = [(-np.inf, -1, 1), (-1, 0, 2), (0, 1, 3), (1, np.inf, 2)]
    return pd.DataFrame(
        [("small", *keys, 42, layer, *one) for *keys, layer, one in product(ACTIVATIONS, arms, layers, bins)],
        columns=["initialization", "activation", "arm", "seed", "layer", "low", "high", "count"],
    )


@pytest.fixture
def histograms() -> pd.DataFrame:
    return histogram_rows(ARMS, LAYERS)


def test_statistics_stand_side_by_side_a_nonlinearity_a_row(activations: pd.DataFrame) -> None:
    figure = draw_layers(activations, "title", "note", ARMS)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["tanh", "", "relu", ""]
    assert [axes.get_ylabel().split(" of")[0].split("\n")[0] for axes in figure.axes[:2]] == [
        "mean",
        "standard deviation",
    ]
    deviation = figure.axes[1]
    assert heights(line_of(deviation, "vanilla")) == pytest.approx([1.05, 0.0105, 0.000105])
    assert line_of(deviation, "vanilla").get_color() == COLOURS["vanilla"]
    assert sum(line.get_alpha() == 0.3 for line in deviation.get_lines()) == len(SEEDS) * len(ARMS)


def test_an_axis_is_logarithmic_where_values_are_positive_and_of_many_orders(activations: pd.DataFrame) -> None:
    figure = draw_layers(activations, "title", "note", ARMS)
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", "log", "log"]
    near = draw_layers(activations[activations["layer"] == 1], "title", "note", ARMS)
    assert {axes.get_yscale() for axes in near.axes} == {"linear"}


def test_histograms_are_titled_and_say_what_they_leave_out(activations: pd.DataFrame, histograms: pd.DataFrame) -> None:
    of_one_seed = activations[activations["seed"] == 42]
    figure = draw_histograms(histograms, of_one_seed, "title", "note", ARMS)
    assert len(figure.axes) == len(ACTIVATIONS) * len(ARMS) * len(LAYERS)
    assert [axes.get_ylabel() for axes in figure.axes[:: len(LAYERS)]] == [
        f"{activation}\n{arm}" for activation in ACTIVATIONS for arm in ARMS
    ]
    second = figure.axes[1]  # tanh, vanilla, layer 2
    assert second.get_title(loc="left") == f"layer 2\n38% out\n{MU} {MINUS}1{TIMES}10⁻⁵\n{SIGMA} 0.01"
    assert figure.axes[len(LAYERS)].get_title(loc="left").startswith(f"38% out\n{MU}")  # layers are named at the top
    (stairs,) = second.patches
    values, edges, _ = stairs.get_data()  # type: ignore[attr-defined]
    assert (list(values), list(edges)) == ([2, 3], [-1, 0, 1])


def test_few_values_outside_are_not_said_to_be_none(activations: pd.DataFrame, histograms: pd.DataFrame) -> None:
    inside = np.isfinite(histograms["low"]) & np.isfinite(histograms["high"])
    many = histograms.assign(count=histograms["count"].where(~inside, 1000))
    figure = draw_histograms(many, activations[activations["seed"] == 42], "title", "note", ARMS)
    assert all("< 1% out\n" in axes.get_title(loc="left") for axes in figure.axes)
    figure = draw_histograms(histograms[inside], activations[activations["seed"] == 42], "title", "note", ARMS)
    assert not any("out" in axes.get_title(loc="left") for axes in figure.axes)


def test_texts_over_many_histograms_can_be_read() -> None:
    layers = layer_rows([42], ARMS, range(1, 11)).assign(mean=-1.23e-12, standard_deviation=4.56e19)
    check_figure(draw_histograms(histogram_rows(ARMS, range(1, 11)), layers, "title", NOTE, ARMS))


def test_every_initialization_has_a_title() -> None:
    assert INITIALIZATION_TITLES.keys() == INITIALIZATIONS.keys()


def test_figures_are_made_from_the_tables_and_repeat(
    activations: pd.DataFrame, histograms: pd.DataFrame, tmp_path: Path
) -> None:
    others = [table.assign(initialization="unit") for table in (activations, histograms)]
    write_table(pd.concat([activations, others[0]]), tmp_path / "activations.csv")
    write_table(pd.concat([histograms, others[1]]), tmp_path / "histograms.csv")
    tables = tmp_path / "activations.csv", tmp_path / "histograms.csv"
    kinds = ("layers", "histograms", "growth")
    for name in ("a", "b"):
        outputs = [[tmp_path / name / f"{kind}.svg"] for kind in kinds]
        make_activation_figures(*tables, "small", ARMS, *outputs)
    for kind in kinds:
        svg = (tmp_path / f"a/{kind}.svg").read_bytes()
        assert svg == (tmp_path / f"b/{kind}.svg").read_bytes()
        assert INITIALIZATION_TITLES["small"].encode() in svg  # as a comment beside its outlines
    assert b"seed 42" in (tmp_path / "a/histograms.svg").read_bytes()
    assert b"2 seeds" in (tmp_path / "a/layers.svg").read_bytes()


@pytest.mark.parametrize(("seeds", "arms"), [(1, ARMS), (2, ALL_ARMS)])
def test_texts_can_be_read_of_one_seed_and_many_arms(seeds: int, arms: list[str]) -> None:
    layers = layer_rows([42 + seed for seed in range(seeds)], arms, range(1, 11))
    check_figure(draw_layers(layers, max(INITIALIZATION_TITLES.values(), key=len), NOTE, arms))
