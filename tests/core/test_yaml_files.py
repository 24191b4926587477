import math
import re
from pathlib import Path
from typing import Any

import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import Unquoted, parse_yaml, plain, read_yaml, read_yaml_file, surprise, unquoted


def yaml_mistakes(path: Path, content: str | bytes) -> list[str]:
    """Write a bad file, check it, and return the lines of the error."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as raised:
        read_yaml(path)
    return str(raised.value).split("\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["3: a: expected once, but line 1 has it too;"]),
        ("a:\n  b: 1\n  c: 2\n  'b': 3\n", ["4: a.b: expected once, but line 2 has it too;"]),
        ("a: {b: {c: 1, c: 2}}\n", ["1: a.b.c: expected once, but line 1 has it too;"]),
        ("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n", ["2: a: expected once, but line 1", "5: b.c: expected once, but line 4"]),
        (
            "a: 1\na: 2\na: 3\n",
            ["2: a: expected once, but line 1 has it too;", "3: a: expected once, but line 2 has it too;"],
        ),
    ],
)
def test_duplicate_keys(tmp_path: Path, content: str, expected: list[str]) -> None:
    path = tmp_path / "config.yaml"
    lines = yaml_mistakes(path, content)
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(f"{path}:{start}")
        assert line.endswith("; delete one")


def test_equal_keys_of_different_sections_are_no_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a:\n  steps: 1\nb:\n  steps: 2\nsteps: [1, 1]\n")
    read_yaml(path)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("a: 1\nb:\n\tc: 1\n", "3: not YAML: "),
        ("a: 1\nb: c: d\n", "2: not YAML: "),
        ("a: 1\n b: 2\n", "2: not YAML: "),
        ("a: *nothing\n", "1: not YAML: "),
        ("a: 1\n---\nb: 1\n", "2: not YAML: "),
        ('a: "open\nb: 1\n', r"\d: not YAML: "),
        ("a: [1, 2\nb: 1\n", r"\d: not YAML: "),
        ("a: {b: 1\nc: 1\n", r"\d: not YAML: "),
        ("a: 1\nb: \x00\n", "2: not YAML: expected text, got the character '\\\\x00'; delete it"),
        ("a: 1\r\nb: 1\r\nc: \x07\r\n", "3: not YAML: expected text, got the character '\\\\x07'; delete it"),
        ("a: 1\nb: &b [1, *b]\n", "2: not YAML: an alias within the value that it stands for"),
        (b"a: 1\nb: caf\xe9\n", r"2: expected text in UTF-8, got the byte 0xe9 \('\u00e9' in Latin-1\); save "),
        ("a: 1\n".encode("utf-16"), " expected text in UTF-8, got UTF-16; save the file as UTF-8"),
    ],
)
def test_broken_yaml_gives_one_line_with_file_and_place(tmp_path: Path, content: str | bytes, where: str) -> None:
    path = tmp_path / "config.yaml"
    lines = yaml_mistakes(path, content)
    assert len(lines) == 1
    assert re.match(f"{re.escape(str(path))}:{where}", lines[0])
    assert "Traceback" not in lines[0]


@pytest.mark.parametrize(
    "content",
    ["a: !own 1\n", "a: !!timestamp 2024-13-45\n", "? [a, b]\n: 1\n"],
    ids=["tag", "impossible date", "list as key"],
)
def test_yaml_that_gives_no_values_is_refused_too(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.yaml"
    (line,) = yaml_mistakes(path, content)
    assert re.match(f"{re.escape(str(path))}(:1)?: ", line)


def test_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with pytest.raises(InputError) as raised:
        read_yaml(path)
    assert str(raised.value).startswith(f"{path}: cannot be read ")


def test_every_key_and_list_entry_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: &one\n  b: [1,\n      2]\n  3: {c: 4}\n# of nothing\nd: *one\n")
    file = read_yaml_file(path)
    assert file.path == path
    assert plain(file.values) == {"a": {"b": [1, 2], "3": {"c": 4}}, "d": {"b": [1, 2], "3": {"c": 4}}}
    assert file.lines == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "b", "0"): 2,
        ("a", "b", "1"): 3,
        ("a", "3"): 4,
        ("a", "3", "c"): 4,
        ("d",): 6,
        ("d", "b"): 2,
        ("d", "b", "0"): 2,
        ("d", "b", "1"): 3,
        ("d", "3"): 4,
        ("d", "3", "c"): 4,
    }


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("# nothing\n")
    assert read_yaml(path) is None
    assert read_yaml_file(path).lines == {}


def test_a_mark_of_utf8_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: caf\xc3\xa9\r\nb: 2\r\n")
    assert read_yaml(path) == {"a": "caf\u00e9", "b": 2}


# What stands without quotes


def value_of(text: str) -> Any:
    """Return the value that a key has in YAML."""
    return parse_yaml(f"key: {text}", "text")[0]["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-30", -30),
        ("+7", 7),
        ("0", 0),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("1.5e3", 1500.0),
        ("1.5E+3", 1500.0),
        ("+1e3", 1000.0),
        ("5e-2", 0.05),
        (".5", 0.5),
        ("2.", 2.0),
        ("-0.25", -0.25),
        ("1e400", math.inf),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("true", True),
        ("Yes", True),
        ("on", True),
        ("FALSE", False),
        ("no", False),
        ("off", False),
    ],
)
def test_numbers_and_words_without_quotes(text: str, value: object) -> None:
    found = value_of(text)
    assert type(found) is Unquoted
    assert repr(found) == text  # messages show what the user wrote
    assert (plain(found), type(plain(found))) == (value, type(value))
    assert surprise(found) is None
    assert (type(value_of(f"'{text}'")), plain(value_of(f"'{text}'"))) == (str, text)


@pytest.mark.parametrize(
    "text", ["9 x 100", "2024-01-01", "1e", "e3", "1.2.3", "1,5", "5%", "oN", "0o17", "_1", "=", "\u0661"]
)
def test_what_is_no_number_is_text(text: str) -> None:
    assert (plain(value_of(text)), type(plain(value_of(text)))) == (text, str)
    assert surprise(value_of(text)) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("061", 49), ("-010", -8), ("0x10", 16), ("0b11", 3), ("1:30", 90), ("01.5", 1.5), ("000", 0), ("1__0", 10)],
)
def test_numbers_that_yaml_reads_otherwise_than_people_are_text(text: str, number: float) -> None:
    assert plain(value_of(text)) == text
    assert surprise(value_of(text)) == number
    assert surprise(value_of(f"'{text}'")) is None


@pytest.mark.parametrize("text", ["", "~", "null", "Null"])
def test_nothing_is_none(text: str) -> None:
    assert value_of(text) is None


def test_text_may_be_taken_as_unquoted() -> None:
    found = unquoted({"a": ["3", "null", 2.5, True, None], "b": {"c": "false"}})
    assert plain(found) == {"a": [3, None, 2.5, True, None], "b": {"c": False}}
