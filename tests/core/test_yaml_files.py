import re
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml, read_yaml_file


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
        ("a: 1\nb: \x00\n", " not YAML: "),
        (b"a: \xff\n", " cannot be read "),
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
    ["a: !own 1\n", "a: =\n", "a: 2024-13-45\n", "? [a, b]\n: 1\n"],
    ids=["tag", "equals sign", "impossible date", "list as key"],
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
    assert file.values == {"a": {"b": [1, 2], 3: {"c": 4}}, "d": {"b": [1, 2], 3: {"c": 4}}}
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
