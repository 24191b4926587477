from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bnpipe.analysis.tables import runs_of
from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import Arm
from bnpipe.figures.diagnostics import STATE_STYLES, draw_diagnostics, draw_states, make_states
from bnpipe.figures.style import style
from tests.conftest import make_record
from tests.figures.checks import ALL_ARMS, LONG_NAME, check_figure

ARMS: list[Arm] = ["vanilla", "batchnorm"]
SEEDS = [42, 43, 44]
FIRST_BAD = [(4980, 9, "delta"), (60, 10, "weights"), (120, 8, "output")]
NOTE = "relu, learning rate 0.0001, init std 0.1\nscikit-learn digits (not MNIST)"


def layers_table(arms: Sequence[str], layers: int = 3, steps: tuple[int, ...] = (0, 60, 120)) -> pd.DataFrame:
    """Return layers of relu, with z_rms 1, 10 and 1000 times the layer in the three seeds; updates are all 0."""
    rows = [
        (arm, seed, step, layer, layer * size, 0.1**layer, np.nan, 0.1 * layer if layer < layers else np.nan, 0)
        for arm in arms
        for seed, size in zip(SEEDS, (1, 10, 1000), strict=True)
        for step in steps
        for layer in range(1, layers + 1)
    ]
    return pd.DataFrame(
        rows, columns=["arm", "seed", "step", "layer", "z_rms", "delta_rms", "saturated", "dead", "update_ratio"]
    )


def runs_table(arms: Sequence[str], **first_nonfinite_steps: list[int | None]) -> pd.DataFrame:
    """Return the runs; steps are those of the three seeds of an arm, where not all stayed finite."""
    frames = [
        pd.DataFrame({"arm": arm, "seed": SEEDS, "first_nonfinite_step": first_nonfinite_steps.get(arm, [None] * 3)})
        for arm in arms
    ]
    return pd.concat(frames).astype({"first_nonfinite_step": "Int64"})


def states_table(*rows: tuple[str, str, str, int | None, int | None, str | None]) -> pd.DataFrame:
    """Return runs: condition, arm, state, first bad step, layer and place."""
    columns = ["condition", "arm", "state", "first_bad_step", "first_bad_layer", "first_bad_place"]
    return pd.DataFrame(rows, columns=columns)


def drawn(layers: pd.DataFrame, runs: pd.DataFrame, arms: Sequence[str] = ARMS, title: str = "relu") -> Figure:
    with style():
        return draw_diagnostics(layers, runs, title, NOTE, arms)


def panels(figure: Figure, arms: Sequence[str]) -> list[list[Axes]]:
    """Return the axes, a list for each row, without the colour bar."""
    axes = figure.axes[:-1]
    return [axes[first : first + len(arms)] for first in range(0, len(axes), len(arms))]


def curves(axes: Axes) -> list[list[float]]:
    return [[float(y) for y in np.asarray(line.get_ydata())] for line in axes.get_lines()]


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_a_line_is_the_median_of_a_layer_over_the_runs_that_stayed_finite() -> None:
    figure = drawn(layers_table(ARMS), runs_table(ARMS, vanilla=[60, None, None]))
    vanilla, batchnorm = panels(figure, ARMS)[0]
    assert curves(batchnorm) == [[10] * 3, [20] * 3, [30] * 3]
    assert curves(vanilla) == [[505] * 3, [1010] * 3, [1515] * 3]  # halfway between 10 and 1000, times the layer
    assert vanilla.get_title(loc="left") == "vanilla\n1 of 3 diverged"
    assert batchnorm.get_title(loc="left") == "batchnorm\nn = 3"
    assert not texts(vanilla)


@pytest.mark.parametrize(("steps", "span"), [([1, 1, 1], "step 1"), ([60, 7, 120], "steps 7 to 120")])
def test_where_all_runs_diverged_the_panels_say_so_and_when(steps: list[int | None], span: str) -> None:
    layers, runs = layers_table(ARMS), runs_table(ARMS, vanilla=steps)
    for vanilla, batchnorm in panels(drawn(layers, runs), ARMS):
        assert texts(vanilla) == [f"all 3 runs\ndiverged at\n{span}"]
        assert not vanilla.get_lines()
        assert batchnorm.get_lines()
        assert not texts(batchnorm)


def test_rows_are_what_the_networks_have_to_show() -> None:
    layers, runs = layers_table(ARMS), runs_table(ARMS)
    labels = ["RMS of z", "RMS of\ngradient at z", "share of\ndead units"]
    assert row_labels(drawn(layers, runs)) == labels  # no weight was updated
    tanh = layers.assign(saturated=layers["dead"], dead=np.nan, update_ratio=0.001)
    labels[2:] = ["share of\nsaturated outputs", "norm of update\n/ norm of weights"]
    assert row_labels(drawn(tanh, runs)) == labels


def row_labels(figure: Figure) -> list[str]:
    return [row[0].get_ylabel() for row in panels(figure, ARMS)]


def test_arms_share_the_scale_of_a_row() -> None:
    layers = layers_table(ARMS)
    layers.loc[layers["arm"] == "vanilla", "z_rms"] *= 1e6
    z, delta, dead = panels(drawn(layers, runs_table(ARMS)), ARMS)
    for row, scale in ((z, "log"), (delta, "log"), (dead, "linear")):
        assert [axes.get_yscale() for axes in row] == [scale] * 2
        assert row[0].get_ylim() == row[1].get_ylim()
    low, high = z[0].get_ylim()
    assert low < 10 < 30e6 < high
    assert dead[0].get_ylim() == pytest.approx((-0.03, 1.03))


def test_what_hardly_changes_is_not_blown_up() -> None:
    layers = layers_table(ARMS)
    layers["z_rms"] = 7 + 0.1 * layers["layer"]
    (z, *_), *_ = panels(drawn(layers, runs_table(ARMS)), ARMS)
    low, high = z.get_ylim()
    assert high / low == pytest.approx(10)
    assert low * high == pytest.approx(7.1 * 7.3)


def test_layers_have_colours_from_dark_to_light_that_the_bar_explains() -> None:
    figure = drawn(layers_table(ARMS, layers=26), runs_table(ARMS))
    colours = [[to_hex(line.get_color()) for line in axes.get_lines()] for axes in figure.axes[:-1]]
    assert all(column == colours[0] for column in colours)
    lightness = [float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722))) for colour in colours[0]]
    assert len(lightness) == 26
    assert lightness == sorted(lightness)
    bar = figure.axes[-1]
    assert bar.get_yticks().tolist() == list(range(26, 0, -3))  # the last layer, and every third
    (mesh,) = (child for child in bar.collections if isinstance(child, QuadMesh))
    assert [to_hex(colour) for colour in mesh.get_cmap()(np.arange(26))] == colours[0]


@pytest.mark.parametrize("arms", [ARMS[:1], ARMS, ALL_ARMS])
def test_texts_can_be_read_of_long_names_many_arms_and_diverged_runs(arms: Sequence[str]) -> None:
    layers = layers_table(arms, layers=26).assign(update_ratio=0.001)
    check_figure(drawn(layers, runs_table(arms, vanilla=[4800, 360, 4920]), arms, LONG_NAME))


def test_a_bar_has_a_part_for_each_state_with_its_number_of_runs() -> None:
    runs = states_table(
        *[("relu", "vanilla", "healthy", None, None, None)] * 2,
        *[("relu", "vanilla", "overflow", 1, layer, "z") for layer in (7, 8, 7)],
        ("relu", "vanilla", "dead", 120, 9, None),
        *[("relu", "batchnorm", "healthy", None, None, None)] * 6,
        *[("tanh", "batchnorm", "unknown", None, None, None)] * 6,
        *[("tanh", "vanilla", "overflow", 3, None, None)] * 6,
    )
    more = states_table(*[("not shown", "vanilla", "saturated", 0, 1, None)] * 9)
    with style():
        figure = draw_states(pd.concat([runs, more]), ["tanh", "relu"], "MNIST", ARMS)
    tanh, relu = figure.axes
    assert relu.get_xlim() == (0, 6)
    assert [axes.get_title(loc="left") for axes in (tanh, relu)] == ["tanh", "relu"]
    assert [label.get_text() for label in relu.get_yticklabels()] == ARMS
    assert relu.yaxis_inverted()  # the first arm on top
    assert parts(relu) == [(0, "healthy", 0, 2), (0, "dead", 2, 1), (0, "overflow", 3, 3), (1, "healthy", 0, 6)]
    assert parts(tanh) == [(0, "overflow", 0, 6), (1, "unknown", 0, 6)]
    assert texts(relu) == ["2", "1", "3", "dead: step 120, layer 9\noverflow: step 1, layers 7 to 8, z", "6"]
    assert texts(tanh) == ["6", "overflow: step 3", "6"]
    (legend,) = figure.legends
    explained = [text.get_text() for text in legend.get_texts()]
    assert explained == [STATE_STYLES[state].label for state in ("healthy", "dead", "overflow", "unknown")]


def parts(axes: Axes) -> list[tuple[int, str, float, float]]:
    """Return the parts of the bars: place, state by its colour, left end and width."""
    names = {state_style.colour: state for state, state_style in STATE_STYLES.items()}
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return [
        (
            round(bar.get_y() + bar.get_height() / 2),
            names[to_hex(bar.get_facecolor()).upper()],
            bar.get_x(),
            bar.get_width(),
        )
        for bar in bars
    ]


def test_texts_beside_every_state_can_be_read() -> None:
    rows = [
        (condition, arm, state, *place)
        for condition in ("tanh", LONG_NAME)
        for arm in ALL_ARMS
        for state in STATE_STYLES
        for place in (FIRST_BAD if state in ("saturated", "dead", "overflow") else [(None, None, None)] * 3)
    ]
    runs = states_table(*rows, ("relu", "vanilla", "healthy", None, None, None))
    with style():
        figure = draw_states(runs, ["tanh", LONG_NAME, "relu"], NOTE.splitlines()[1], ALL_ARMS)
    check_figure(figure)


def test_texts_of_twenty_conditions_with_one_seed_can_be_read() -> None:
    conditions = [f"{LONG_NAME[:-2]}{number:02}" for number in range(20)]
    runs = states_table(*[(name, arm, "overflow", 1, 7, "z") for name in conditions for arm in ARMS])
    with style():
        check_figure(draw_states(runs, conditions, NOTE.splitlines()[1], ARMS))


def test_states_are_drawn_from_the_table_of_runs_in_equal_bytes(tmp_path: Path) -> None:
    runs = [runs_of(make_record("tanh", arm, SEEDS, diverged=arm == "vanilla"), "") for arm in ARMS]
    write_table(pd.concat(runs), tmp_path / "runs.csv")
    for name in ("a", "b"):
        make_states(tmp_path / "runs.csv", ["tanh"], "MNIST", ARMS, [tmp_path / f"{name}.svg"])
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert "overflow: step 1, layer 2, z" in svg
