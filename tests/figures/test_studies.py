from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from bnpipe.core.csv_files import write_table
from bnpipe.figures.arms import COLOURS, LINE_STYLES, MARKERS
from bnpipe.figures.studies import make_study, variant_styles, while_all_train, with_labels
from tests.figures.checks import ALL_ARMS, check_figure
from tests.figures.studies import ARMS, diverge, drawn, heights, make_tables, texts


def intervals(axes: Axes) -> list[ErrorbarContainer]:
    return [container for container in axes.containers if isinstance(container, ErrorbarContainer)]


def means(axes: Axes) -> list[tuple[str, float]]:
    """Return colour and height of the markers that carry intervals, without those of cells that have no mean."""
    lines = [bar.lines[0] for bar in intervals(axes)]
    return [(to_hex(line.get_color()).upper(), heights(line)[0]) for line in lines if not np.isnan(heights(line)[0])]


def test_without_variations_a_variant_is_drawn_as_its_arm() -> None:
    _, runs = make_tables({"activation": ["tanh"]}, list(COLOURS))
    styles = variant_styles(with_labels(runs, ["activation"]))
    assert {arm: tuple(variant_style) for arm, variant_style in styles.items()} == {
        arm: (COLOURS[arm], LINE_STYLES[arm], MARKERS[arm]) for arm in COLOURS
    }


def test_variations_of_an_arm_differ_in_line_and_marker_and_are_alike_in_all_arms() -> None:
    _, runs = make_tables({"activation": ["tanh"], "normalize_logits": [True, False]})
    styles = variant_styles(with_labels(runs, ["activation", "normalize_logits"]))
    assert list(styles) == [f"{arm}, normalize logits: {answer}" for arm in ARMS for answer in ("yes", "no")]
    one, two, three, four = styles.values()
    assert (one.colour.upper(), three.colour.upper()) == (COLOURS["vanilla"], COLOURS["batchnorm"])
    assert one[1:] == three[1:] != two[1:] == four[1:]
    assert len({variant_style.colour for variant_style in styles.values()}) == 4
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
    for variations, axes in ((4, 6), (5, 1)):  # of two arms
        rates = [0.1, 0.2, 0.3, 0.4, 0.5]
        sweep: dict[str, list[Any]] = {"learning_rate": rates, "batch_size": list(range(2, 2 + variations))}
        assert len(drawn(make_tables(sweep), list(sweep)).axes) == axes


def test_too_many_panels_are_left_out() -> None:
    for values, axes in ((9, 10), (10, 1)):
        sweep: dict[str, list[Any]] = {"batch_size": list(range(2, 2 + values))}
        assert len(drawn(make_tables(sweep), list(sweep)).axes) == axes


def test_the_setting_with_the_most_values_gives_the_places() -> None:
    sweep: dict[str, list[Any]] = {"activation": ["tanh", "relu"], "batch_size": [2, 3, 4]}
    final, *panels = drawn(make_tables(sweep), list(sweep)).axes
    assert final.get_xlabel() == "batch size"
    assert [tick.get_text() for tick in final.get_xticklabels()] == ["2", "3", "4"]
    assert len(panels) == 3


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


def test_of_many_cells_the_first_are_drawn_and_the_figure_says_so() -> None:
    sweep: dict[str, list[Any]] = {"batch_size": list(range(2, 24)), "hidden_sizes": [f"{n} x 9" for n in range(1, 10)]}
    figure = drawn(make_tables(sweep, ["vanilla"]), list(sweep))
    final, *_ = figure.axes
    assert [tick.get_text() for tick in final.get_xticklabels()] == [str(size) for size in range(2, 22)]
    assert len(figure.legends[0].get_texts()) == 8
    said = " ".join(figure.get_suptitle().split())
    assert "the first 160 of 198 cells; all are in summary.csv" in said
    assert "first" not in drawn(make_tables({"batch_size": [2, 3]}), ["batch_size"]).get_suptitle()


@pytest.mark.parametrize("diverged", [False, True])
@pytest.mark.parametrize(
    ("sweep", "arms"),
    [
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


def test_a_mean_curve_ends_where_the_first_of_its_runs_stopped() -> None:
    rows = [("tanh", "vanilla", seed, step) for seed, last in ((1, 20), (2, 40)) for step in range(0, last + 1, 20)]
    rows += [("tanh", "batchnorm", seed, 0) for seed in (1, 2)]
    curves = with_labels(pd.DataFrame(rows, columns=["activation", "arm", "seed", "step"]), ["activation"])
    kept = while_all_train(curves)
    assert kept[["arm", "seed", "step"]].to_numpy().tolist() == [
        *(["vanilla", 1, 0], ["vanilla", 1, 20], ["vanilla", 2, 0], ["vanilla", 2, 20]),
        *(["batchnorm", 1, 0], ["batchnorm", 2, 0]),
    ]
