import pandas as pd
import pytest

from bnpipe.figures.arms import COLOURS, MARKERS
from bnpipe.report import runs_chart
from bnpipe.report.runs_chart import SYMBOLS, explore_runs, symbol, variants
from tests.report.charts import drawn, inputs, runs_table


def test_what_is_missing_or_not_finite_is_null() -> None:
    runs = runs_table().assign(final_training_loss=float("-inf"))
    chart = explore_runs("map", runs, ["learning_rate", "normalize_logits"])
    assert chart.spec["datasets"]["runs"][0]["final_training_loss"] is None
    assert chart.spec["datasets"]["runs"][0]["steps_to_90"] is None


def test_of_too_many_runs_the_first_seeds_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_chart, "MAX_RUNS", 9)
    runs = explore_runs("map", runs_table(seeds=3), ["learning_rate", "normalize_logits"])
    assert (runs.shown, runs.of) == (8, 24)


def test_a_map_has_a_cell_for_every_combination_and_a_dot_for_every_run() -> None:
    chart = explore_runs("map", runs_table(), ["learning_rate", "normalize_logits"])
    row = chart.spec["datasets"]["runs"][0]
    assert row["learning_rate"] == "10"
    assert row["place learning_rate"] == 0  # in the order of the study, not of the alphabet
    assert row["rest learning_rate"] == "vanilla, normalize logits yes"
    assert row["steps_to_90"] is None
    cells = sum('aria-roledescription="rect mark"' in mark for mark in drawn({**chart.spec, "config": {}}))
    dots = sum('aria-roledescription="point"' in mark for mark in drawn({**chart.spec, "config": {}}))
    assert (cells, dots) == (2 * 2 * 2, 2 * 2 * 2 * 2)


def test_an_arm_of_ones_own_has_a_colour_and_a_shape_of_its_own() -> None:
    runs = runs_table().replace({"arm": {"batchnorm": "MeanOnly"}})
    marks = drawn(explore_runs("map", runs, ["learning_rate", "normalize_logits"]).spec)
    assert any(f'fill="{COLOURS["MeanOnly"]}"' in mark for mark in marks)
    assert {symbol(arm) for arm in COLOURS} | {SYMBOLS[marker] for marker in MARKERS.spares} == {*SYMBOLS.values()}


def test_choosing_a_value_dims_all_other_runs() -> None:
    spec = explore_runs("map", runs_table(), ["learning_rate", "normalize_logits"]).spec
    assert sum('opacity="0.04"' in mark for mark in drawn(spec)) == 0
    assert sum('opacity="0.04"' in mark for mark in drawn(spec, only_learning_rate="0.5")) == 8
    assert sum('opacity="0.2"' in mark for mark in drawn(spec, only_learning_rate="0.5", only_arm="vanilla")) == 6


def test_a_table_of_runs_can_follow_every_choice() -> None:
    chart = explore_runs("map", runs_table(), ["learning_rate", "normalize_logits"])
    assert chart.linked == ["learning_rate", "normalize_logits", "arm"]
    assert {f"only_{key}" for key in chart.linked} <= inputs(chart.spec).keys()


def test_variants_are_named_in_words() -> None:
    table = pd.DataFrame({"init_std": ["he", 0.1], "arm": ["vanilla", "batchnorm"]})
    assert variants(table, ["arm", "init_std"]).tolist() == ["vanilla, init std he", "batchnorm, init std 0.1"]
