"""What the workflow makes of the fair comparison and of the explanations."""

from bnpipe.grid.fair_comparison import FairComparison
from bnpipe.grid.plan import Plan
from tests.grid.test_stacks import configuration

CONDITION = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 9}


def fair(**changes: object) -> FairComparison:
    return Plan(configuration(**changes), "digits", "digits").fair


def test_a_comparison_that_is_left_out_makes_nothing() -> None:
    none = fair()
    assert (none.names, none.grids, none.entrants, none.claim_tables) == ([], {}, {}, {})
    assert (none.tunings("tuning"), none.tuned("curves")) == ([], [])


def test_every_network_is_tried_and_trained_in_chunks_of_seeds() -> None:
    made = fair(best_rate={"steps": 90}, seeds=3, chunk_size=2)
    assert (made.names[0], made.steps, list(made.grids)) == ("best_rate", 90, ["tuning", "preview"])
    assert list(made.seed_chunks.values()) == [(42, 2000), (2001, 2002)]
    assert len(made.entrants) == 7
    assert len(made.tuned("finals")) == 14
    assert made.tunings("tuning")[1] == "results/digits/studies/best_rate/tuning-tanh-batchnorm.csv"
    assert made.tuned("curves")[1] == "results/digits/studies/best_rate/curves-tanh-vanilla-seeds-2001-2002.csv"
    assert len(made.tunings("preview")) == 6  # without large weights
    assert made.figure_settings == {
        "steps": 90,
        "rates": {"tanh": 0.01, "relu": 2},
        "inits": {"tanh": 0.1, "relu": 1.5},
    }


def test_its_networks_have_built_in_parts() -> None:
    own = {**CONDITION, "activation": "tests.modules.own_parts:swish"}
    assert fair(best_rate={}, conditions={"own": own, "tanh": CONDITION}).entrants.keys() == {
        *("tanh-vanilla", "tanh-batchnorm", "tanh-vanilla-xavier", "tanh-batchnorm-1")
    }
    adam = {**CONDITION, "optimizer": "adam"}
    made = fair(conditions={"adam": adam, "plain": CONDITION}, best_rate={})
    assert {entrant.trial["optimizer"] for entrant in made.entrants.values()} == {"sgd"}


def test_explanations_take_the_first_condition_of_each_nonlinearity_that_has_some() -> None:
    conditions = {
        "ant": {**CONDITION, "activation": "relu", "init_std": 2},
        "bee": {**CONDITION, "activation": "relu"},
        "cat": {**CONDITION, "activation": "sigmoid"},
    }
    made = fair(conditions=conditions, arms=["layernorm"], best_rate={})
    assert list(made.explained_settings) == ["relu"]
    assert list(made.explained_settings["relu"]) == ["vanilla", "batchnorm"]
    assert made.explained_settings["relu"]["vanilla"]["init_std"] == 2
    assert made.explanation_tables["input_shift"] == [
        f"results/digits/studies/input_shift/relu-{arm}.csv" for arm in ("vanilla", "batchnorm")
    ]
    assert fair(conditions={"cat": conditions["cat"]}, best_rate={}).names == ["best_rate"]
