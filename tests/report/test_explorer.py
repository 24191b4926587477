import json
from typing import Any

import pandas as pd
import pytest
import vl_convert

from bnpipe.report import explorer
from bnpipe.report.explorer import as_text, explore_curves, explore_runs, variants
from bnpipe.report.page import VEGA_LITE

CONDITIONS, ARMS = ["relu", "a'b\\"], ["vanilla", "batchnorm"]


def accuracy_table(conditions: list[str] = CONDITIONS, seeds: int = 3) -> pd.DataFrame:
    """Return three evaluations of each run; the first loss is not known."""
    rows = [
        (condition, arm, 42 + seed, step, 0.5 + step / 1000, None if step == 0 else 1 / step)
        for condition in sorted(conditions)
        for arm in sorted(ARMS)
        for seed in range(seeds)
        for step in (0, 60, 120)
    ]
    return pd.DataFrame(rows, columns=["condition", "arm", "seed", "step", "accuracy", "loss"])


def runs_table(seeds: int = 2) -> pd.DataFrame:
    rows = [
        {"learning_rate": rate, "normalize_logits": logits, "arm": arm, "seed": 42 + seed, "final_accuracy": rate / 10}
        for arm in ARMS
        for rate in (10.0, 0.5)
        for logits in (True, False)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).assign(
        best_accuracy=0.9,
        test_accuracy=0.9,
        area_under_curve=0.5,
        steps_to_90=None,
        final_training_loss=0.1,
        state="dead",
    )


def drawn(spec: Any, **changed: Any) -> list[str]:
    """Return the drawing of a chart with other values of its parameters, line by line of its marks."""
    params = [{**param, "value": changed.get(param["name"], param.get("value"))} for param in spec["params"]]
    plain = [{key: value for key, value in param.items() if value is not None} for param in params]
    svg = vl_convert.vegalite_to_svg(json.dumps({**spec, "params": plain}), vl_version=VEGA_LITE)
    return svg.split("<path")


def inputs(spec: Any) -> dict[str, dict[str, Any]]:
    return {param["name"]: param["bind"] for param in spec["params"] if isinstance(param.get("bind"), dict)}


def test_every_evaluation_is_in_the_chart_in_the_order_of_the_configuration() -> None:
    chart = explore_curves("curves", accuracy_table(), CONDITIONS, ARMS)
    runs = chart.spec["datasets"]["runs"]
    assert [(run["condition"], run["arm"], run["seed"]) for run in runs[:4]] == [
        *(("relu", "vanilla", seed) for seed in (42, 43, 44)),
        ("relu", "batchnorm", 42),
    ]
    assert runs[0] == {
        **{"condition": "relu", "arm": "vanilla", "seed": 42},
        **{"step": [0, 60, 120], "accuracy": [0.5, 0.56, 0.62], "loss": [None, 1 / 60, 1 / 120]},
    }
    assert (chart.shown, chart.of) == (12, 12)
    json.dumps(chart.spec, allow_nan=False)


def test_what_is_missing_or_not_finite_is_null() -> None:
    table = accuracy_table().assign(loss=float("inf"))
    chart = explore_curves("curves", table, CONDITIONS, ARMS)
    assert chart.spec["datasets"]["runs"][0]["loss"] == [None, None, None]
    runs = runs_table().assign(final_training_loss=float("-inf"))
    chart = explore_runs("map", runs, ["learning_rate", "normalize_logits"])
    assert chart.spec["datasets"]["runs"][0]["final_training_loss"] is None
    assert chart.spec["datasets"]["runs"][0]["steps_to_90"] is None


def test_every_condition_arm_and_seed_has_a_box_with_its_name() -> None:
    chart = explore_curves("curves", accuracy_table(), CONDITIONS, ARMS)
    bound = inputs(chart.spec)
    for group, names in (("condition", CONDITIONS), ("arm", ARMS), ("seed", ["42", "43", "44"])):
        boxes = [bind for bind in bound.values() if bind["element"] == f"#choose-{group}-curves"]
        assert [(box["input"], box["name"]) for box in boxes] == [("checkbox", name) for name in names]
    assert {bind["element"] for bind in bound.values()} == {f"#choose-{group}-curves" for group in chart.groups}


def test_boxes_and_sliders_choose_what_is_drawn() -> None:
    spec = {**explore_curves("curves", accuracy_table(), CONDITIONS, ARMS).spec, "width": 300}
    lines = {
        name: sum('stroke-width="1.2"' in mark for mark in drawn(spec, **changed))
        for name, changed in {
            "first condition": {},
            "both": {"condition_1": True},
            "one arm": {"arm_0": False},
            "one seed": {"seed_0": False, "seed_2": False},
            "none": {"arm_0": False, "arm_1": False},
        }.items()
    }
    assert lines == {"first condition": 6, "both": 12, "one arm": 3, "one seed": 2, "none": 0}
    assert drawn(spec) != drawn(spec, measure="loss")
    assert drawn(spec) != drawn(spec, last_step=60)


def test_of_many_values_one_is_chosen_from_a_list() -> None:
    names = [f"c{number:02d}" for number in range(13)]
    spec = {**explore_curves("curves", accuracy_table(names), names, ARMS).spec, "width": 300}
    bind = inputs(spec)["condition"]
    assert (bind["input"], bind["options"]) == ("select", ["all", *names])
    count = [sum('stroke-width="1.2"' in mark for mark in drawn(spec, condition=name)) for name in ("c05", "all")]
    assert count == [6, 13 * 6]


def test_of_too_many_runs_the_first_seeds_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer, "MAX_EVALUATIONS", 30)
    monkeypatch.setattr(explorer, "MAX_RUNS", 9)
    curves = explore_curves("curves", accuracy_table(seeds=5), CONDITIONS, ARMS)
    assert (curves.shown, curves.of) == (8, 20)
    assert {run["seed"] for run in curves.spec["datasets"]["runs"]} == {42, 43}
    monkeypatch.setattr(explorer, "MAX_EVALUATIONS", 2)  # fewer than one run has
    assert explore_curves("curves", accuracy_table(), CONDITIONS, ARMS).shown == 1
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


def test_choosing_a_value_dims_all_other_runs() -> None:
    spec = explore_runs("map", runs_table(), ["learning_rate", "normalize_logits"]).spec
    assert sum('opacity="0.04"' in mark for mark in drawn(spec)) == 0
    assert sum('opacity="0.04"' in mark for mark in drawn(spec, only_learning_rate="0.5")) == 8
    assert sum('opacity="0.2"' in mark for mark in drawn(spec, only_learning_rate="0.5", only_arm="vanilla")) == 6


def test_a_table_of_runs_can_follow_every_choice() -> None:
    chart = explore_runs("map", runs_table(), ["learning_rate", "normalize_logits"])
    assert chart.linked == ["learning_rate", "normalize_logits", "arm"]
    assert {f"only_{key}" for key in chart.linked} <= inputs(chart.spec).keys()


def test_nothing_is_fetched() -> None:
    charts = [
        explore_curves("curves", accuracy_table(), CONDITIONS, ARMS),
        explore_runs("map", runs_table(), ["learning_rate", "normalize_logits"]),
    ]
    assert not [chart.name for chart in charts if "://" in json.dumps(chart.spec)]


def test_values_are_written_alike_in_charts_and_tables() -> None:
    assert [as_text(value) for value in (0.0316, 10.0, 2000, True, False, "he")] == [
        *("0.0316", "10", "2000", "yes", "no", "he")
    ]
    table = pd.DataFrame({"init_std": ["he", 0.1], "arm": ["vanilla", "batchnorm"]})
    assert variants(table, ["arm", "init_std"]).tolist() == ["vanilla, init std he", "batchnorm, init std 0.1"]
