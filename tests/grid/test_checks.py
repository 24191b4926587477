"""Values that are good by themselves and do not go together: every key that limits another, wherever either is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.made_up import SHAPE
from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml_file
from bnpipe.grid.checks import check
from bnpipe.grid.config import parse_configuration
from bnpipe.grid.given import Given

CONDITION: dict[str, Any] = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 50}
STUDY: dict[str, Any] = {"about": "Which?", "condition": CONDITION, "sweep": {"learning_rate": [0.1, 1]}}
SWISH = "tests.modules.own_parts:swish"  # a nonlinearity of one's own that is there
IMAGES = (100, 20)  # of the training file, and how many of them are for validation


def condition(**changes: object) -> dict[str, Any]:
    return {**CONDITION, **changes}


def study(sweep: dict[str, list[Any]] | None = None, **changes: object) -> dict[str, Any]:
    """Return a study whose condition has some values changed."""
    return {**STUDY, "condition": condition(**changes), "sweep": sweep or STUDY["sweep"]}


def mistakes(images: tuple[int, int] | None = IMAGES, **changes: object) -> list[str]:
    """Check a configuration with some values changed, and return the lines about it."""
    values = {"conditions": {"tanh": CONDITION}, "batch_size": 10, **changes}
    try:
        check(parse_configuration(values), Given(values), images, SHAPE)
    except InputError as error:
        return str(error).split("\n")
    return []


AT_MOST_80 = "expected at most 80 (the number of training images)"
GROUPS = "normalization.groups: expected a number that divides every normalized layer of "


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"batch_size": 81}, f"batch_size: {AT_MOST_80}, got 81"),
        ({"conditions": {"a": condition(batch_size=81)}}, f"conditions.a.batch_size: {AT_MOST_80}, got 81"),
        ({"studies": {"s": study(batch_size=81)}}, f"studies.s.condition.batch_size: {AT_MOST_80}, got 81"),
        ({"studies": {"s": study({"batch_size": [80, 81]})}}, f"studies.s.sweep.batch_size.1: {AT_MOST_80}, got 81"),
        ({"paper": {"condition": condition(batch_size=81)}}, f"paper.condition.batch_size: {AT_MOST_80}, got 81"),
        (
            {"conditions": {"a": condition(training_images=81)}},
            f"conditions.a.training_images: {AT_MOST_80}, got 81; null takes all",
        ),
        (
            {"studies": {"s": study({"training_images": [None, 80, 81]})}},
            f"studies.s.sweep.training_images.2: {AT_MOST_80}, got 81; null takes all",
        ),
        (
            {"conditions": {"a": condition(training_images=9)}},
            "conditions.a.training_images: expected at least 10 (batch_size, since a mini-batch takes no image twice), "
            "got 9",
        ),
        (
            {"studies": {"s": study({"batch_size": [5, 20], "learning_rate": [0.1, 1]}, training_images=15)}},
            "studies.s.condition.training_images: expected at least 20 (batch_size, since a mini-batch takes no image "
            "twice), got 15",
        ),
        (
            {"paper": {"condition": condition(training_images=9)}},
            "paper.condition.training_images: expected at least 10 (batch_size, since a mini-batch takes no image "
            "twice), got 9",
        ),
        (
            {"images": (100, 100)},
            "validation_images: expected at most 99 (the data set has 100 training images), got 100",
        ),
        (
            {"studies": {"s": {**study(normalize_logits=False), "arms": ["groupnorm"]}}, "hidden_sizes": [30, 24]},
            f"{GROUPS}studies.s (24, 30 units) into groups of at least 4, got 5; change it, or set normalize_logits: "
            "false to leave the logits out",
        ),
        (
            {"arms": ["groupnorm"], "hidden_sizes": [20]},
            f"{GROUPS}conditions.tanh (10, 20 units) into groups of at least 4, got 5; change it, or set "
            "normalize_logits: false to leave the logits out",
        ),
        (
            {"arms": ["groupnorm"], "hidden_sizes": [7], "conditions": {"a": condition(normalize_hidden=False)}},
            f"{GROUPS}conditions.a (10 units) into groups of at least 4, got 5; change it",
        ),
        (
            {"conditions": {"a": condition(normalize_hidden=False, normalize_logits=False)}},
            "conditions.a.normalize_hidden: expected true, since normalize_logits is false and batchnorm would "
            "normalize no layer, got false",
        ),
        (
            {"studies": {"s": study({"normalize_hidden": [True, False]}, normalize_logits=False)}},
            "studies.s.sweep.normalize_hidden.1: expected true, since normalize_logits is false",
        ),
        (
            {"best_rate": {"tuning": {"seeds": [500, 2001]}}, "seeds": [42, 2000, 2001]},
            "best_rate.tuning.seeds.1: expected a seed that is not counted at the best rates (seeds), got 2001",
        ),
        (
            {"arms": ["ghostbatchnorm"], "conditions": {"a": condition(batch_size=20)}},
            "normalization.ghost_size: expected a number that divides the batch_size of conditions.a (20), got 15; "
            "change either",
        ),
        (
            {"arms": ["vanilla", "lost.norms:Own"]},
            "arms.1: expected a module that Python finds, got lost.norms:Own, and there is neither lost/norms.py ",
        ),
        (
            {"studies": {"s": {**study(), "arms": ["tests.modules.own_parts:LostNorm"]}}},
            "studies.s.arms.0: expected a name that ",
        ),
        (
            {"conditions": {"tanh": CONDITION, "a": condition(activation="lost:f")}},
            "conditions.a.activation: expected a ",
        ),
        (
            {"studies": {"s": study({"activation": ["tanh", "lost:f"]})}},
            "studies.s.sweep.activation.1: expected a module",
        ),
        (
            {"studies": {"s": {**study(activation=SWISH), "arms": ["vanilla", "firstbatch"]}}},
            f"studies.s.condition.activation: expected tanh, relu or sigmoid with the arm firstbatch, got {SWISH}; "
            "leave out one of the two",
        ),
        (
            {"paper": {"condition": condition(activation=SWISH)}},
            f"paper.condition.activation: expected tanh, relu or sigmoid in the paper's experiment, got {SWISH}",
        ),
        (
            {"conditions": {"a": condition(activation=SWISH), "b": condition(activation=SWISH)}},
            "conditions: expected at least one condition that is fully_connected, with tanh, relu or sigmoid, "
            "optimizer sgd and weight_decay 0, for mechanics, inference and other experiments to examine, got none; "
            "add one",
        ),
        ({"conditions": {"Studies": CONDITION}}, "conditions.Studies: expected another name than studies, got Studies"),
        (
            {"studies": {"tables": STUDY}},
            "studies.tables: expected another name than best_rate, equilibrium, figure, gradient_shift, input_shift, "
            "optimizers, paper, smoothness, tables, got tables; rename it",
        ),
        (
            {"studies": {"s": study({"batch_size": [None, 10], "init_std": [1]})}},
            "studies.s.sweep: expected values that differ, got the same twice: batch_size 10, init_std 1.0; delete one",
        ),
        (
            {"studies": {"regularization": study({"training_images": [20, None]})}},
            "studies.regularization.condition.evaluate_training: expected true in this study, which compares training "
            "and validation loss, got false",
        ),
        (
            {"studies": {"regularization": study({"evaluate_training": [True, False]})}},
            "studies.regularization.sweep.evaluate_training.1: expected true in this study",
        ),
        (
            {"paper": {"condition": condition(position="after")}},
            "paper.condition.position: expected before: the paper's figure shows what normalization hands to the "
            "nonlinearity, got after",
        ),
        (
            {"paper": {"condition": condition(keep_weights=True)}},
            "paper.condition.keep_weights: expected false here, since this experiment writes no run records, got true",
        ),
        (
            {"conditions": {"tanh": CONDITION, "a": condition(momentum=0.9)}},
            "conditions.a.momentum: expected no momentum with optimizer sgd, which has none, got 0.9; delete it, or "
            "set optimizer: momentum",
        ),
        (
            {"conditions": {"tanh": CONDITION, "a": condition(optimizer="momentum", adam_epsilon=1e-3)}},
            "conditions.a.adam_epsilon: expected no adam_epsilon with optimizer momentum, which has none, got 0.001; "
            "delete it, or set optimizer: adam",
        ),
        (
            {"studies": {"s": study({"optimizer": ["adam", "momentum"]}, beta1=0.5)}},
            "studies.s.condition.beta1: expected no beta1 with optimizer momentum",
        ),
        (
            {"studies": {"s": study({"beta2": [0.9]}, optimizer="sgd")}},
            "studies.s.sweep.beta2.0: expected no beta2 with optimizer sgd, which has none, got 0.9; delete it, or set "
            "optimizer: adam",
        ),
        (
            {"conditions": {"tanh": CONDITION, "a": condition(weight_decay=0.1, trained="transforms")}},
            "conditions.a.weight_decay: expected 0 with trained: transforms, which trains no weights, got 0.1",
        ),
        (
            {"conditions": {"a": condition(optimizer="adam"), "b": condition(weight_decay=0.1)}},
            "conditions: expected at least one condition that is fully_connected, with tanh, relu or sigmoid, "
            "optimizer sgd and weight_decay 0, for mechanics, inference and other experiments to examine, got none; "
            "add one",
        ),
        (
            {"paper": {"condition": condition(optimizer="adam")}},
            "paper.condition.optimizer: expected optimizer sgd and weight_decay 0 in the paper's experiment, got adam",
        ),
        (
            {"paper": {"condition": condition(weight_decay=0.5)}},
            "paper.condition.weight_decay: expected optimizer sgd and weight_decay 0 in the paper's experiment, got "
            "0.5",
        ),
    ],
    ids=lambda part: str(part)[:60],
)
def test_values_that_do_not_go_together_are_one_line(changes: dict[str, Any], complaint: str) -> None:
    (line,) = mistakes(**changes)
    assert line.startswith(f"configuration: {complaint}")


def test_no_advice_is_given_that_would_leave_nothing_to_normalize() -> None:
    (line,) = mistakes(arms=["groupnorm"], conditions={"a": condition(normalize_hidden=False)})
    assert line.endswith("got 5; change it")


def test_the_width_of_the_logits_is_a_property_of_the_data() -> None:
    values = {"arms": ["groupnorm"], "hidden_sizes": [20], "batch_size": 10, "conditions": {"tanh": CONDITION}}
    assert check(parse_configuration(values), Given(values), IMAGES, replace(SHAPE, classes=20)) == {}
    assert (
        check(parse_configuration(values), Given(values), IMAGES, None) == {}
    )  # the job that reads the files will see


CONVOLUTIONAL = condition(network="convolutional")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"conditions": {"a": CONVOLUTIONAL}},
            "conditions: expected at least one condition that is fully_connected, with tanh, relu or sigmoid, ",
        ),
        (
            {"conditions": {"tanh": CONDITION, "a": condition(channels=[4, 8])}},
            "conditions.a.channels: expected none with network: fully_connected, got some; set network: convolutional,",
        ),
        (
            {"conditions": {"tanh": CONDITION, "a": {**CONVOLUTIONAL, "hidden_sizes": [20]}}},
            "conditions.a.hidden_sizes: expected none with network: convolutional, got some; set channels instead",
        ),
        (
            {"conditions": {"tanh": CONDITION, "a": CONVOLUTIONAL}, "arms": ["batchnorm", "rmsnorm"]},
            "arms: expected vanilla, batchnorm, weightnorm with network: convolutional, as in conditions.a, got rms",
        ),
        (
            {"studies": {"s": {**study(network="convolutional"), "arms": ["groupnorm"]}}},
            "studies.s.arms: expected vanilla, batchnorm, weightnorm with network: convolutional, as in studies.s, got",
        ),
        (
            {"paper": {"condition": CONVOLUTIONAL}},
            "paper.condition.network: expected fully_connected, as in the paper's experiment, got convolutional",
        ),
    ],
    ids=["none connected", "channels", "hidden sizes", "arms", "arms of a study", "paper"],
)
def test_what_does_not_go_with_the_kind_of_network_is_one_line(changes: dict[str, Any], complaint: str) -> None:
    (line,) = mistakes(**changes)
    assert line.startswith(f"configuration: {complaint}")


def test_a_study_may_compare_both_kinds_of_networks() -> None:
    sweep = {"network": ["fully_connected", "convolutional"]}
    assert mistakes(studies={"s": study(sweep, hidden_sizes=[20], channels=[4, 8])}) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 80},
        {"conditions": {"a": condition(batch_size=80, training_images=80)}},
        {"studies": {"s": study({"batch_size": [5, 20], "training_images": [20, 80, None]})}},
        {"studies": {"s": {**STUDY, "seeds": 10_000}}, "seeds": 1},  # all that there are
        {"evaluation_interval": 1000},  # the network is evaluated once, after step 0
        {"studies": {"s": {**study(normalize_logits=False), "arms": ["groupnorm"]}}, "hidden_sizes": [20, 30]},
        {"studies": {"regularization": study(evaluate_training=True)}},
        {"studies": {"s": study({"normalize_hidden": [True, False]})}},
        {"best_rate": {"tuning": {"seeds": [42, 500, 2001]}}, "seeds": [42, 500, 2000]},  # 42 and 500 are never counted
        {"best_rate": {"preview": {"seeds": [2000]}}, "seeds": [2000]},  # decides nothing
        {"arms": ["vanilla"], "conditions": {"a": condition(normalize_hidden=False, normalize_logits=False)}},
        {"studies": {"s": study({"optimizer": ["sgd", "momentum", "adam"]}, weight_decay=0.1)}},
        {"studies": {"s": study({"momentum": [0, 0.9], "trained": ["all", "transforms"]}, optimizer="momentum")}},
        {"studies": {"s": study({"beta1": [0, 0.9]}, optimizer="adam", adam_epsilon=1, beta2=0)}},
        {"images": None, "batch_size": 100_000},  # a damaged file: the job that reads it says so
    ],
    ids=lambda part: str(part)[:60],
)
def test_values_that_go_together(changes: dict[str, Any]) -> None:
    assert mistakes(**changes) == []


def test_every_mistake_has_its_line_once() -> None:
    conditions = {f"c{number}": CONDITION for number in range(5)}
    lines = mistakes(batch_size=90, conditions={**conditions, "few": condition(batch_size=50, training_images=40)})
    assert [line.split(": ")[1] for line in lines] == ["batch_size", "conditions.few.training_images"]


def test_mistakes_are_named_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    text = yaml.safe_dump({"conditions": {"tanh": condition(training_images=30)}}, sort_keys=False)
    path.write_text(
        f"# mine\nbatch_size: 60\n{text}studies:\n  paper: {yaml.safe_dump(STUDY, default_flow_style=True)}"
    )
    file = read_yaml_file(path)
    with pytest.raises(InputError) as error:
        check(parse_configuration(file.values, [file]), Given(file.values, [file]), IMAGES, SHAPE)
    places = [line.split(": ")[:2] for line in str(error.value).split("\n")]
    assert places == [[f"{path}:11", "studies.paper"], [f"{path}:9", "conditions.tanh.training_images"]]


def test_the_digits_may_be_too_few_for_a_study_that_nobody_asks_for() -> None:
    def refused(**changes: object) -> dict[str, str]:
        values = {
            "dataset": "digits",
            "batch_size": 10,
            "conditions": {"tanh": CONDITION},
            "studies": {"s": {**study({"training_images": [None, 80, 81]}), **changes}},
        }
        return check(parse_configuration(values), Given(values), IMAGES, SHAPE)

    line = f"configuration: studies.s.sweep.training_images.2: {AT_MOST_80}, got 81; null takes all"
    assert refused() == {"s": line}
    with pytest.raises(InputError, match=r"got 81; null takes all$"):
        refused(default=True)
