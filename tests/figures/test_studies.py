from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Arm
from bnpipe.figures.studies import draw_study, make_study, variant_styles, with_labels
from bnpipe.figures.style import COLOURS, LINE_STYLES, MARKERS, style
from tests.figures.checks import ALL_ARMS, check_figure

ARMS = ["vanilla", "batchnorm"]
ABOUT = "Does it help, and does it help in so many words that a line of this figure does not hold all of them?"
Tables = tuple[pd.DataFrame, pd.DataFrame]  # accuracy, runs


def make_tables(sweep: dict[str, list[Any]], arms: list[str] = ARMS) -> Tables:
    """Return tables of a study: final accuracy 0.1 a cell, 0.02 more for each further arm and 0.01 for each seed."""
    cells = [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]
    runs = pd.DataFrame(
        [
            {**cell, "arm": arm, "seed": 42 + seed, "final_accuracy": 0.1 * (1 + c) + 0.02 * a + 0.01 * seed}
            for (a, arm), (c, cell), seed in product(enumerate(arms), enumerate(cells), range(3))
        ]
    ).assign(first_nonfinite_step=np.nan, state="healthy")
    evaluations = [runs.assign(step=step, accuracy=runs["final_accuracy"] * step / 120) for step in (0, 60, 120)]
    accuracy = pd.concat(evaluations).sort_index(kind="stable")
    return accuracy[[*sweep, "arm", "seed", "step", "accuracy"]], runs


def diverge(runs: pd.DataFrame, **chosen: Any) -> None:
    rows = np.logical_and.reduce([runs["seed"] > 0, *(runs[name] == value for name, value in chosen.items())])
    runs.loc[rows, ["final_accuracy", "first_nonfinite_step"]] = 0.0958, 1
    runs.loc[rows, "state"] = "overflow"


def drawn(tables: Tables, swept: list[str]) -> Figure:
    with style():
        return draw_study(*tables, swept, ABOUT, "MNIST")


def heights(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata())]


def intervals(axes: Axes) -> list[ErrorbarContainer]:
    return [container for container in axes.containers if isinstance(container, ErrorbarContainer)]


def means(axes: Axes) -> list[tuple[str, float]]:
    """Return colour and height of the markers that carry intervals, without those of cells that have no mean."""
    lines = [bar.lines[0] for bar in intervals(axes)]
    return [(to_hex(line.get_color()).upper(), heights(line)[0]) for line in lines if not np.isnan(heights(line)[0])]


def mean_lines(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """Return the points of the lines that stand in the legend."""
    lines = [line for line in axes.get_lines() if str(line.get_label()).startswith("init std")]
    places = [[float(x) for x in np.asarray(line.get_xdata())] for line in lines]
    return {
        str(line.get_label()): list(zip(x, heights(line), strict=True)) for line, x in zip(lines, places, strict=True)
    }


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_arm_has_a_colour_a_line_and_a_marker_of_its_own() -> None:
    assert list(COLOURS) == list(LINE_STYLES) == list(MARKERS) == list(get_args(Arm))
    assert len(set(COLOURS.values())) == len(set(LINE_STYLES.values())) == len(set(MARKERS.values())) == 6
    _, runs = make_tables({"activation": ["tanh"]}, list(COLOURS))
    styles = variant_styles(with_labels(runs, ["activation"]))
    assert {arm: tuple(look) for arm, look in styles.items()} == {
        arm: (COLOURS[arm], LINE_STYLES[arm], MARKERS[arm]) for arm in COLOURS
    }


def test_variations_of_an_arm_differ_in_line_and_marker_and_are_alike_in_all_arms() -> None:
    _, runs = make_tables({"activation": ["tanh"], "normalize_logits": [True, False]})
    styles = variant_styles(with_labels(runs, ["activation", "normalize_logits"]))
    assert list(styles) == [f"{arm}, normalize logits: {answer}" for arm in ARMS for answer in ("yes", "no")]
    one, two, three, four = styles.values()
    assert (one.colour.upper(), three.colour.upper()) == (COLOURS["vanilla"], COLOURS["batchnorm"])
    assert one[1:] == three[1:] != two[1:] == four[1:]
    assert len({look.colour for look in styles.values()}) == 4
    assert two.colour == "#eaae80"  # halfway from #d55e00 to white


def test_cells_stand_in_the_order_of_the_study_with_the_means_of_their_seeds() -> None:
    figure = drawn(make_tables({"hidden_sizes": ["9 x 100", "25 x 100", "1 x 100"]}), ["hidden_sizes"])
    final, *panels = figure.axes
    assert [tick.get_text() for tick in final.get_xticklabels()] == ["9 x 100", "25 x 100", "1 x 100"]
    assert final.get_xlabel() == "hidden sizes"
    colours, values = zip(*means(final), strict=True)
    assert colours == (COLOURS["vanilla"],) * 3 + (COLOURS["batchnorm"],) * 3
    assert values == pytest.approx([0.11, 0.21, 0.31, 0.13, 0.23, 0.33])
    assert [axes.get_title(loc="left") for axes in panels] == [
        f"hidden sizes: {size}" for size in ("9 x 100", "25 x 100", "1 x 100")
    ]


def test_the_interval_is_that_of_the_mean() -> None:
    (final, *_) = drawn(make_tables({"activation": ["tanh"]}), ["activation"]).axes
    bars = np.asarray(intervals(final)[0].lines[2][0].get_segments()[0])
    # Student: 4.302653 * 0.01 / sqrt(3) for three values 0.01 apart.
    assert bars[:, 1].tolist() == pytest.approx([0.11 - 0.0248414, 0.11 + 0.0248414], abs=1e-6)


def test_panels_show_the_mean_curve_of_every_variant() -> None:
    _, tanh, relu = drawn(make_tables({"activation": ["tanh", "relu"]}), ["activation"]).axes
    assert [heights(line) for line in tanh.get_lines()] == [
        pytest.approx([0, 0.055, 0.11]),
        pytest.approx([0, 0.065, 0.13]),
    ]
    assert heights(relu.get_lines()[1]) == pytest.approx([0, 0.115, 0.23])
    assert [to_hex(line.get_color()).upper() for line in relu.get_lines()] == [COLOURS[arm] for arm in ARMS]


def test_too_many_curves_for_a_panel_are_left_out() -> None:
    for variations, axes in ((4, 3), (5, 1)):  # of two arms
        sweep: dict[str, list[Any]] = {"activation": ["tanh", "relu"], "batch_size": list(range(2, 2 + variations))}
        assert len(drawn(make_tables(sweep), list(sweep)).axes) == axes


def test_diverged_runs_are_marked_and_counted_and_never_averaged_with_others() -> None:
    accuracy, runs = make_tables({"activation": ["tanh", "relu"]})
    diverge(runs, arm="vanilla", activation="tanh", seed=44)
    diverge(runs, arm="vanilla", activation="relu")
    final, tanh, _ = drawn((accuracy, runs), ["activation"]).axes
    assert texts(final) == ["1 of 3", "3 of 3"]
    crosses = [line for line in final.get_lines() if line.get_marker() == "x"]
    assert [heights(line) for line in crosses] == [[0.0958], [0.0958] * 3]
    assert [value for _, value in means(final)] == pytest.approx([0.105, 0.13, 0.23])
    assert heights(tanh.get_lines()[0]) == pytest.approx([0, 0.0525, 0.105])


@pytest.fixture
def maps() -> Tables:
    accuracy, runs = make_tables({"learning_rate": [0.01, 1.0], "init_std": [0.1, 1.0]})
    batchnorm = runs["arm"] == "batchnorm"
    runs.loc[batchnorm, "final_accuracy"] = 0.5 + 0.1 * np.log10(runs["learning_rate"] / runs["init_std"] ** 2)
    return accuracy, runs


SWEPT = ["learning_rate", "init_std"]


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


def test_of_many_cells_the_first_are_drawn_and_the_figure_says_so() -> None:
    sweep: dict[str, list[Any]] = {"batch_size": list(range(2, 24)), "hidden_sizes": [f"{n} x 9" for n in range(1, 10)]}
    figure = drawn(make_tables(sweep, ["vanilla"]), list(sweep))
    final, *_ = figure.axes
    assert [tick.get_text() for tick in final.get_xticklabels()] == [str(size) for size in range(2, 22)]
    assert len(figure.legends[0].get_texts()) == 8
    said = " ".join(figure.get_suptitle().split())
    assert "the first 160 of 198 cells, all are in summary.csv" in said
    assert "first" not in drawn(make_tables({"batch_size": [2, 3]}), ["batch_size"]).get_suptitle()


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
        ({"hidden_sizes": [f"{layers} x 100" for layers in (1, 3, 5, 9, 15, 25)]}, ALL_ARMS),
        ({"precision": ["float32"]}, ARMS[:1]),
        ({"activation": ["tanh", "relu"]}, ALL_ARMS),
        ({"activation": ["tanh"], "batch_size": [2, 5, 15, 60]}, ARMS),
    ],
)
def test_texts_can_be_read(sweep: dict[str, list[Any]], arms: list[str], diverged: bool) -> None:
    accuracy, runs = make_tables(sweep, arms)
    if diverged:
        diverge(runs)
    check_figure(drawn((accuracy, runs), list(sweep)))


def test_a_study_is_drawn_from_its_files_and_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    accuracy, runs = make_tables({"normalize_logits": [True, False]})
    write_table(accuracy, tmp_path / "accuracy.csv")
    write_table(runs, tmp_path / "runs.csv")
    for name in ("one", "two"):
        outputs = [tmp_path / f"{name}.svg", tmp_path / f"{name}.png"]
        make_study(
            tmp_path / "accuracy.csv", tmp_path / "runs.csv", ["normalize_logits"], "Does it help?", "MNIST", outputs
        )
    for suffix in ("svg", "png"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
    svg = (tmp_path / "one.svg").read_text()
    for text in ("Does it help?", "MNIST; n = 3 seeds", "normalize logits: yes", "normalize logits: no"):
        assert text in svg  # as a comment beside its outlines
