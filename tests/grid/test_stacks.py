import re
from itertools import product
from typing import Any

import pytest

from bnpipe.core.settings import TrainingSettings
from bnpipe.grid.conditions import Condition
from bnpipe.grid.config import Configuration, parse_configuration
from bnpipe.grid.stacks import (
    Stack,
    chunk_name,
    condition_stacks,
    examinable,
    first_of_each_activation,
    study_stacks,
    training_settings,
)


def configuration(**changes: Any) -> Configuration:
    """Return a configuration of two conditions whose order is not alphabetic, with some values changed."""
    values: dict[str, Any] = {
        "conditions": {
            "zebra": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
            "ant": {"activation": "relu", "learning_rate": 2, "init_std": 1.5, "steps": 70},
        }
    }
    return parse_configuration({**values, **changes})


def stacks(made: Configuration) -> list[Stack]:
    return [stack for name in made.conditions for stack in condition_stacks(made, name)]


def chunk(*seeds: int) -> str:
    return chunk_name(seeds)


TWO = "42-2000-5884f2a46b32"  # the chunk (42, 2000)


def test_stacks_go_by_condition_then_arm_then_chunk() -> None:
    found = stacks(configuration(seeds=3, chunk_size=2))
    assert [(stack.kind, stack.group, stack.arm, stack.name, stack.runs.seeds) for stack in found] == [
        ("condition", "zebra", "vanilla", TWO, (42, 2000)),
        ("condition", "zebra", "vanilla", "2001-2002", (2001, 2002)),
        ("condition", "zebra", "batchnorm", TWO, (42, 2000)),
        ("condition", "zebra", "batchnorm", "2001-2002", (2001, 2002)),
        ("condition", "ant", "vanilla", TWO, (42, 2000)),
        ("condition", "ant", "vanilla", "2001-2002", (2001, 2002)),
        ("condition", "ant", "batchnorm", TWO, (42, 2000)),
        ("condition", "ant", "batchnorm", "2001-2002", (2001, 2002)),
    ]


def test_parts_of_ones_own_are_named_in_paths_without_their_module() -> None:
    study = {**STUDY, "arms": ["my.norms:Mean_Only"]}
    made = configuration(arms=["vanilla", "my.norms:MeanOnly"], seeds=1, studies={"rates": study})
    (_, of_condition, *_), (of_study, *_) = stacks(made), study_stacks(made, "rates")
    assert of_condition.runs.settings.arm == "my.norms:MeanOnly"
    assert of_condition.wildcards["arm"] == of_condition.arm == "MeanOnly"
    assert re.fullmatch(r"Mean_Only-[0-9a-f]{12}", of_study.name)


def test_the_runs_of_a_condition_share_its_settings() -> None:
    made = configuration(seeds=3, chunk_size=2)
    first, *_ = stacks(made)
    settings = training_settings(made, made.conditions["zebra"], "vanilla")
    assert first.runs.each == (settings, settings)


def test_a_condition_decides_for_itself_whether_its_weights_are_kept_and_otherwise_the_file_does() -> None:
    for in_file, own, expected in [(False, None, False), (True, None, True), (True, False, False), (False, True, True)]:
        made = configuration(keep_weights=in_file, conditions={"zebra": {**STUDY["condition"], "keep_weights": own}})
        first, *_ = stacks(made)
        assert first.runs.settings.keep_weights is expected
        # Experiments write no records: nothing that they are told changes.
        assert not training_settings(made, made.conditions["zebra"], "vanilla").keep_weights


def test_the_wildcards_of_a_stack_are_those_of_the_rules() -> None:
    first, *_ = stacks(configuration(seeds=[7, 9]))
    assert first.wildcards == {"condition": "zebra", "arm": "vanilla", "chunk": chunk(7, 9)}
    first, *_ = study_stacks(configuration(studies={"rates": STUDY}), "rates")
    assert first.wildcards == {"study": "rates", "stack": first.name}
    assert re.fullmatch("vanilla-[0-9a-f]{12}", first.name)


def test_a_setting_with_its_default_is_not_in_the_names_of_records() -> None:
    condition = {"activation": "relu", "learning_rate": 0.01, "init_std": 1, "steps": 301}
    study = {"about": "Why?", "arms": ["vanilla"], "condition": condition, "sweep": {"precision": ["float32"]}}
    (name,) = (own.name for own in study_stacks(configuration(studies={"s": study}), "s"))
    swept = {**study, "sweep": {"weight_decay": [0, 0.1, 0.2], "optimizer": ["sgd", "adam"]}}
    names = [own.name for own in study_stacks(configuration(studies={"s": swept}), "s")]
    assert names[0] == name
    assert len(set(names)) == 6


def test_arms_keep_the_configured_order() -> None:
    arms = [stack.arm for stack in stacks(configuration(seeds=1, arms=["batchnorm", "vanilla"]))]
    assert arms == ["batchnorm", "vanilla", "batchnorm", "vanilla"]


@pytest.mark.parametrize(
    ("chunk_size", "sizes"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (10_000, [5])]
)
def test_chunks_are_cut_at_chunk_size(chunk_size: int, sizes: list[int]) -> None:
    found = list(stacks(configuration(seeds=4, chunk_size=chunk_size, arms=["vanilla"])))
    assert [len(stack.runs) for stack in found] == sizes * 2  # two conditions
    assert [seed for stack in found for seed in stack.runs.seeds] == [42, 2000, 2001, 2002, 2003] * 2


def test_on_a_gpu_all_seeds_share_a_stack() -> None:
    found = list(stacks(configuration(seeds=4, chunk_size=2, arms=["vanilla"], device="cuda")))
    assert [len(stack.runs) for stack in found] == [5, 5]  # two conditions


@pytest.mark.parametrize(("seeds", "name"), [((42,), "42-42"), ((42, 43, 44), "42-44"), ((0, 1), "0-1")])
def test_contiguous_seeds_name_their_chunk(seeds: tuple[int, ...], name: str) -> None:
    assert chunk(*seeds) == name


def test_what_is_looked_into_is_trained_by_plain_descent() -> None:
    plain = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 60}
    conditions = {
        "adam": {**plain, "optimizer": "adam"},
        "decayed": {**plain, "weight_decay": 0.1},
        "plain": plain,
        "relu": {**plain, "activation": "relu", "optimizer": "momentum"},
    }
    made = configuration(conditions=conditions)
    assert list(examinable(made)) == ["plain"]
    assert [name for name, _ in first_of_each_activation(made)] == ["plain"]


def test_other_seeds_are_told_apart_by_a_digest() -> None:
    lists = [
        (42, 44),
        (42, 50, 44),
        (42, 51, 44),
        (43, 42),
        (42, 44, 43, 45),
        (42, 45),
        (42, 50, 51, 44),
        (42, 51, 50, 44),
    ]
    names = [chunk(*seeds) for seeds in lists]
    assert len(set(names)) == len(lists)
    for seeds, name in zip(lists, names, strict=True):
        assert re.fullmatch(rf"{seeds[0]}-{seeds[-1]}-[0-9a-f]{{12}}", name)
    assert chunk(42, 44) == chunk(42, 44)


@pytest.mark.parametrize(("fewer", "more"), [(10, 20), (7, 9), ([3, 1, 4, 15, 9], [3, 1, 4, 15, 9, 26])])
def test_more_seeds_keep_the_names_of_full_chunks(fewer: object, more: object) -> None:
    def names(seeds: object) -> list[str]:
        found = stacks(configuration(seeds=seeds, chunk_size=5, arms=["vanilla"]))
        return [stack.name for stack in found if stack.group == "ant" and len(stack.runs) == 5]

    assert names(fewer)
    assert names(more)[: len(names(fewer))] == names(fewer)


def test_training_settings_take_every_field_from_its_place() -> None:
    found = training_settings(
        configuration(
            hidden_sizes=[30, 20],
            batch_size=64,
            evaluation_interval=7,
            normalization={"epsilon": 0.5, "moving_average_weight": 0.25, "moving_variance": "unbiased"},
        ).model_copy(update={"diagnostics": False}),
        Condition(activation="relu", learning_rate=2.0, init_std=1.5, steps=70),
        "batchnorm",
    )
    assert found == TrainingSettings(
        arm="batchnorm",
        activation="relu",
        learning_rate=2.0,
        init_std=1.5,
        steps=70,
        hidden_sizes=(30, 20),
        batch_size=64,
        evaluation_interval=7,
        epsilon=0.5,
        moving_average_weight=0.25,
        moving_variance="unbiased",
    )


def test_the_channels_of_a_condition_replace_the_usual_ones() -> None:
    condition = Condition(activation="relu", learning_rate=2.0, init_std=1.5, steps=70, network="convolutional")
    assert training_settings(configuration(), condition, "vanilla").channels == (8, 8, 16, 16, 32, 32)
    other = condition.model_copy(update={"channels": (4, 4)})
    assert training_settings(configuration(), other, "vanilla").channels == (4, 4)


STUDY: dict[str, Any] = {
    "about": "Which?",
    "condition": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 50},
    "sweep": {"hidden_sizes": ["2 x 30", "1 x 30"], "learning_rate": [0.1, 1]},
    "seeds": 2,
}


def test_a_study_stacks_what_has_equal_shapes_and_takes_the_first_seeds() -> None:
    found = list(study_stacks(configuration(seeds=[7, 8, 9], studies={"rates": STUDY}), "rates"))
    assert [(stack.arm, stack.runs.settings.hidden_sizes) for stack in found] == [
        (arm, sizes) for arm in ("vanilla", "batchnorm") for sizes in ((30, 30), (30,))
    ]
    for runs in (stack.runs for stack in found):
        assert runs.seeds == (7, 7, 8, 8)
        assert list(runs.learning_rates) == [0.1, 1, 0.1, 1]
        assert set(runs.init_stds) == {0.1}
        assert (runs.settings.learning_rate, runs.settings.init_std) == (0.1, 0.1)


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        ({}, [30, 10]),
        ({"device": "cuda"}, [40]),
        ({"runs_per_job": 16}, [16, 16, 8]),
        ({"runs_per_job": 1000}, [40]),
        ({"runs_per_job": 39, "device": "cuda"}, [39, 1]),
    ],
    ids=str,
)
def test_a_job_of_a_study_takes_so_many_runs(changes: dict[str, Any], sizes: list[int]) -> None:
    made = configuration(seeds=19, studies={"rates": {**STUDY, "seeds": 20, "arms": ["vanilla"]}}, **changes)
    found = list(study_stacks(made, "rates"))
    assert [len(stack.runs) for stack in found] == sizes * 2  # two shapes of networks
    runs = [
        (job.settings.hidden_sizes, *run)
        for job in (stack.runs for stack in found)
        for run in zip(job.seeds, job.learning_rates, strict=True)
    ]
    assert runs == list(product([(30, 30), (30,)], [42, *range(2000, 2019)], [0.1, 1]))  # however they are cut


def test_stacks_of_other_settings_or_seeds_have_other_names() -> None:
    names = [
        stack.name
        for sweep in ([0.1, 1], [0.1, 2])
        for seeds in (1, 2)
        for stack in study_stacks(
            configuration(studies={"r": {**STUDY, "seeds": seeds, "sweep": {"learning_rate": sweep}}}), "r"
        )
    ]
    assert len(set(names)) == len(names) == 8


def test_the_first_condition_of_each_nonlinearity() -> None:
    made = configuration()
    again = made.model_copy(update={"conditions": {**made.conditions, "bee": made.conditions["ant"]}})
    assert first_of_each_activation(again) == [("zebra", made.conditions["zebra"]), ("ant", made.conditions["ant"])]
