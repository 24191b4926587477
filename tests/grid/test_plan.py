from pathlib import Path
from typing import Any

import pytest

from bnpipe.core.parts import digests_of
from bnpipe.grid.plan import MAX_EXAMINED, MAX_EXAMINED_SEEDS, Plan
from tests.grid.test_stacks import STUDY, configuration

CONDITION = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 9}


def plan(**changes: Any) -> Plan:
    return Plan(configuration(**changes), "digits", "scikit-learn's digits (not MNIST)")


def test_records_go_by_condition_arm_and_chunk() -> None:
    records = plan(seeds=3, chunk_size=2).records("condition", ["ant"])
    assert records == [
        f"results/digits/runs/ant/{arm}/seeds-{chunk}.safetensors"
        for arm in ("vanilla", "batchnorm")
        for chunk in ("42-2000-5884f2a46b32", "2001-2002")
    ]


def test_stacks_are_made_once_and_not_before_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noted(_: object, name: str) -> list[Any]:
        asked.append(name)
        return []

    monkeypatch.setattr("bnpipe.grid.plan.condition_stacks", noted)
    made = plan()
    assert asked == []
    made.records("condition", ["ant", "ant"])
    assert asked == ["ant"]


def test_of_many_conditions_and_seeds_the_first_are_examined() -> None:
    many = plan(conditions={f"c{number}": CONDITION for number in range(30)}, seeds=[*range(100, 150), 42])
    assert many.examined == [f"c{number}" for number in range(MAX_EXAMINED)]
    assert many.examined_note == "scikit-learn's digits (not MNIST), first 20 of 30 conditions"
    assert many.measured_settings.keys() == {*many.examined}
    assert many.shown_seed == 42  # the tutorial's, wherever it is in the list
    assert many.examined_seeds == (42, *range(100, 100 + MAX_EXAMINED_SEEDS))
    assert plan(seeds=[9, 7]).shown_seed == 9
    assert plan().examined_note == "scikit-learn's digits (not MNIST)"


def test_the_first_condition_is_looked_into_with_batch_normalization() -> None:
    made = plan(arms=["vanilla", "layernorm"])
    assert (made.first, made.first_settings["arm"], made.first_settings["steps"]) == ("zebra", "batchnorm", 2000)


def test_parts_of_ones_own_are_shown_by_their_names_and_known_by_their_digests() -> None:
    condition = {**CONDITION, "activation": "tests.modules.own_parts:swish"}
    made = plan(arms=["vanilla", "tests.modules.own_parts:OwnNorm"], conditions={"own": condition, "tanh": CONDITION})
    assert made.arms == ["vanilla", "OwnNorm"]
    assert [*made.measured_settings["own"]] == ["vanilla", "OwnNorm"]
    assert made.initial_parts == digests_of(["tests.modules.own_parts:OwnNorm", "tests.modules.own_parts:swish"])
    assert plan().initial_parts == {}
    # What needs a built-in nonlinearity takes the condition that has one.
    assert (made.first, made.first_settings["activation"]) == ("tanh", "tanh")
    assert made.pair_settings.keys() == {"tanh"}


def test_a_condition_of_another_optimizer_is_measured_before_training_and_looked_into_no_further() -> None:
    made = plan(conditions={"adam": {**CONDITION, "optimizer": "adam"}, "plain": CONDITION})
    assert made.first == "plain"
    assert list(made.pair_settings) == ["plain"]
    assert list(made.initial_settings) == ["adam", "plain", "plain xavier", "plain he"]


def test_experiments_look_into_fully_connected_networks_alone() -> None:
    conditions = {"conv": {**CONDITION, "network": "convolutional"}, "plain": CONDITION}
    made = plan(conditions=conditions)
    assert (made.first, made.examined, made.measured) == ("plain", ["conv", "plain"], ["plain"])
    assert {*made.pair_settings} == {"plain"}
    assert made.initial_settings.keys() == {"plain", "plain xavier", "plain he"}


def test_a_study_with_an_answer_has_its_table_too() -> None:
    tables = plan().study_tables(["convolutional", "depth"])
    assert [Path(table).stem for table in tables] == [
        "accuracy",
        "runs",
        "summary",
        "carry_over",
        "accuracy",
        "runs",
        "summary",
    ]


def test_tables_of_claims_follow_what_is_configured() -> None:
    assert list(plan().all_claim_tables) == [
        *("accuracy", "runs", "layers", "initialization", "inference"),
        "step_time",
    ]
    studies = {"regularization": STUDY, "initializations": STUDY, "steadiness_bad_weights": STUDY}
    more = plan(studies=studies, best_rate={}).all_claim_tables
    assert more["steadiness"] == ["results/digits/studies/steadiness_bad_weights/accuracy.csv"]
    assert more["tuning"][1] == "results/digits/studies/best_rate/tuning-tanh-batchnorm.csv"
    assert more["best_rate"][0] == "results/digits/studies/best_rate/curves-tanh-vanilla-seeds-42-2008-350e47c6e375.csv"
    assert more["regularization"] == ["results/digits/studies/regularization/generalization.csv"]
    assert more["initializations"] == ["results/digits/studies/initializations/runs.csv"]
    assert more["smoothness"] == [
        f"results/digits/studies/smoothness/{activation}-{arm}.csv"
        for activation in ("tanh", "relu")
        for arm in ("vanilla", "batchnorm")
    ]


def test_without_closer_looks_their_tables_figures_and_claims_are_left_out() -> None:
    made = plan(closer_looks=False, diagnostics=False)
    runs = ["accuracy", "layers", "runs", "summary", "comparison", "origins"]
    assert list(made.tables) == [*runs, "claims", "evidence"]
    assert list(made.claim_tables) == ["accuracy", "runs", "layers"]
    assert [figure for figure in made.figures if "/" not in figure] == ["overview", "states", "claims"]
    assert not [figure for figure in made.figures if figure.startswith("initialization/")]
    assert {"inference", "mechanics", "initialization/unit_growth"} <= {*plan().figures}


def test_networks_before_training_include_vanilla_ones_with_other_initializations() -> None:
    settings = plan(arms=["batchnorm"]).initial_settings
    assert list(settings) == ["zebra", "ant", "zebra xavier", "zebra he", "ant xavier", "ant he"]
    assert list(settings["ant"]) == ["batchnorm"]
    assert list(settings["ant he"]) == ["vanilla"]
    own = {name: settings["ant he"]["vanilla"][name] for name in ("arm", "activation", "init_std", "learning_rate")}
    assert own == {"arm": "vanilla", "activation": "relu", "init_std": "he", "learning_rate": 2}


def test_without_diagnostics_no_condition_has_a_figure_of_them() -> None:
    assert "zebra/diagnostics" in plan().figures
    assert not any("diagnostics" in name for name in plan(diagnostics=False).figures)


def test_the_papers_experiment_is_made_if_it_is_configured() -> None:
    assert "studies/paper" not in plan().study_figures
    assert plan().paper_seeds == ()
    paper = plan(paper={"seeds": 2, "condition": {**CONDITION, "activation": "sigmoid"}})
    assert paper.paper_seeds == (42, 2000)
    assert paper.study_figures == ["all_claims", "studies/paper"]
    assert "results/digits/studies/paper/percentiles-batchnorm.csv" in paper.study_results


def test_studies_of_the_default_target_are_on_its_page() -> None:
    made = plan(studies={"rates": STUDY, "depth": {**STUDY, "default": True}})
    assert (made.studies, made.default_studies) == (["rates", "depth"], ["depth"])
    assert [name for name in made.figures if name.startswith("studies/")] == ["studies/depth"]
    assert made.study_tables(["depth"]) == [
        f"results/digits/studies/depth/{name}.csv" for name in ("accuracy", "runs", "summary")
    ]
