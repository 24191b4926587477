from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.equilibrium import answer, equilibrium_table
from bnpipe.core.csv_files import write_table
from bnpipe.figures.equilibrium import TOGETHER, draw_equilibrium, make_equilibrium_figure
from bnpipe.figures.style import style
from tests.figures.checks import check_figure

STEPS = [1 + 20 * place for place in range(2 * TOGETHER)]


def turns(decays: tuple[float, ...] = (0.0, 0.001, 0.01), seeds: tuple[int, ...] = (42, 2000)) -> pd.DataFrame:
    """Return made-up turns: norms of layer n start at n and double at every measured step, angles are 0.02 * n."""
    rows = [
        (arm, 0.1, decay, seed, step, layer, layer * 2.0**place, 0.02 * layer)
        for arm, decay, seed in product(("vanilla", "batchnorm"), decays, seeds)
        for place, step in enumerate(STEPS)
        for layer in (1, 2)
    ]
    columns = ["arm", "learning_rate", "weight_decay", "seed", "step", "layer", "norm", "angle"]
    return pd.DataFrame(rows, columns=columns)


def test_curves_are_means_over_layers_and_neighbouring_steps() -> None:
    measured = turns()
    with style():
        figure = draw_equilibrium(measured, equilibrium_table(measured), "MNIST")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["vanilla: norm", "vanilla: turn", "batchnorm: norm", "batchnorm: turn"]
    norms, angles, *_ = figure.axes
    means = [line for line in norms.get_lines() if not line.get_alpha()]
    assert [line.get_label() for line in means] == [f"weight decay {decay:g} (n = 2)" for decay in (0, 0.001, 0.01)]
    # Of 1, 2, 4, 8, 16 the geometric mean is 4; of the next five it is 128.
    assert np.asarray(means[0].get_ydata()).tolist() == pytest.approx([4, 128])
    assert np.asarray(means[0].get_xdata()).tolist() == [STEPS[0], STEPS[TOGETHER]]
    (first, *_) = [line for line in angles.get_lines() if not line.get_alpha()]
    assert np.asarray(first.get_ydata()).tolist() == pytest.approx([0.02 * np.sqrt(2.5)] * 2)


def test_what_is_predicted_is_drawn_for_batch_normalization_alone() -> None:
    measured = turns()
    figure = draw_equilibrium(measured, equilibrium_table(measured), "MNIST")
    named = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert named == [[], [], [], ["predicted: 0.0141", "predicted: 0.0447"]]


def test_the_heading_answers() -> None:
    measured = turns()
    table = equilibrium_table(measured)
    assert draw_equilibrium(measured, table, "MNIST").get_suptitle().replace("\n", " ").endswith(answer(table))


@pytest.mark.parametrize("seeds", [(42,), (42, 2000, 2001)])
@pytest.mark.parametrize("decays", [(0.0,), (0.01,), (0.0, 0.0001, 0.001, 0.01, 0.1)])
def test_texts_can_be_read(decays: tuple[float, ...], seeds: tuple[int, ...]) -> None:
    measured = turns(decays, seeds)
    with style():
        check_figure(draw_equilibrium(measured, equilibrium_table(measured), "scikit-learn digits (not MNIST)"))


def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    measured = turns()
    measured.loc[measured["step"] == 41, ["norm", "angle"]] = np.nan
    files = [tmp_path / f"{arm}.csv" for arm in ("vanilla", "batchnorm")]
    for file in files:
        write_table(measured[measured["arm"] == file.stem], file)
    write_table(equilibrium_table(measured), tmp_path / "table.csv")
    for name in ("a", "b"):
        make_equilibrium_figure(files, tmp_path / "table.csv", "MNIST", [tmp_path / f"{name}.svg"])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
