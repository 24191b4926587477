import copy
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml
from bnpipe.grid.config import Condition, Configuration, Normalization, json_schema, parse_configuration

REPOSITORY = Path(__file__).resolve().parents[2]

GOOD: dict[str, Any] = {
    "dataset": "mnist",
    "mirrors": ["https://example.org/mnist"],
    "validation_images": 5000,
    "seeds": 3,
    "arms": ["vanilla", "batchnorm"],
    "conditions": {"tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000}},
    "hidden_sizes": [100, 50],
    "batch_size": 60,
    "evaluation_interval": 60,
    "normalization": {"epsilon": 0.001, "moving_average_weight": 0.01, "moving_variance": "biased"},
    "smallest_effects": {"steps_ratio": 1.5},
    "studies": {
        "rates": {
            "about": "Which?",
            "condition": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 50},
            "sweep": {"learning_rate": [0.1, 1], "hidden_sizes": ["2 x 30", [20, 10]]},
        }
    },
    "chunk_size": 10,
    "device": "cpu",
    "tf32": False,
}
POSITIVE = "permitted is a number greater than 0"
WEIGHT = "permitted is a number greater than 0 and at most 1"
SEEDS = "permitted is how many (1 to 10000, counted from 42) or a list of whole numbers from 0 to 4294967295"
MAPPING = "permitted is a mapping"
LIST = "permitted is a list"
NOT_EMPTY = "permitted is at least one entry"
NO_REPETITION = "permitted is a list in which nothing stands twice"
TEXT = "permitted is text that is not empty"

BAD_VALUES: list[tuple[str, object, str]] = [
    ("dataset", "", TEXT),
    ("dataset", None, TEXT),
    ("dataset", 5, TEXT),
    ("mirrors", "https://example.org", LIST),
    ("mirrors", None, LIST),
    ("mirrors", ["https://a", "https://a"], NO_REPETITION),
    ("mirrors.0", 1, TEXT),
    ("mirrors.0", "", TEXT),
    ("validation_images", 0, "permitted is a whole number from 1 to 10000000"),
    ("seeds", 0, SEEDS),
    ("seeds", -3, SEEDS),
    ("seeds", 10_001, SEEDS),
    ("seeds", True, SEEDS),
    ("seeds", 5.0, SEEDS),
    ("seeds", None, SEEDS),
    ("seeds", [], SEEDS),
    ("seeds", [-1], SEEDS),
    ("seeds", [4_294_967_296], SEEDS),
    ("seeds", [42, 42.5, "x"], SEEDS),
    ("seeds", [42, 43, 42], NO_REPETITION),
    ("arms", [], NOT_EMPTY),
    ("arms", "vanilla", LIST),
    ("arms", ["vanilla", "vanilla"], NO_REPETITION),
    ("arms.1", "instancenorm", "permitted is vanilla, batchnorm, layernorm, groupnorm, rmsnorm, weightnorm"),
    ("runs_per_job", 0, "permitted is a whole number from 1 to 1000000"),
    ("checkpoint_seconds", -1, "permitted is a whole number from 0 to 1000000"),
    ("conditions", {}, NOT_EMPTY),
    ("conditions", None, MAPPING),
    ("conditions", ["tanh"], MAPPING),
    ("conditions.tanh", None, MAPPING),
    ("conditions.tanh", 5, MAPPING),
    ("conditions.tanh.activation", "selu", "permitted is tanh or relu or sigmoid"),
    ("conditions.tanh.activation", "Tanh", "permitted is tanh or relu or sigmoid"),
    ("conditions.tanh.activation", None, "permitted is tanh or relu or sigmoid"),
    ("conditions.tanh.learning_rate", 0, POSITIVE),
    ("conditions.tanh.learning_rate", -0.01, POSITIVE),
    ("conditions.tanh.learning_rate", math.inf, POSITIVE),
    ("conditions.tanh.learning_rate", math.nan, POSITIVE),
    ("conditions.tanh.learning_rate", "0.01", POSITIVE),
    ("conditions.tanh.learning_rate", "1e400", POSITIVE),
    ("conditions.tanh.learning_rate", "fast", POSITIVE),
    ("conditions.tanh.learning_rate", True, POSITIVE),
    ("conditions.tanh.learning_rate", None, POSITIVE),
    ("conditions.tanh.init_std", 0.0, POSITIVE),
    ("conditions.tanh.init_std", [0.1], POSITIVE),
    ("conditions.tanh.steps", 0, "permitted is a whole number from 1 to 100000000"),
    ("conditions.tanh.steps", 2000.0, "permitted is a whole number from 1 to 100000000"),
    ("conditions.tanh.steps", True, "permitted is a whole number from 1 to 100000000"),
    ("conditions.tanh.steps", 10**30, "permitted is a whole number from 1 to 100000000"),
    ("conditions.tanh.momentum", 0.9, "permitted are activation, learning_rate, init_std, steps"),
    ("conditions.tanh.init_std", "glorot", POSITIVE + ", xavier or he"),
    ("conditions.tanh.hidden_sizes", "9 * 100", LIST),
    ("conditions.tanh.position", "between", "permitted is before or after"),
    ("conditions.tanh.precision", "float16", "permitted is float32 or float64"),
    ("conditions.tanh.normalize_logits", "yes", "permitted is true or false"),
    ("smallest_effects.steps_ratio", 1, "permitted is a number greater than 1"),
    ("smallest_effects.final_accuracy", 5, "permitted is a number greater than 0 and less than 1"),
    ("smallest_effects.accuracy", 0.1, "permitted are steps_ratio, final_accuracy"),
    ("studies.rates.about", "", TEXT),
    ("studies.rates.sweep", {}, NOT_EMPTY),
    (
        "studies.rates.sweep",
        {"learning_rate": [0.1, 0]},
        "learning_rate: found 0; permitted is a number greater than 0",
    ),
    ("studies.rates.sweep", {"learnin_rate": [1]}, "learnin_rate: unknown key (found 1); permitted are activation"),
    ("studies.rates.condition.step", 5, "permitted are activation, learning_rate"),
    ("studies.rates.swep", {}, "did you mean sweep?"),
    ("hidden_sizes", [], NOT_EMPTY),
    ("hidden_sizes", 100, LIST),
    ("hidden_sizes.1", 0, "permitted is a whole number from 1 to 100000"),
    ("hidden_sizes.0", 1.5, "permitted is a whole number from 1 to 100000"),
    ("batch_size", 1, "permitted is a whole number from 2 to 1000000"),
    ("batch_size", "60", "permitted is a whole number from 2 to 1000000"),
    ("evaluation_interval", 0, "permitted is a whole number from 1 to 100000000"),
    ("normalization", None, MAPPING),
    ("normalization", [0.001], MAPPING),
    ("normalization.epsilon", 0, POSITIVE),
    ("normalization.moving_average_weight", 0, WEIGHT),
    ("normalization.moving_average_weight", 1.5, WEIGHT),
    ("normalization.moving_variance", "exact", "permitted is biased or unbiased"),
    ("normalization.momentum", 0.99, "permitted are epsilon, moving_average_weight, moving_variance"),
    ("chunk_size", 0, "permitted is a whole number from 1 to 10000"),
    ("device", "gpu", "permitted is cpu or cuda"),
    ("tf32", "yes", "permitted is true or false; write it without quotes"),
    ("tf32", 1, "permitted is true or false"),
    ("epochs", 3, "permitted are dataset, mirrors, validation_images, seeds, arms, conditions, hidden_sizes"),
]


def changed(key: str, value: object) -> dict[str, Any]:
    """Return a good configuration with one value replaced or added; the key is a path with dots."""
    values = copy.deepcopy(GOOD)
    *parents, last = key.split(".")
    section: Any = values
    for name in parents:
        section = section[name]
    section[int(last) if isinstance(section, list) else last] = value
    return values


def named(name: object) -> dict[str, Any]:
    """Return a good configuration whose condition has another name."""
    return changed("conditions", {name: GOOD["conditions"]["tanh"]})


def mistakes(values: Any) -> list[str]:
    """Parse a bad configuration and return the lines of its error."""
    with pytest.raises(InputError) as raised:
        parse_configuration(values, "config.yaml")
    return str(raised.value).split("\n")


def committed() -> Any:
    return yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))


# What is accepted


def test_committed_configuration_is_the_tutorials() -> None:
    configuration = parse_configuration(committed(), "config.yaml")
    assert configuration.conditions == {
        "tanh": Condition(activation="tanh", learning_rate=0.01, init_std=0.1, steps=2000),
        "tanh_bad_init": Condition(activation="tanh", learning_rate=0.01, init_std=1.0, steps=5000),
        "tanh_bad_init_high_lr": Condition(activation="tanh", learning_rate=1.0, init_std=1.0, steps=5000),
        "relu": Condition(activation="relu", learning_rate=0.01, init_std=0.1, steps=2000),
        "relu_bad_init": Condition(activation="relu", learning_rate=0.01, init_std=1.0, steps=5000),
    }
    assert list(configuration.conditions)[2] == "tanh_bad_init_high_lr"  # the order of the file is kept
    read_yaml(REPOSITORY / "config.yaml")


@pytest.mark.parametrize("values", [{"conditions": GOOD["conditions"]}, committed()], ids=["defaults", "config.yaml"])
def test_defaults_are_the_tutorials(values: dict[str, Any]) -> None:
    configuration = parse_configuration(values, "config.yaml")
    assert configuration.model_dump(exclude={"conditions", "studies", "paper"}) == {
        "dataset": "mnist",
        "mirrors": (),
        "validation_images": 5000,
        "seeds": (42, 43, 44, 45, 46, 47, 48, 49, 50, 51),
        "arms": ("vanilla", "batchnorm"),
        "hidden_sizes": (100, 100, 100, 100, 100, 100, 100, 100, 100),
        "batch_size": 60,
        "evaluation_interval": 60,
        "normalization": {"epsilon": 0.001, "moving_average_weight": 0.01, "moving_variance": "biased", "groups": 5},
        "diagnostics": True,
        "smallest_effects": {
            "steps_ratio": 1.2,
            "final_accuracy": 0.05,
            "learning_rate_decades": 0.5,
            "accuracy_spread": 0.05,
            "generalization_gap": 0.05,
            "volatility_ratio": 1.2,
            "gradient_growth_ratio": 1.1,
            "orthogonality": 0.05,
            "covariate_shift_ratio": 1.2,
            "inference_accuracy": 0.01,
        },
        "chunk_size": 10,
        "runs_per_job": None,
        "checkpoint_seconds": 60,
        "device": "cpu",
        "tf32": False,
    }


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
    assert parse_configuration(changed("seeds", seeds), "config.yaml").seeds == expected


@pytest.mark.parametrize(
    ("text", "number"), [("1e-3", 0.001), ("2E+1", 20.0), ("1", 1.0), ("0.5", 0.5), ("1.0e-3", 0.001)]
)
def test_numbers_as_yaml_reads_them(text: str, number: float) -> None:
    value = yaml.safe_load(f"learning_rate: {text}")["learning_rate"]
    configuration = parse_configuration(changed("conditions.tanh.learning_rate", value), "config.yaml")
    rate = configuration.conditions["tanh"].learning_rate
    assert type(rate) is float
    assert rate == number


def test_layers_are_a_list_or_a_number_of_equal_ones() -> None:
    for text in ("3 x 20", "3x20"):
        assert parse_configuration(changed("hidden_sizes", text), "config.yaml").hidden_sizes == (20, 20, 20)


def test_a_study_is_all_combinations_of_its_values() -> None:
    study = parse_configuration(GOOD, "config.yaml").studies["rates"]
    assert [(condition.learning_rate, condition.hidden_sizes) for condition in study.cells] == [
        (0.1, (30, 30)),
        (0.1, (20, 10)),
        (1, (30, 30)),
        (1, (20, 10)),
    ]
    assert {(condition.learning_rate, condition.init_std) for condition in study.cells} == {(0.1, 0.1), (1, 0.1)}


def test_moving_average_weight_of_one_is_permitted() -> None:
    configuration = parse_configuration(changed("normalization.moving_average_weight", 1), "config.yaml")
    assert configuration.normalization.moving_average_weight == 1.0


@pytest.mark.parametrize("name", ["a", "Tanh_2-b", "x" * 64])
def test_condition_names(name: str) -> None:
    assert list(parse_configuration(named(name), "config.yaml").conditions) == [name]


def test_configuration_is_frozen() -> None:
    configuration = parse_configuration(GOOD, "config.yaml")
    with pytest.raises(ValidationError):
        configuration.batch_size = 30  # type: ignore[misc]
    with pytest.raises(ValidationError):
        configuration.normalization.epsilon = 1.0  # type: ignore[misc]
    with pytest.raises(ValidationError):
        configuration.conditions["tanh"].steps = 1  # type: ignore[misc]
    assert configuration == parse_configuration(GOOD, "config.yaml")


def test_sections_can_be_made_from_python() -> None:
    condition = Condition(activation="relu", learning_rate=1, init_std=0.1, steps=5)
    configuration = Configuration(conditions={"own": condition})
    assert configuration.normalization == Normalization(epsilon=0.001)


# What is refused


@pytest.mark.parametrize(("key", "value", "permitted"), BAD_VALUES, ids=lambda part: str(part)[:40])
def test_bad_value_gives_one_line_that_names_key_value_and_what_is_permitted(
    key: str, value: object, permitted: str
) -> None:
    lines = mistakes(changed(key, value))
    assert len(lines) == 1
    assert lines[0].startswith(f"config.yaml: {key}: ")
    assert f"found {value!r}" in lines[0]
    assert permitted in lines[0]
    assert not re.search(r"Traceback|Error|pydantic|validator|input_value|File \"", lines[0])


@pytest.mark.parametrize("name", ["", "1st", "a/b", "..", "two words", "é", "x" * 65, "tanh\n", 1, True])
def test_bad_condition_name_gives_one_line(name: object) -> None:
    lines = mistakes(named(name))
    assert len(lines) == 1
    assert lines[0].startswith("config.yaml: conditions")
    assert f"found {name!r}; permitted is a name of letters, digits, '_' and '-'" in lines[0]


def test_condition_names_that_differ_in_case_only() -> None:
    condition = GOOD["conditions"]["tanh"]
    (line,) = mistakes(changed("conditions", {"tanh": condition, "Tanh": condition}))
    assert line.startswith("config.yaml: conditions: found {'tanh': {")
    assert "permitted are names that differ in more than upper and lower case" in line


@pytest.mark.parametrize("key", ["conditions", "conditions.tanh.steps", "conditions.tanh.activation"])
def test_missing_key(key: str) -> None:
    values = copy.deepcopy(GOOD)
    *parents, last = key.split(".")
    section = values["conditions"]["tanh"] if parents else values
    del section[last]
    (line,) = mistakes(values)
    assert line.startswith(f"config.yaml: {key}: missing; add it (")


@pytest.mark.parametrize(
    ("key", "guess"),
    [
        ("seed", "seeds"),
        ("data_set", "dataset"),
        ("batchsize", "batch_size"),
        ("conditions.tanh.learnin_rate", "learning_rate"),
        ("conditions.tanh.Steps", "steps"),
        ("normalization.moving_average_wieght", "moving_average_weight"),
    ],
)
def test_typo_suggests_the_right_key(key: str, guess: str) -> None:
    (line,) = mistakes(changed(key, 1))
    assert line.startswith(f"config.yaml: {key}: unknown key (found 1); permitted are ")
    assert line.endswith(f"; did you mean {guess}?")


def test_unknown_key_that_resembles_none() -> None:
    (line,) = mistakes(changed("zzz", 1))
    assert line.endswith("; delete it")


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
def test_leaving_quotes_away_is_advised_where_that_helps(key: str, value: str, helps: bool) -> None:
    (line,) = mistakes(changed(key, value))
    assert line.endswith("; write it without quotes") is helps


def test_every_mistake_has_its_line() -> None:
    values = changed("batch_size", 0)
    values["seeds"] = "many"
    values["sedes"] = 1
    values["conditions"]["tanh"]["steps"] = -5
    values["conditions"]["relu"] = {"activation": "relu", "learning_rate": 0.1, "init_std": 0.1}
    lines = mistakes(values)
    keys = sorted(line.split(": ")[1] for line in lines)
    assert keys == ["batch_size", "conditions.relu.steps", "conditions.tanh.steps", "sedes", "seeds"]
    assert all(line.startswith("config.yaml: ") for line in lines)


@pytest.mark.parametrize("values", [[], None, ["dataset"], "mnist"], ids=repr)
def test_configuration_that_is_no_mapping(values: object) -> None:
    (line,) = mistakes(values)
    assert f"found {values!r}; permitted is a mapping" in line
    assert ": :" not in line  # no empty key


def test_empty_mapping_lacks_conditions() -> None:
    (line,) = mistakes({})
    assert line.startswith("config.yaml: conditions: missing; ")


@pytest.mark.parametrize("key", [1, True, "two\nlines"], ids=repr)
def test_strange_key_gives_one_line(key: object) -> None:
    (line,) = mistakes({**GOOD, key: 2})
    assert line.startswith("config.yaml: ")
    assert "permitted are dataset, mirrors" in line


def test_long_value_is_cut() -> None:
    (line,) = mistakes(changed("dataset", ["x" * 500]))
    assert "found ['xxx" in line
    assert len(line) < 200


def test_an_alias_within_itself_is_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: &a\n  b: *a\n", encoding="utf-8")
    with pytest.raises(InputError, match="a: unknown key"):
        parse_configuration({**GOOD, **read_yaml(path)}, "config.yaml")


def test_a_list_whose_only_entry_is_wrong_gives_one_line() -> None:
    (line,) = mistakes({**GOOD, "arms": ["vanila"]})
    permitted = "vanilla, batchnorm, layernorm, groupnorm, rmsnorm, weightnorm"
    assert line == f"config.yaml: arms.0: found 'vanila'; permitted is {permitted}"


# The schema for editors


def test_committed_schema_is_up_to_date() -> None:
    assert (REPOSITORY / "docs" / "config.schema.json").read_text(encoding="utf-8") == json_schema()


@pytest.fixture(scope="module")
def schema() -> Any:
    """Return a validator for the schema, which is itself checked."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator
    validator.check_schema(json.loads(json_schema()))
    return validator(json.loads(json_schema()))


@pytest.mark.parametrize("values", [committed(), GOOD, changed("seeds", [42, 51])], ids=["config.yaml", "good", "list"])
def test_schema_accepts(schema: Any, values: dict[str, Any]) -> None:
    assert schema.is_valid(values)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sedes", 1),
        ("seeds", 0),
        ("seeds", [1, 1]),
        ("seeds", "5"),
        ("arms", []),
        ("arms.0", "instancenorm"),
        ("batch_size", 1),
        ("hidden_sizes", 100),
        ("conditions", {}),
        ("conditions.tanh.steps", 0),
        ("conditions.tanh.activation", "selu"),
        ("conditions.tanh.learning_rate", 0),
        ("conditions.tanh.learnin_rate", 0.1),
        ("conditions.two words", GOOD["conditions"]["tanh"]),
        ("normalization.momentum", 0.9),
        ("normalization.moving_average_weight", 1.5),
    ],
)
def test_schema_refuses(schema: Any, key: str, value: object) -> None:
    assert not schema.is_valid(changed(key, value))
