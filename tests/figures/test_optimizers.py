from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.optimizers import answer, ratios_table, seeds_table
from bnpipe.core.csv_files import write_table
from bnpipe.figures.optimizers import draw_optimizers, make_optimizers
from bnpipe.figures.style import style
from tests.analysis.test_optimizers import trained, trials
from tests.figures.checks import check_figure


def tables(activations: tuple[str, ...] = ("tanh", "relu")) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return made-up tables of these nonlinearities, both alike."""
    runs, tried = (
        pd.concat([of_tanh.replace({"activation": {"tanh": name}}) for name in activations])
        for of_tanh in (trained(), trials())
    )
    seeds = seeds_table(runs)
    return seeds, ratios_table(seeds, tried)


def test_every_seed_and_mean_is_drawn_under_its_optimizer() -> None:
    with style():
        figure = draw_optimizers(*tables(), "MNIST")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["tanh", "relu", "", ""]
    updates, _, lead, _ = figure.axes
    assert [label.get_text() for label in lead.get_xticklabels()] == ["sgd", "momentum", "adam"]
    dots = [line for line in lead.get_lines() if line.get_alpha()]
    assert [np.asarray(line.get_ydata()).tolist() for line in dots[:2]] == [[2, 4, 8], [1, 2, 4]]
    means = [line for line in lead.get_lines() if line.get_marker() == "_"]
    assert [float(np.asarray(line.get_ydata())[0]) for line in means][:2] == pytest.approx([4, 2])
    assert [np.asarray(line.get_ydata()).tolist() for line in updates.get_lines()[:2]] == [[200, 400, 800], [100] * 3]
    assert {axes.get_yscale() for axes in figure.axes} == {"log"}


def test_the_heading_answers() -> None:
    seeds, ratios = tables(("tanh",))
    title = draw_optimizers(seeds, ratios, "MNIST").get_suptitle().replace("\n", " ")
    assert title.endswith(answer(ratios))


@pytest.mark.parametrize("activations", [("tanh",), ("tanh", "relu"), ("tanh", "relu", "sigmoid")])
def test_texts_can_be_read(activations: tuple[str, ...]) -> None:
    with style():
        check_figure(draw_optimizers(*tables(activations), "scikit-learn digits (not MNIST)"))


def test_networks_that_never_get_there_leave_their_place_empty() -> None:
    seeds, _ = tables(("tanh",))
    none = seeds.assign(vanilla=np.nan, ratio=np.nan)
    with style():
        check_figure(draw_optimizers(none, ratios_table(none, trials()), "MNIST"))


def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    for name, table in zip(("seeds", "ratios"), tables(), strict=True):
        write_table(table, tmp_path / f"{name}.csv")
    for name in ("a", "b"):
        make_optimizers(tmp_path / "seeds.csv", tmp_path / "ratios.csv", "MNIST", [tmp_path / f"{name}.svg"])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
