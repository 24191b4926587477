"""Files and values from the command line, merged as Snakemake merges them."""

from pathlib import Path
from typing import Any

import pytest
from snakemake.cli import parse_config
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import plain
from bnpipe.grid.given import Given, read_given


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("seeds: 3\npaper: null\nconditions:\n  tanh: {steps: 5, batch_size: 60}\n")
    Path("more.yaml").write_text("chunk_size: 2\nconditions:\n  tanh: {steps: 7}\n  relu: {steps: 9}\n")
    return tmp_path


def values_of(*entries: str) -> Any:
    return plain(read_given(entries=entries).values)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("key=false", False),
        ("key=False", False),  # as Snakemake writes the values of a profile
        ("key=[1,2,3]", [1, 2, 3]),
        ("key=null", None),
        ("key=None", None),
        ("key=", None),
        ("key=1e-3", 0.001),
        ("key=061", "061"),
        ("key=2024-01-01", "2024-01-01"),
        ("key='5'", "5"),
        ('key=["http://example.org/?a=b", "it\'s"]', ["http://example.org/?a=b", "it's"]),
        ("key={'a': None, 'b': [True, 2.5], 'c': 'text'}", {"a": None, "b": [True, 2.5], "c": "text"}),
        ("key=9 x 100", "9 x 100"),
    ],
)
def test_values_from_the_command_line_are_yaml(entry: str, value: object) -> None:
    assert values_of(entry)["key"] == value


def test_what_is_given_is_merged_as_snakemake_merges_it() -> None:
    entries = ["conditions={tanh: {batch_size: 30}, new: {steps: 1}}", "paper={seeds: 1}", "seeds=[8]", "seeds=[9]"]
    merged: dict[str, Any] = {}
    for part in (load_configfile("config.yaml"), load_configfile("more.yaml"), parse_config(entries)):
        update_config(merged, part)
    merged["conditions"]["tanh"]["batch_size"] = 30  # Snakemake leaves this text
    merged["conditions"]["new"]["steps"], merged["paper"]["seeds"], merged["seeds"] = 1, 1, [9]
    assert plain(read_given([Path("more.yaml")], entries).values) == merged


def test_other_files_may_replace_the_own() -> None:
    assert plain(read_given([Path("more.yaml")], ["seeds=1"], replace=True).values) == {
        "chunk_size": 2,
        "conditions": {"tanh": {"steps": 7}, "relu": {"steps": 9}},
        "seeds": 1,
    }
    assert values_of()["seeds"] == plain(read_given(replace=True).values)["seeds"] == 3  # nothing is in its place


def test_without_its_own_file_another_will_do(folder: Path) -> None:
    (folder / "config.yaml").unlink()
    assert plain(read_given([Path("more.yaml")]).values)["chunk_size"] == 2
    with pytest.raises(InputError, match=r"^config.yaml: cannot be read "):
        read_given(entries=["seeds=3"])


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("seeds", "--config: expected KEY=VALUE, got 'seeds'"),
        ("seeds=[1,2", "--config seeds: not YAML: did not find expected ',' or ']'"),
        ("paper={seeds: 1, seeds: 2}", "--config paper: seeds: expected once, but line 1 has it too; delete one"),
        ("dataset=a\x07", r"--config dataset: not YAML: expected text, got the character '\x07'; delete it"),
    ],
)
def test_a_bad_value_of_the_command_line_is_one_line(entry: str, complaint: str) -> None:
    with pytest.raises(InputError) as error:
        read_given(entries=[entry])
    assert str(error.value).startswith(complaint)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "got"), [("", "an empty file"), ("# nothing\n", "an empty file"), ("- a\n", "[a]"), ("words\n", "words")]
)
def test_a_file_without_keys_is_one_line(text: str, got: str) -> None:
    Path("more.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        read_given([Path("more.yaml")])
    assert str(error.value) == f"more.yaml: expected a mapping (a line 'key: value' for each entry), got {got}"


def test_an_error_about_a_key_is_told_with_its_place() -> None:
    def place(given: Given, key: str) -> str:
        with pytest.raises(InputError) as error, given.place_of(key):
            raise InputError("it is bad")
        return str(error.value)

    given = read_given([Path("more.yaml")], ["seeds=4"])
    assert place(given, "chunk_size") == "more.yaml:1: it is bad"
    assert place(given, "paper") == "config.yaml:2: it is bad"
    assert place(given, "seeds") == "--config: it is bad"
    assert place(Given({"seeds": 4}), "seeds") == "configuration: it is bad"
