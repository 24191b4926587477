from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bnpipe.core.csv_files import write_table
from bnpipe.experiments.gradient_shift import GRADIENT_COLUMNS
from bnpipe.experiments.input_shift import INPUT_COLUMNS
from bnpipe.experiments.smoothness import SMOOTHNESS_COLUMNS
from bnpipe.figures.explanations import EXPLANATIONS, draw_explanation, make_explanation_figure
from bnpipe.figures.style import style
from tests.figures.checks import LONG_NAME, check_figure

ARMS = ["vanilla", "batchnorm"]
CONDITIONS = ["tanh", "relu"]
COLUMNS = {"gradient_shift": GRADIENT_COLUMNS, "input_shift": INPUT_COLUMNS, "smoothness": SMOOTHNESS_COLUMNS}


def table_of(name: str) -> pd.DataFrame:
    """Return a table of made-up values: ten to the power of seed - 42, times the layer, plus a thousandth of a step."""
    layers = [2, 8] if "layer" in COLUMNS[name] else [1]
    runs = list(product(CONDITIONS, ARMS, (42, 43, 44), (0, 60, 120), layers))
    table = pd.DataFrame(runs, columns=["condition", "arm", "seed", "step", "layer"])
    values = 10.0 ** (table["seed"] - 42) * table["layer"] * (1 + table["step"] / 1000)
    measured = {column: values for column in COLUMNS[name] if column not in table}
    table = table.assign(**measured)
    if "cosine" in table:
        table["cosine"] = 1 - 0.1 * table["layer"]
    return table[COLUMNS[name]]


def named_lines(axes: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axes.get_lines() if not line.get_alpha()}


def heights(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata())]


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_a_row_for_each_condition_with_every_measure(name: str) -> None:
    with style():
        figure = draw_explanation(name, table_of(name), ["relu", "tanh"], "MNIST", ARMS)
    measures = EXPLANATIONS[name].measures
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes]
    assert titles == [
        f"{condition}: {measure.title}" for condition in ("relu", "tanh") for measure in measures.values()
    ]
    scales = ["log" if measure.is_logarithmic else "linear" for measure in measures.values()]
    assert [axes.get_yscale() for axes in figure.axes] == scales * 2
    assert {axes.get_xlabel() for axes in figure.axes[-len(measures) :]} == {"training step"}


def test_a_logarithmic_curve_is_the_geometric_mean_over_layers_and_seeds() -> None:
    axes, *_, cosine = draw_explanation("gradient_shift", table_of("gradient_shift"), ["tanh"], "MNIST", ARMS).axes
    lines = named_lines(axes)
    assert list(lines) == ["vanilla (n = 3)", "batchnorm (n = 3)"]
    # Layers 2 and 8 have the geometric mean 4, seeds 1, 10 and 100 have 10.
    assert heights(lines["vanilla (n = 3)"]) == pytest.approx([40, 42.4, 44.8])
    faint = [line for line in axes.get_lines() if line.get_alpha()]
    assert [heights(line)[0] for line in faint] == pytest.approx([4, 40, 400] * 2)
    assert heights(named_lines(cosine)["batchnorm (n = 3)"]) == pytest.approx([0.5] * 3)  # of 0.8 and 0.2


def test_values_without_a_logarithm_are_left_out() -> None:
    table = table_of("smoothness")
    table["loss_range"] = table["loss_range"].where(table["step"] != 60, np.inf)
    table["gradient_change"] = table["gradient_change"].where(table["seed"] != 43, 0)
    table["scale_free"] = np.nan
    change, loss_range, scale_free = draw_explanation("smoothness", table, ["tanh"], "MNIST", ARMS).axes
    assert len([line for line in change.get_lines() if line.get_alpha()]) == 4  # two seeds of each arm
    assert list(np.asarray(named_lines(loss_range)["vanilla (n = 3)"].get_xdata())) == [0, 120]
    assert heights(named_lines(scale_free)["vanilla (n = 3)"]) == []


@pytest.mark.parametrize("name", EXPLANATIONS)
@pytest.mark.parametrize("seeds", [[42], [42, 43, 44]])
def test_texts_can_be_read_of_long_names_and_of_one_seed(name: str, seeds: list[int]) -> None:
    table = table_of(name)
    renamed = table[table["seed"].isin(seeds)].replace({"condition": {"tanh": LONG_NAME}})
    note = "scikit-learn digits (not MNIST)"
    with style():
        check_figure(draw_explanation(name, renamed, [LONG_NAME, "relu"], note, ARMS))


def test_tables_of_several_jobs_are_one_figure_and_equal_bytes(tmp_path: Path) -> None:
    table = table_of("input_shift")
    tables = [tmp_path / f"{condition}-{arm}.csv" for condition in CONDITIONS for arm in ARMS]
    for path in tables:
        condition, arm = path.stem.split("-")
        write_table(table[(table["condition"] == condition) & (table["arm"] == arm)], path)
    for name in ("a", "b"):
        make_explanation_figure("input_shift", tables, CONDITIONS, "MNIST", ARMS, [tmp_path / f"{name}.svg"])
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert svg.count("<!-- batchnorm (n = 3) -->") == 1
