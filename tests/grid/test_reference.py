"""The reference of the configuration says about every key what the types say."""

from pathlib import Path

import pytest

from bnpipe.grid.config import Configuration
from bnpipe.grid.reference import expected, reference

REPOSITORY = Path(__file__).resolve().parents[2]


def test_committed_reference_is_up_to_date() -> None:
    assert (REPOSITORY / "docs/configuration.md").read_text(encoding="utf-8") == reference()


def test_every_key_of_every_section_has_a_row() -> None:
    schema = Configuration.model_json_schema()
    keys = [key for section in (schema, *schema["$defs"].values()) for key in section["properties"]]
    rows = [line.split("`")[1] for line in reference().splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(keys)


@pytest.mark.parametrize(
    "row",
    [
        "| `batch_size` | a whole number from 2 to 1,000,000 | `60` | images | Images in a mini-batch. |",
        "| `activation` | `tanh`, `relu`, `sigmoid`; or text such as `mypackage.parts:Name` | none (required) |  |"
        " Nonlinearity of the hidden layers; the output layer is linear. |",
    ],
)
def test_a_row_gives_what_is_expected_the_default_the_unit_and_the_meaning(row: str) -> None:
    assert row in reference().splitlines()


def test_bounds_are_in_words() -> None:
    number = {"type": "number", "exclusiveMinimum": 0}
    assert expected(number) == "a number greater than 0"
    assert expected({**number, "maximum": 1}) == "a number greater than 0 and at most 1"
    assert expected({**number, "exclusiveMaximum": 1}) == "a number greater than 0 and less than 1"
    assert expected({"type": "number", "minimum": 0}) == "a number of at least 0"
    assert expected({"type": "number", "minimum": 0, "exclusiveMaximum": 1}) == "a number of at least 0 and less than 1"
    assert expected({"anyOf": [number, {"type": "null"}]}) == "a number greater than 0; or `null`"


def test_a_schema_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        expected({"const": 1})
