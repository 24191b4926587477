from collections.abc import Callable
from typing import Any

import pytest
import yaml

from bnpipe.core.yaml_files import parse_yaml
from bnpipe.grid.config import parse_configuration
from tests.grid.configurations import GOOD, changed, mistakes

SHARES = [
    "final_accuracy",
    "saturated_units",
    "batch_statistics",
    "accuracy_spread",
    "generalization_gap",
    "orthogonality",
    "recovered_gain",
]


def read(text: str) -> Any:
    """Return a value as a file holds it."""
    return parse_yaml(text, "text")[0]


def named(name: object) -> dict[str, Any]:
    """Return a good configuration whose condition has another name."""
    return changed("conditions", {name: GOOD["conditions"]["tanh"]})


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        (1, (42, 2000)),
        (3, (42, 2000, 2001, 2002)),
        ([42, 43, 51], (42, 43, 51)),
        ([7, 0, 4_294_967_295], (7, 0, 4_294_967_295)),
    ],
)
def test_seeds_are_a_number_or_a_list(seeds: object, expected: tuple[int, ...]) -> None:
    assert parse_configuration(changed("seeds", seeds)).seeds == expected


NUMBERS = [
    ("1e-3", 0.001),
    ("2E+1", 20.0),
    ("1", 1.0),
    ("0.5", 0.5),
    ("1.0e-3", 0.001),
    ("1.5e3", 1500.0),
    ("5e-2", 0.05),
    ("+1e3", 1000.0),
    (".5", 0.5),
    ("1_000", 1000.0),
]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("momentum", 1, "a number of at least 0 and less than 1"),
        ("beta1", -0.1, "a number of at least 0 and less than 1"),
        ("beta2", "much", "a number of at least 0 and less than 1"),
        ("adam_epsilon", 0, "a number greater than 0"),
        ("weight_decay", -1e-3, "a number of at least 0"),
        ("weight_decay", float("inf"), "a number of at least 0"),
        ("optimizer", "rmsprop", "sgd, momentum, adam or a part of your own, module:name"),
    ],
)
def test_what_an_optimizer_is_told_is_within_its_bounds(key: str, value: object, expected: str) -> None:
    (line,) = mistakes(changed(f"conditions.tanh.{key}", value))
    assert line == f"configuration: conditions.tanh.{key}: expected {expected}, got {value!r}"


@pytest.mark.parametrize(("text", "number"), NUMBERS)
@pytest.mark.parametrize("read", [read, yaml.safe_load], ids=["as written", "by YAML 1.1, in a module"])
def test_numbers_in_all_notations(read: Callable[[str], Any], text: str, number: float) -> None:
    configuration = parse_configuration(changed("conditions.tanh.learning_rate", read(text)))
    rate = configuration.conditions["tanh"].learning_rate
    assert type(rate) is float
    assert rate == number


@pytest.mark.parametrize("key", SHARES)
def test_shares_have_the_notations_of_other_numbers(key: str) -> None:
    effects = parse_configuration(changed(f"smallest_effects.{key}", read("5e-2"))).smallest_effects
    assert getattr(effects, key) == 0.05


@pytest.mark.parametrize(
    "value", [read("2e3"), read("2_000"), read("2000.0"), read("+2.0e3"), read("2000."), 2000, 2000.0, "2e3"], ids=repr
)
def test_a_whole_number_has_any_notation(value: object) -> None:
    steps = parse_configuration(changed("conditions.tanh.steps", value)).conditions["tanh"].steps
    assert (type(steps), steps) == (int, 2000)


@pytest.mark.parametrize("value", [read("2e1"), 20.0, [read("4.2e1"), *range(2000, 2020)]], ids=repr)
def test_seeds_have_any_notation(value: object) -> None:
    assert parse_configuration(changed("seeds", value)).seeds == (42, *range(2000, 2020))


@pytest.mark.parametrize(
    ("key", "text", "complaint"),
    [
        ("conditions.tanh.steps", "061", "got 061; YAML 1.1 reads it as 49: write it in decimal, without a leading"),
        ("conditions.tanh.steps", "1:30", "got 1:30; YAML 1.1 reads it as 90: write"),
        ("conditions.tanh.steps", "0x10", "got 0x10; YAML 1.1 reads it as 16: write"),
        ("conditions.tanh.steps", "0o17", "got 0o17"),
        ("conditions.tanh.steps", "2.5e0", "got 2.5e0"),
        ("conditions.tanh.steps", "1e400", "got 1e400"),
        ("conditions.tanh.steps", "yes", "got yes"),
        ("conditions.tanh.learning_rate", ".inf", "got .inf"),
        ("conditions.tanh.learning_rate", ".nan", "got .nan"),
        ("conditions.tanh.learning_rate", "01.5", "got 01.5; YAML 1.1 reads it as 1.5: write"),
        ("conditions.tanh.init_std", "010", "got 010; YAML 1.1 reads it as 8: write"),
        ("hidden_sizes.0", "0100", "got 0100; YAML 1.1 reads it as 64: write"),
        ("seeds", "042", "got 042; YAML 1.1 reads it as 34: write"),
        (
            "conditions.tanh.activation",
            "off",
            "expected tanh, relu, sigmoid or a part of your own, module:name, got off",
        ),
        ("diagnostics", "2", "expected true or false, got 2"),
        ("diagnostics", "1", "expected true or false, got 1"),
    ],
)
def test_what_yaml_would_misread_is_refused(key: str, text: str, complaint: str) -> None:
    (line,) = mistakes(changed(key, read(text)))
    assert line.startswith(f"configuration: {key}: expected ")
    assert complaint in line


@pytest.mark.parametrize(
    ("word", "value"), [("yes", True), ("On", True), ("true", True), ("no", False), ("OFF", False)]
)
def test_switches_have_the_words_of_yaml(word: str, value: bool) -> None:
    assert parse_configuration(changed("diagnostics", read(word))).diagnostics is value
    study = changed("studies.rates.sweep", {"normalize_logits": [read(word), not value]})
    sweep = parse_configuration(study).studies["rates"].sweep
    assert sweep == {"normalize_logits": (value, not value)}  # plain values, as pages show them


@pytest.mark.parametrize("text", ["2024", "061", "1e3", "1_000", "2024-01-01", "yes", "1:30"])
def test_text_is_what_was_written(text: str) -> None:
    configuration = parse_configuration({**GOOD, "dataset": read(text), "mirrors": [read(text)]})
    assert (type(configuration.dataset), configuration.dataset) == (str, text)
    assert configuration.mirrors == (text,)


def test_a_number_that_another_workflow_hands_over_may_be_a_name() -> None:
    assert parse_configuration(changed("dataset", 2024)).dataset == "2024"


@pytest.mark.parametrize("name", ["on", "yes", "null_", "e3"])
def test_words_of_yaml_may_be_names(name: str) -> None:
    assert list(parse_configuration(named(parse_yaml(f"{name}: 1", "text")[0].popitem()[0])).conditions) == [name]


def test_layers_are_a_list_or_a_number_of_equal_ones() -> None:
    for text in ("3 x 20", "3x20"):
        assert parse_configuration(changed("hidden_sizes", text)).hidden_sizes == (20, 20, 20)


def test_moving_average_weight_may_be_one() -> None:
    configuration = parse_configuration(changed("normalization.moving_average_weight", 1))
    assert configuration.normalization.moving_average_weight == 1.0


@pytest.mark.parametrize("name", ["a", "Tanh_2-b", "x" * 64])
def test_condition_names(name: str) -> None:
    assert list(parse_configuration(named(name)).conditions) == [name]


@pytest.mark.parametrize("name", ["", "1st", "a/b", "..", "two words", "é", "x" * 65, "tanh\n", 1, True])
def test_bad_condition_name_gives_one_line(name: object) -> None:
    lines = mistakes(named(name))
    assert len(lines) == 1
    assert lines[0].startswith("configuration: conditions")
    assert "expected a name of letters, digits, '_' and '-'" in lines[0]
    assert f", got {name!r}" in lines[0]


@pytest.mark.parametrize(
    ("key", "value", "helps"),
    [
        ("conditions.tanh.learning_rate", "0.01", True),
        ("conditions.tanh.steps", "2000", True),
        ("hidden_sizes.0", "100", True),
        ("seeds", "5", True),
        ("conditions.tanh.learning_rate", "fast", False),
        ("conditions.tanh.learning_rate", "-1", False),
        ("diagnostics", "yes", True),
        ("conditions.tanh.steps", "061", False),
        ("seeds", "all", False),
    ],
)
def test_leaving_quotes_away_is_advised_if_that_helps(key: str, value: str, helps: bool) -> None:
    (line,) = mistakes(changed(key, value))
    assert line.endswith("; write it without quotes") is helps
