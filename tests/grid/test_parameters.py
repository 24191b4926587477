from typing import Any

import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.parts import digests_of
from bnpipe.core.settings import Runs
from bnpipe.grid.parameters import MAX_NAMED, Parameters
from bnpipe.grid.plan import Plan
from bnpipe.grid.stacks import condition_stacks, study_stacks
from tests.grid.test_stacks import STUDY, configuration

NO_CONDITION = "condition: expected zebra or ant, got typo"
PAPER = {"condition": {"activation": "sigmoid", "learning_rate": 0.1, "init_std": 0.1, "steps": 9}}


def parameters(**changes: Any) -> Parameters:
    return Parameters(Plan(configuration(studies={"rates": STUDY}, **changes), "digits", "digits"))


def test_the_stack_of_a_condition_and_of_a_study_is_found_by_the_wildcards_of_its_record() -> None:
    made = configuration(studies={"rates": STUDY}, seeds=3, chunk_size=2)
    stacks = [*condition_stacks(made, "ant"), *study_stacks(made, "rates")]
    for stack in stacks:
        told = parameters(seeds=3, chunk_size=2)
        assert told.stack(stack.wildcards) == stack
        assert told.group(stack.wildcards) == stack.group
        assert told.stack_seeds(stack.wildcards) == stack.runs.seeds
        assert told.stack_steps(stack.wildcards) == stack.runs.settings.steps
        assert Runs.from_plain(told.stack_settings(stack.wildcards), stack.runs.seeds) == stack.runs


def test_a_job_is_told_the_digests_of_its_own_parts_and_of_no_others() -> None:
    part = "tests.modules.own_parts:OwnNorm"
    told, stacks = (
        parameters(arms=["vanilla", part], seeds=1),
        condition_stacks(configuration(arms=["vanilla", part], seeds=1), "ant"),
    )
    assert [told.stack_parts(stack.wildcards) for stack in stacks] == [{}, digests_of([part])]


@pytest.mark.parametrize(
    ("ask", "wildcards", "complaint"),
    [
        ("condition", {"condition": "typo"}, NO_CONDITION),
        ("condition_records", {"condition": "typo"}, NO_CONDITION),
        (
            "stack",
            {"condition": "typo", "arm": "vanilla", "chunk": "1-2"},
            NO_CONDITION,
        ),
        (
            "stack",
            {"condition": "ant", "arm": "vanilla", "chunk": "1-2"},
            "results/digits/runs/ant/vanilla/seeds-1-2.safetensors: expected "
            "results/digits/runs/ant/vanilla/seeds-42-2008-350e47c6e375.safetensors or ",
        ),
        ("stack", {"study": "typo", "stack": "vanilla-0"}, "study: expected rates, got typo"),
        ("stack", {"study": "rates", "stack": "vanilla-0"}, "ask for a table or a figure instead"),
        ("explained_settings", {"condition": "typo", "arm": "vanilla"}, "condition: expected tanh or relu, got typo"),
        (
            "explained_settings",
            {"condition": "relu", "arm": "layernorm"},
            "arm: expected vanilla or batchnorm",
        ),
        ("study_about", {"study": "typo"}, "study: expected rates, got typo"),
        ("paper_settings", {"arm": "vanilla"}, "paper: expected a condition, got nothing"),
        ("equilibrium_settings", {"arm": "vanilla"}, "equilibrium: expected settings for training, got nothing"),
        ("optimizer_rates", {"entrant": "typo"}, "optimizers: expected settings for tuning, got nothing"),
    ],
)
def test_names_that_the_configuration_does_not_have_are_refused(
    ask: str, wildcards: dict[str, str], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint.replace(".", r"\.")):
        getattr(parameters(), ask)(wildcards)


def test_of_many_names_the_first_are_given() -> None:
    condition = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 9}
    told = parameters(conditions={f"c{number}": condition for number in range(100)})
    with pytest.raises(InputError) as caught:
        told.condition({"condition": "typo"})
    assert str(caught.value).count(" or ") == MAX_NAMED - 1


def test_notes_name_settings_and_data_set() -> None:
    assert parameters().condition_note({"condition": "ant"}) == "relu, learning rate 2, init std 1.5\ndigits"
    assert parameters().study_note({"study": "rates"}) == "digits; tanh, init std 0.1, 50 steps"
    assert parameters().study_about({"study": "rates"}) == "Which?"
    assert parameters().study_sweep({"study": "rates"}) == ["hidden_sizes", "learning_rate"]


def test_settings_of_the_pair_and_of_the_paper() -> None:
    pair = parameters(arms=["layernorm", "batchnorm"]).explained_settings({"condition": "relu", "arm": "vanilla"})
    assert (pair["arm"], pair["activation"], pair["steps"]) == ("vanilla", "relu", 70)
    paper = parameters(paper=PAPER).paper_settings({"arm": "batchnorm"})
    assert (paper["arm"], paper["activation"]) == ("batchnorm", "sigmoid")


def test_a_network_of_the_study_of_optimizers_is_told_its_optimizer_and_rates() -> None:
    told, wildcards = parameters(optimizers={}, equilibrium={}), {"entrant": "tanh-adam-vanilla"}
    settings = told.optimizer_settings(wildcards)
    assert (settings["optimizer"], settings["arm"], settings["steps"]) == ("adam", "vanilla", 601)
    assert told.optimizer_rates(wildcards)[0] == 0.000316
    with pytest.raises(InputError, match=r"^entrant: expected tanh-sgd-vanilla or .*, got typo$"):
        told.optimizer_rates({"entrant": "typo"})
    assert told.equilibrium_settings({"arm": "batchnorm"})["arm"] == "batchnorm"


def test_lists_of_the_whole_grid() -> None:
    told, of = parameters(seeds=2), {"": ""}
    assert len(told.all_records(of)) == 2 * 2  # conditions, arms
    assert len(told.all_study_records(of)) == 2 * 2  # arms, shapes
    assert told.default_study_records(of) == []
    assert len(told.all_condition_figures(of)) == 2 * 3 * 2  # conditions, kinds, formats
    assert told.all_conditions(of)["ant"] == {"activation": "relu", "learning_rate": 2.0, "init_std": 1.5, "steps": 70}
    kept = {**STUDY["condition"], "keep_weights": True}  # claims are decided with it or without
    assert "keep_weights" not in parameters(conditions={"ant": kept}).all_conditions(of)["ant"]
    assert told.condition_records({"condition": "ant"}) == told.all_records(of)[2:]
    assert told.study_records({"study": "rates"}) == told.all_study_records(of)
