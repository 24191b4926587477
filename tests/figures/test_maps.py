from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from tests.figures.checks import ALL_ARMS, check_figure
from tests.figures.studies import ARMS, Tables, diverge, drawn, heights, make_tables, texts

SWEPT = ["learning_rate", "init_std"]


def mean_lines(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """Return the points of the lines that stand in the legend."""
    lines = [line for line in axes.get_lines() if str(line.get_label()).startswith("init std")]
    places = [[float(x) for x in np.asarray(line.get_xdata())] for line in lines]
    return {
        str(line.get_label()): list(zip(x, heights(line), strict=True)) for line, x in zip(lines, places, strict=True)
    }


@pytest.fixture
def maps() -> Tables:
    accuracy, runs = make_tables({"learning_rate": [0.01, 1.0], "init_std": [0.1, 1.0]})
    batchnorm = runs["arm"] == "batchnorm"
    runs.loc[batchnorm, "final_accuracy"] = 0.5 + 0.1 * np.log10(runs["learning_rate"] / runs["init_std"] ** 2)
    return accuracy, runs


def test_a_map_colours_every_cell_by_its_mean_and_writes_it(maps: Tables) -> None:
    vanilla, _, batchnorm, _ = drawn(maps, SWEPT).axes
    (mesh,) = (artist for artist in vanilla.collections if isinstance(artist, QuadMesh))
    expected = [[0.11, 0.31], [0.21, 0.41]]  # rows: init std 0.1 and 1
    assert np.asarray(mesh.get_array()).tolist() == [pytest.approx(row) for row in expected]
    assert texts(vanilla) == ["0.11", "0.31", "0.21", "0.41"]
    assert [tick.get_text() for tick in batchnorm.get_xticklabels()] == ["0.01", "1"]
    assert (vanilla.get_ylabel(), [tick.get_text() for tick in vanilla.get_yticklabels()]) == ("init std", ["0.1", "1"])


def test_a_map_counts_what_is_not_healthy_and_averages_finite_runs_alone(maps: Tables) -> None:
    accuracy, runs = maps
    diverge(runs, arm="vanilla", learning_rate=1, init_std=1)
    diverge(runs, arm="vanilla", learning_rate=1, init_std=0.1, seed=43)
    runs.loc[(runs["arm"] == "vanilla") & (runs["learning_rate"] == 0.01), "state"] = "saturated"
    figure = drawn((accuracy, runs), SWEPT)
    assert texts(figure.axes[0]) == ["0.11\n3 s", "0.31\n1 o", "0.21\n3 s", "3 o"]
    crosses = [line for line in figure.axes[1].get_lines() if line.get_marker() == "x"]
    assert [heights(line) for line in crosses] == [[0.0958], [0.0958] * 3]
    assert mean_lines(figure.axes[1])["init std 0.1"] == [pytest.approx((1, 0.11)), pytest.approx((100, 0.31))]


def test_where_only_the_effective_rate_matters_lines_of_all_init_stds_are_one(maps: Tables) -> None:
    figure = drawn(maps, SWEPT)
    batchnorm = figure.axes[3]
    assert batchnorm.get_xlabel() == "effective learning rate: learning rate / init std²"
    assert mean_lines(batchnorm)["init std 0.1"] == [pytest.approx((1, 0.5)), pytest.approx((100, 0.7))]
    assert mean_lines(batchnorm)["init std 1"] == [
        pytest.approx((0.01, 0.3)),
        pytest.approx((1, 0.5)),
    ]  # meets the other at 1


def test_a_large_map_is_coloured_and_not_written_in() -> None:
    values = [round(0.01 * 1.2**number, 5) for number in range(25)]
    accuracy, runs = make_tables({"learning_rate": values, "init_std": [0.1, 1]}, ["batchnorm"])
    figure = drawn((accuracy, runs), ["learning_rate", "init_std"])
    grid, lines, scale = figure.axes
    (mesh,) = (child for child in grid.collections if isinstance(child, QuadMesh))
    assert np.asarray(mesh.get_array()).shape == (2, 25)
    assert texts(grid) == []
    assert [tick.get_text() for tick in grid.get_xticklabels()] == [f"{value:g}" for value in values[::3]]
    assert grid.get_xticks().tolist() == [number + 0.5 for number in range(0, 25, 3)]
    assert {len(heights(line)) for line in lines.get_lines()} == {25}  # means alone
    assert "final accuracy" in scale.get_ylabel()


def test_a_map_of_many_initializations_names_some_and_fits() -> None:
    values = [round(0.01 * 1.2**number, 5) for number in range(25)]
    figure = drawn(make_tables({"learning_rate": values, "init_std": values}), ["learning_rate", "init_std"])
    assert len(figure.legends[0].get_texts()) == 9
    check_figure(figure)


def test_initializations_by_name_have_no_map() -> None:
    sweep: dict[str, list[Any]] = {"learning_rate": [0.01, 1.0], "init_std": ["0.1", "xavier"]}
    figure = drawn(make_tables(sweep), list(sweep))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "final accuracy",
        "learning rate: 0.01",
        "learning rate: 1",
    ]


@pytest.mark.parametrize("diverged", [False, True])
@pytest.mark.parametrize(
    ("sweep", "arms"),
    [
        ({"learning_rate": [0.01, 1.0], "init_std": [0.1, 1.0]}, ARMS),
        (
            {"learning_rate": [0.01, 0.0316, 0.1, 0.316, 1, 3.16, 10], "init_std": [0.01, 0.0316, 0.1, 0.316, 1]},
            ALL_ARMS,
        ),
    ],
)
def test_texts_can_be_read(sweep: dict[str, list[Any]], arms: list[str], diverged: bool) -> None:
    accuracy, runs = make_tables(sweep, arms)
    if diverged:
        diverge(runs)
    check_figure(drawn((accuracy, runs), list(sweep)))
