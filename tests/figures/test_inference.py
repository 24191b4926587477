from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bnpipe.core.csv_files import read_table, write_table
from bnpipe.experiments.inference import INFERENCE_COLUMNS
from bnpipe.figures.inference import STATISTICS_STYLES, draw_inference, make_inference_figure
from bnpipe.figures.style import style
from tests.figures.checks import LONG_NAME, check_figure

ACCURACY = {"moving_biased": 0.5, "moving_unbiased": 0.52, "population": 0.6, "batch": 0.55, "single_class": 0.1}


@pytest.fixture
def inference() -> pd.DataFrame:
    """Return accuracies that rise by 0.1 from step 0 to 99, and fall by 0.01 a seed."""
    rows = [
        (seed, step, statistics, size, accuracy + step / 990 - 0.01 * (seed - 42))
        for seed in (42, 43, 44)
        for step in (0, 99)
        for statistics, accuracy in ACCURACY.items()
        for size in {"batch": [60], "single_class": [60]}.get(statistics, [None])
    ]
    rows += [(seed, 99, "batch", size, size / 128) for seed in (42, 43, 44) for size in (1, 2, 4, 64)]
    return pd.DataFrame(rows, columns=INFERENCE_COLUMNS).astype({"batch_size": "Int64"})


def means(axes: Axes) -> list[Line2D]:
    return [line for line in axes.get_lines() if not line.get_alpha() and len(np.asarray(line.get_xdata())) > 1]


def places(line: Line2D) -> list[float]:
    return [float(x) for x in np.asarray(line.get_xdata())]


def heights(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata())]


def test_along_training_every_kind_has_its_mean(inference: pd.DataFrame) -> None:
    along, *_ = draw_inference(inference, "MNIST").axes
    assert along.get_xscale() == "log"
    for line, statistics in zip(means(along), STATISTICS_STYLES, strict=True):
        mean = ACCURACY[statistics] - 0.01
        assert places(line) == [1, 100]  # updates, not steps
        assert heights(line) == pytest.approx([mean, mean + 0.1])
    labels = [str(line.get_label()) for line in means(along)]
    assert labels[0] == "training set (algorithm 2)"
    assert labels[-2:] == ["evaluation batch of 60", "evaluation batch of 60 of one class"]
    assert len([line for line in along.get_lines() if line.get_alpha()]) == 15


def test_differences_are_paired_and_in_percentage_points(inference: pd.DataFrame) -> None:
    inference.loc[inference["seed"] == 42, "accuracy"] += 0.2  # of all kinds alike: no difference changes
    _, difference, _ = draw_inference(inference, "MNIST").axes
    zero, *lines = means(difference)
    assert heights(zero) == [0, 0]
    assert [heights(line) for line in lines] == [pytest.approx([points] * 2) for points in (-10, -8, -5)]
    assert len([line for line in difference.get_lines() if line.get_alpha()]) == 9


def test_the_last_accuracies_stand_against_the_size_of_the_batch(inference: pd.DataFrame) -> None:
    *_, by_size = draw_inference(inference, "MNIST").axes
    population, batches = means(by_size)
    assert heights(population) == pytest.approx([0.69] * 2)
    assert places(batches) == [1, 2, 4, 60, 64]
    assert heights(batches) == pytest.approx([1 / 128, 2 / 128, 4 / 128, 0.64, 0.5])


@pytest.mark.parametrize("seeds", [[42], [42, 43, 44]])
def test_texts_can_be_read_of_a_long_name_and_of_one_seed(inference: pd.DataFrame, seeds: list[int]) -> None:
    with style():
        note = f"scikit-learn digits (not MNIST), {LONG_NAME}, batchnorm"
        check_figure(draw_inference(inference[inference["seed"].isin(seeds)], note))


def test_the_figure_is_made_from_its_table_with_equal_bytes(inference: pd.DataFrame, tmp_path: Path) -> None:
    write_table(inference, tmp_path / "inference.csv")
    assert len(read_table(tmp_path / "inference.csv")) == len(inference)
    for name in ("a", "b"):
        make_inference_figure(tmp_path / "inference.csv", "MNIST", [tmp_path / f"{name}.svg"])
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert "MNIST, every seed (n = 3)" in svg
