from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bnpipe.core.csv_files import write_table
from bnpipe.figures.best_rate import draw_best_rate, make_best_rate
from bnpipe.figures.style import style
from tests.figures.checks import check_figure

RATES, INITS = {"tanh": 0.01, "relu": 0.02}, {"tanh": 0.1, "relu": 0.1}
COLUMNS = ["entrant", "activation", "arm", "init_std", "learning_rate", "seed", "updates_to_90"]
# (500, 501) at each rate; nan: never passed.
UPDATES = {0.01: (900, np.nan), 0.1: (100, 400), 1.0: (250, 360)}


@pytest.fixture
def trials() -> pd.DataFrame:
    rows = [
        (
            f"{activation}-{arm}{init}",
            activation,
            arm,
            init or "0.1",
            rate,
            seed,
            updates * (2 if arm == "vanilla" else 1),
        )
        for activation in ("tanh", "relu")
        for arm, init in (("vanilla", ""), ("batchnorm", ""), ("vanilla", "he"), ("batchnorm", "1.0"))
        for rate, of_seeds in UPDATES.items()
        for seed, updates in zip((500, 501), of_seeds, strict=True)
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(chosen=table["learning_rate"] == 0.1, inside=True)


def line(axes: Axes, label: str) -> Line2D:
    (found,) = (line for line in axes.get_lines() if line.get_label() == label)
    return found


def test_a_line_joins_the_geometric_means_of_rates_at_which_all_passed(trials: pd.DataFrame) -> None:
    with style():
        tanh, relu = draw_best_rate(trials, 1001, RATES, INITS, "MNIST").axes
    drawn = line(tanh, "batchnorm")
    assert list(np.asarray(drawn.get_xdata())) == [0.01, 0.1, 1.0]
    assert list(np.asarray(drawn.get_ydata())) == pytest.approx([np.nan, 200, 300], nan_ok=True)  # sqrt(100 * 400)
    assert list(np.asarray(line(relu, "vanilla").get_ydata()))[1] == pytest.approx(400)
    assert [axes.get_title(loc="left") for axes in (tanh, relu)] == ["tanh", "relu"]


def test_other_initializations_are_named_and_drawn_otherwise(trials: pd.DataFrame) -> None:
    tanh, _ = draw_best_rate(trials, 1001, RATES, INITS, "MNIST").axes
    legend = tanh.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["vanilla", "batchnorm", "vanilla, init std he", "batchnorm, init std 1.0"]
    assert len({line(tanh, label).get_color() for label in labels}) == 4


def test_trials_that_never_passed_are_crosses_above_all_steps(trials: pd.DataFrame) -> None:
    tanh, _ = draw_best_rate(trials, 1001, RATES, INITS, "MNIST").axes
    heights = [float(np.asarray(drawn.get_ydata())[0]) for drawn in tanh.get_lines() if drawn.get_marker() == "x"]
    assert len(heights) == len({*heights}) == 4  # of each network one, none over another
    assert min(heights) > 1001


def test_the_best_rate_is_circled_and_the_rate_of_the_conditions_marked(trials: pd.DataFrame) -> None:
    tanh, relu = draw_best_rate(trials, 1001, RATES, INITS, "MNIST").axes
    circles = [drawn for drawn in tanh.get_lines() if drawn.get_fillstyle() == "none"]
    assert [float(np.asarray(drawn.get_xdata())[0]) for drawn in circles] == [0.1] * 4
    marked = [
        [float(np.asarray(own.get_xdata())[0]) for own in axes.get_lines() if own.get_linestyle() == ":"]
        for axes in (tanh, relu)
    ]
    assert [of[-1] for of in marked] == [0.01, 0.02]


def test_counted_seeds_stand_beside_the_trials(trials: pd.DataFrame) -> None:
    fresh = pd.DataFrame(
        {"entrant": "tanh-vanilla", "seed": [42, 2000], "learning_rate": 0.1, "updates_to_90": [150, 160]}
    )
    figure = draw_best_rate(trials, 1001, RATES, INITS, "MNIST", fresh)
    beside = [drawn for drawn in figure.axes[0].get_lines() if list(np.asarray(drawn.get_ydata())) == [150, 160]]
    assert len(beside) == 1
    assert 0.1 < float(np.asarray(beside[0].get_xdata())[0]) < 0.13
    assert "2 other seeds at each network's best rate" in figure.get_suptitle()


@pytest.mark.parametrize("activations", [["tanh", "relu"], ["relu"]])
def test_texts_can_be_read(trials: pd.DataFrame, activations: list[str]) -> None:
    with style():
        check_figure(draw_best_rate(trials[trials["activation"].isin(activations)], 1001, RATES, INITS, "MNIST"))


def test_the_figure_is_made_from_its_tables_with_equal_bytes(trials: pd.DataFrame, tmp_path: Path) -> None:
    write_table(trials, tmp_path / "tuning.csv")
    drawn = []
    for name in ("a", "b"):
        outputs = [tmp_path / f"{name}.svg", tmp_path / f"{name}.png"]
        make_best_rate([tmp_path / "tuning.csv"], 1001, RATES, INITS, "MNIST", outputs)
        drawn.append([path.read_bytes() for path in outputs])
    assert drawn[0] == drawn[1]
