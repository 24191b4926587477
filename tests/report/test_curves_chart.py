import json

import pandas as pd
import pytest

from bnpipe.figures.arms import COLOURS
from bnpipe.report import curves_chart
from bnpipe.report.curves_chart import dashes, explore_curves, most_telling
from tests.report.charts import ARMS, CONDITIONS, accuracy_table, drawn, inputs


def test_every_evaluation_is_in_the_chart_in_the_order_of_the_configuration() -> None:
    chart = explore_curves("curves", accuracy_table(), CONDITIONS, ARMS)
    runs = chart.spec["datasets"]["runs"]
    assert [(run["condition"], run["arm"], run["seed"]) for run in runs[:4]] == [
        ("relu", "vanilla", 42),
        ("relu", "vanilla", 43),
        ("relu", "vanilla", 44),
        ("relu", "batchnorm", 42),
    ]
    assert runs[0] == {
        "condition": "relu",
        "arm": "vanilla",
        "seed": 42,
        "step": [0, 60, 120],
        "accuracy": [0.5, 0.56, 0.62],
        "loss": [None, 1 / 60, 1 / 120],
    }
    assert (chart.shown, chart.of) == (12, 12)
    json.dumps(chart.spec, allow_nan=False)


def test_an_arm_of_ones_own_has_a_colour_and_dashes_of_its_own() -> None:
    own = accuracy_table().replace({"arm": {"batchnorm": "MeanOnly"}})
    marks = drawn(explore_curves("curves", own, CONDITIONS, ["vanilla", "MeanOnly"]).spec)
    dashed = f'stroke-dasharray="{",".join(f"{part:g}" for part in dashes("MeanOnly"))}"'
    assert any(f'stroke="{COLOURS["MeanOnly"]}"' in mark and dashed in mark for mark in marks)


def test_what_is_missing_or_not_finite_is_null() -> None:
    table = accuracy_table().assign(loss=float("inf"))
    chart = explore_curves("curves", table, CONDITIONS, ARMS)
    assert chart.spec["datasets"]["runs"][0]["loss"] == [None, None, None]


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
    monkeypatch.setattr(curves_chart, "MAX_EVALUATIONS", 30)
    curves = explore_curves("curves", accuracy_table(seeds=5), CONDITIONS, ARMS)
    assert (curves.shown, curves.of) == (8, 20)
    assert {run["seed"] for run in curves.spec["datasets"]["runs"]} == {42, 43}
    monkeypatch.setattr(curves_chart, "MAX_EVALUATIONS", 2)  # fewer than one run has
    assert explore_curves("curves", accuracy_table(), CONDITIONS, ARMS).shown == 1


def test_the_chart_starts_where_all_arms_learn_and_lie_apart() -> None:
    ends = {
        "alike": (0.9, 0.92),
        "one never learns": (0.1, 0.95),
        "apart": (0.6, 0.9),
        "all never learn": (0.1, 0.1),
    }
    rows = [
        {"condition": name, "arm": arm, "seed": 42, "step": [0, 60], "accuracy": [0.1, end]}
        for name, pair in ends.items()
        for arm, end in zip(ARMS, pair, strict=True)
    ]
    runs = pd.DataFrame(rows)
    assert most_telling(runs, list(ends)) == ["apart"]
    assert most_telling(runs[runs["condition"] == "all never learn"], ["all never learn"]) == ["all never learn"]
    single = runs[runs["arm"] == "vanilla"]
    assert most_telling(single, list(ends)) == list(ends)
    assert most_telling(single, [*ends, "fifth"]) == ["alike", "fifth"]


def test_curves_of_a_single_arm_differ_in_colour_by_condition() -> None:
    table = accuracy_table().query("arm == 'vanilla'")
    spec = explore_curves("curves", table, CONDITIONS, ["vanilla"]).spec
    field = spec["layer"][0]["encoding"]["color"]["field"]
    assert field == "condition"
    assert (
        explore_curves("curves", accuracy_table(), CONDITIONS, ARMS).spec["layer"][0]["encoding"]["color"]["field"]
        == "arm"
    )
