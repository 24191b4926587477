"""Every mistake in the configuration is one line: where it is, the key, what is expected, what is there."""

import copy
import math
import re
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import YamlFile, read_yaml_file
from bnpipe.grid.config import parse_configuration
from tests.grid.configurations import GOOD, changed, mistakes

POSITIVE = "expected a number greater than 0"
WEIGHT = "expected a number greater than 0 and at most 1"
SEED_LIST = "a list of whole numbers from 0 to 4294967295"
SEEDS = f"expected the number of fresh seeds (1 to 10000, counted from 2000) or {SEED_LIST}"
FIVE_RATES = "expected at least 5 entries"
MAPPING = "expected a mapping"
LIST = "expected a list"
NOT_EMPTY = "expected at least one entry"
NO_DUPLICATES = "expected a list without duplicates"
TEXT = "expected text that is not empty"
ARMS = (
    "vanilla, batchnorm, layernorm, groupnorm, rmsnorm, weightnorm, firstbatch, noisybatchnorm, batchrenorm, "
    "ghostbatchnorm or a part of your own, module:name"
)
ACTIVATIONS = "tanh, relu, sigmoid or a part of your own, module:name"

BAD_VALUES: list[tuple[str, object, str]] = [
    ("dataset", "", TEXT),
    ("dataset", None, TEXT),
    ("dataset", True, TEXT),
    ("dataset", 2.5, TEXT),
    ("mirrors", "https://example.org", LIST),
    ("mirrors", None, LIST),
    ("mirrors", ["https://a", "https://a"], NO_DUPLICATES),
    ("mirrors.0", False, TEXT),
    ("mirrors.0", "", TEXT),
    ("validation_images", 0, "expected a whole number from 1 to 10000000"),
    ("seeds", 0, SEEDS),
    ("seeds", -3, SEEDS),
    ("seeds", 10_001, SEEDS),
    ("seeds", True, SEEDS),
    ("seeds", 5.5, SEEDS),
    ("seeds", None, SEEDS),
    ("seeds", [], SEEDS),
    ("seeds", [-1], SEEDS),
    ("seeds", [4_294_967_296], SEEDS),
    ("seeds", [42, 42.5, "x"], SEEDS),
    ("seeds", [42, 43, 42], NO_DUPLICATES),
    ("arms", [], NOT_EMPTY),
    ("arms", "vanilla", LIST),
    ("arms", ["vanilla", "vanilla"], NO_DUPLICATES),
    ("arms.1", "instancenorm", f"expected {ARMS}"),
    ("arms.1", "norms:", f"expected {ARMS}"),
    ("arms.1", "norms:a-b", f"expected {ARMS}"),
    ("arms.1", "norms:BatchNorm", "expected another name than batchnorm, which is built in, got 'norms:BatchNorm'"),
    ("arms", ["a:Norm", "b:norm"], "expected parts whose names differ in more than upper and lower case"),
    ("runs_per_job", 0, "expected a whole number from 1 to 1000000"),
    ("checkpoint_seconds", -1, "expected a whole number from 0 to 1000000"),
    ("conditions", {}, NOT_EMPTY),
    ("conditions", None, MAPPING),
    ("conditions", ["tanh"], MAPPING),
    ("conditions.tanh", None, MAPPING),
    ("conditions.tanh", 5, MAPPING),
    ("conditions.tanh.activation", "selu", f"expected {ACTIVATIONS}"),
    ("conditions.tanh.activation", "Tanh", f"expected {ACTIVATIONS}"),
    ("conditions.tanh.activation", None, f"expected {ACTIVATIONS}"),
    ("conditions.tanh.activation", "parts.swish", f"expected {ACTIVATIONS}"),
    ("conditions.tanh.activation", "a part:swish", f"expected {ACTIVATIONS}"),
    ("conditions.tanh.activation", "parts:relu", "another name than relu, which is built in, got 'parts:relu'; rename"),
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
    ("conditions.tanh.steps", 0, "expected a whole number from 1 to 100000000"),
    ("conditions.tanh.steps", 2000.5, "expected a whole number from 1 to 100000000"),
    ("conditions.tanh.steps", True, "expected a whole number from 1 to 100000000"),
    ("conditions.tanh.steps", 10**30, "expected a whole number from 1 to 100000000"),
    ("conditions.tanh.dampening", 0.9, "expected one of activation, learning_rate, init_std, steps"),
    ("conditions.tanh.init_std", "glorot", POSITIVE + ", xavier or he"),
    ("conditions.tanh.hidden_sizes", "9 * 100", LIST),
    ("conditions.tanh.position", "between", "expected before or after"),
    ("conditions.tanh.precision", "float16", "expected float32 or float64"),
    ("conditions.tanh.normalize_logits", "yes", "expected true or false"),
    ("smallest_effects.steps_ratio", 1, "expected a number greater than 1"),
    ("smallest_effects.final_accuracy", 5, "expected a number greater than 0 and less than 1"),
    ("smallest_effects.accuracy", 0.1, "expected one of steps_ratio, final_accuracy"),
    ("studies.rates.about", "", TEXT),
    ("studies.rates.sweep", {}, NOT_EMPTY),
    ("studies.rates.sweep.learning_rate", [], NOT_EMPTY),
    ("studies.rates.arms", ["vanilla", "vanilla"], NO_DUPLICATES),
    ("studies.rates.condition.step", 5, "expected one of activation, learning_rate"),
    ("studies.rates.swep", {}, "did you mean sweep?"),
    ("best_rate.steps", 0, "expected a whole number from 1 to 100000000"),
    ("best_rate.tunning", {}, "did you mean tuning?"),
    ("best_rate.tuning.learning_rates", [0.1, 1, 10, 100], FIVE_RATES),
    ("best_rate.tuning.learning_rates", [0.01, 0.1, 1, 10, 10], NO_DUPLICATES),
    ("best_rate.tuning.learning_rates.0", -1, POSITIVE),
    ("best_rate.tuning.seeds", 5, f"expected {SEED_LIST}"),
    ("best_rate.tuning.seeds", [], f"expected {SEED_LIST}"),
    ("best_rate.tuning.seeds", [500, 500], NO_DUPLICATES),
    ("hidden_sizes", [], NOT_EMPTY),
    ("hidden_sizes", 100, LIST),
    ("hidden_sizes.1", 0, "expected a whole number from 1 to 100000"),
    ("hidden_sizes.0", 1.5, "expected a whole number from 1 to 100000"),
    ("batch_size", 1, "expected a whole number from 2 to 1000000"),
    ("batch_size", "60", "expected a whole number from 2 to 1000000"),
    ("evaluation_interval", 0, "expected a whole number from 1 to 100000000"),
    ("normalization", None, MAPPING),
    ("normalization", [0.001], MAPPING),
    ("normalization.epsilon", 0, POSITIVE),
    ("normalization.moving_average_weight", 0, WEIGHT),
    ("normalization.moving_average_weight", 1.5, WEIGHT),
    ("normalization.moving_variance", "exact", "expected biased or unbiased"),
    ("normalization.momentum", 0.99, "expected one of epsilon, moving_average_weight, moving_variance"),
    ("chunk_size", 0, "expected a whole number from 1 to 10000"),
    ("device", "gpu", "expected cpu or cuda"),
    ("tf32", "yes", "expected true or false, got 'yes'; write it without quotes"),
    ("tf32", 1, "expected true or false"),
    ("epochs", 3, "expected one of dataset, mirrors, validation_images, seeds, arms, conditions, hidden_sizes"),
]


@pytest.mark.parametrize(("key", "value", "expected"), BAD_VALUES, ids=lambda part: str(part)[:40])
def test_bad_value_gives_one_line_that_names_key_value_and_what_is_expected(
    key: str, value: object, expected: str
) -> None:
    lines = mistakes(changed(key, value))
    assert len(lines) == 1
    assert lines[0].startswith(f"configuration: {key}: ")
    assert f"got {value!r}" in lines[0]
    assert expected in lines[0]
    assert not re.search(r"Traceback|Error|pydantic|validator|input_value|File \"", lines[0])


def test_condition_names_that_differ_in_case_only() -> None:
    condition = GOOD["conditions"]["tanh"]
    (line,) = mistakes(changed("conditions", {"tanh": condition, "Tanh": condition}))
    assert line.startswith("configuration: conditions: expected names that differ in more than upper and lower case")
    assert ", got {'tanh': {" in line


@pytest.mark.parametrize("key", ["conditions", "conditions.tanh.steps", "conditions.tanh.activation"])
def test_missing_key(key: str) -> None:
    values = copy.deepcopy(GOOD)
    *parents, last = key.split(".")
    section = values["conditions"]["tanh"] if parents else values
    del section[last]
    (line,) = mistakes(values)
    assert line.startswith(f"configuration: {key}: missing; add it (")


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
    assert line.startswith(f"configuration: {key}: unknown key (got 1); expected one of ")
    assert line.endswith(f"; did you mean {guess}?")


def test_unknown_key_that_resembles_none() -> None:
    (line,) = mistakes(changed("zzz", 1))
    assert line.endswith("; delete it")


def test_every_mistake_has_its_line() -> None:
    values = changed("batch_size", 0)
    values["seeds"] = "many"
    values["sedes"] = 1
    values["conditions"]["tanh"]["steps"] = -5
    values["conditions"]["relu"] = {"activation": "relu", "learning_rate": 0.1, "init_std": 0.1}
    lines = mistakes(values)
    keys = sorted(line.split(": ")[1] for line in lines)
    assert keys == ["batch_size", "conditions.relu.steps", "conditions.tanh.steps", "sedes", "seeds"]
    assert all(line.startswith("configuration: ") for line in lines)


@pytest.mark.parametrize("values", [[], None, ["dataset"], "mnist"], ids=repr)
def test_configuration_that_is_no_mapping(values: object) -> None:
    (line,) = mistakes(values)
    assert line.startswith("configuration: expected a mapping ")
    assert line.endswith(f", got {values!r}")


def test_empty_mapping_lacks_conditions() -> None:
    (line,) = mistakes({})
    assert line.startswith("configuration: conditions: missing; ")


@pytest.mark.parametrize("key", [1, True, "two\nlines"], ids=repr)
def test_strange_key_gives_one_line(key: object) -> None:
    (line,) = mistakes({**GOOD, key: 2})
    assert line.startswith("configuration: ")
    assert re.search("expected one of (the keys )?dataset, mirrors", line)


def test_long_value_is_cut() -> None:
    (line,) = mistakes(changed("dataset", ["x" * 500]))
    assert "got ['xxx" in line
    assert len(line) < 200


def test_a_list_whose_only_entry_is_wrong_gives_one_line() -> None:
    (line,) = mistakes({**GOOD, "arms": ["vanila"]})
    assert line == f"configuration: arms.0: expected {ARMS}, got 'vanila'"


@pytest.mark.parametrize(
    ("sweep", "complaint"),
    [
        ({"learning_rate": [0.1, 0]}, "learning_rate: expected a number greater than 0, got 0"),
        ({"learnin_rate": [1]}, "learnin_rate: unknown key (got 1); expected one of activation, learning_rate, "),
    ],
)
def test_a_swept_value_is_refused_as_the_conditions_own(sweep: dict[str, list[float]], complaint: str) -> None:
    (line,) = mistakes(changed("studies.rates.sweep", sweep))
    assert line.startswith(f"configuration: studies.rates.sweep: {complaint}")


# Where it is

WRITTEN = """\
batch_size: 60
seeds: 0
conditions:
  tanh:
    activation: tanh
    learning_rate: .nan
    init_std: 0.1
    hidden_sizes: [100,
                   0]
arms: [vanilla]
"""
PLACES = {
    ":2: seeds: expected the number of fresh seeds ",
    ":6: conditions.tanh.learning_rate: expected a number greater than 0, got .nan",
    ":9: conditions.tanh.hidden_sizes.1: expected a whole number from 1 to 100000, got 0",
    ":4: conditions.tanh.steps: missing; ",
}


def write(path: Path, text: str) -> YamlFile:
    path.write_text(text, encoding="utf-8")
    return read_yaml_file(path)


def places(lines: list[str]) -> list[str]:
    """Return where mistakes are: what each line begins with."""
    return [line.split(": ")[0] for line in lines]


def test_a_mistake_of_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path / "config.yaml", WRITTEN)
    lines = mistakes(file.values, [file])
    assert len(lines) == len(PLACES)
    for place in PLACES:
        assert [line for line in lines if line.startswith(f"{file.path}{place}")], place


def test_a_mistake_of_the_command_line_has_no_file(tmp_path: Path) -> None:
    file = write(tmp_path / "config.yaml", WRITTEN)
    assert places(mistakes({**GOOD, "seeds": -1}, [file])) == ["configuration"]
    assert places(mistakes({**GOOD, "batch_size": 60.5}, [file])) == ["configuration"]  # not the file's 60
    assert places(mistakes({**GOOD, "sedes": 5}, [file])) == ["configuration"]
    assert places(mistakes({**GOOD, "arms": ["vanila"]}, [file])) == ["configuration"]
    assert places(mistakes({**GOOD, "seeds": 0}, [file])) == [f"{file.path}:2"]  # the same mistake


def test_the_last_file_that_holds_a_mistake_is_named(tmp_path: Path) -> None:
    first, last = write(tmp_path / "config.yaml", WRITTEN), write(tmp_path / "mine.yaml", "\nseeds: 0\nchunk_size: 0\n")
    lines = mistakes({**GOOD, **last.values}, [first, last])
    assert places(lines) == [f"{last.path}:2", f"{last.path}:3"]
    lines = mistakes({**GOOD, "seeds": 0}, [first, write(tmp_path / "mine.yaml", "seeds: 3\n")])
    assert places(lines) == [f"{first.path}:2"]


def test_a_mistake_of_the_whole_file_has_the_file_but_no_line(tmp_path: Path) -> None:
    for text in ("- a list\n", "seeds: 3\n", ""):
        file = write(tmp_path / "config.yaml", text)
        assert places(mistakes(file.values, [file])) == [f"{file.path}"]


def test_a_mistake_in_an_alias_or_in_a_key_has_a_line_too(tmp_path: Path) -> None:
    condition = "{activation: tanh, learning_rate: 0, init_std: 0.1, steps: 5}"
    file = write(tmp_path / "config.yaml", f"conditions:\n  one: &one\n    {condition}\n  two: *one\n")
    assert places(mistakes(file.values, [file])) == [f"{file.path}:3"] * 2
    file = write(tmp_path / "config.yaml", f"conditions:\n  1st: {condition.replace('0,', '1,')}\n")
    assert places(mistakes(file.values, [file])) == [f"{file.path}:2"]


@pytest.mark.parametrize(
    "values",
    [
        {"mirrors": "https://ada:sec'ret@example.org/get?token=secret"},
        {"mirrors": ["https://ada:secret@example.org", "https://ada:secret@example.org"]},
        {"mirrors": [["https://ada:secret@example.org"]]},
        {"mirror": "https://ada:secret@example.org"},
        "https://ada:secret@example.org",
    ],
    ids=["no list", "twice", "list in a list", "unknown key", "no mapping"],
)
def test_secrets_of_a_url_are_not_shown(values: object) -> None:
    with pytest.raises(InputError) as raised:
        parse_configuration(values)
    assert "https://***@example.org" in str(raised.value)
    assert "sec" not in str(raised.value).replace("seconds", "")
