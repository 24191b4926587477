from typing import Any

import pytest
import yaml

from bnpipe.grid.config import parse_configuration
from tests.grid.configurations import GOOD, changed, mistakes


def named(name: object) -> dict[str, Any]:
    """Return a good configuration whose condition has another name."""
    return changed("conditions", {name: GOOD["conditions"]["tanh"]})


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        (1, (42,)),
        (3, (42, 43, 44)),
        ([42, 43, 51], (42, 43, 51)),
        ([7, 0, 4_294_967_295], (7, 0, 4_294_967_295)),
    ],
)
def test_seeds_are_a_number_or_a_list(seeds: object, expected: tuple[int, ...]) -> None:
    assert parse_configuration(changed("seeds", seeds)).seeds == expected


@pytest.mark.parametrize(
    ("text", "number"), [("1e-3", 0.001), ("2E+1", 20.0), ("1", 1.0), ("0.5", 0.5), ("1.0e-3", 0.001)]
)
def test_numbers_as_yaml_reads_them(text: str, number: float) -> None:
    value = yaml.safe_load(f"learning_rate: {text}")["learning_rate"]
    configuration = parse_configuration(changed("conditions.tanh.learning_rate", value))
    rate = configuration.conditions["tanh"].learning_rate
    assert type(rate) is float
    assert rate == number


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
        ("conditions.tanh.steps", "2e3", False),  # without quotes YAML reads it as the same text
        ("seeds", "all", False),
    ],
)
def test_leaving_quotes_away_is_advised_if_that_helps(key: str, value: str, helps: bool) -> None:
    (line,) = mistakes(changed(key, value))
    assert line.endswith("; write it without quotes") is helps
