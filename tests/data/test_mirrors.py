from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.data.mirrors import Mirror, check_mirrors, parse_mirror


@pytest.mark.parametrize(
    ("mirror", "url"),
    [
        ("https://example.org/mnist", "https://example.org/mnist/a.gz"),
        ("http://example.org/mnist/", "http://example.org/mnist/a.gz"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/a.gz"),
        ("https://ada:secret@example.org/mnist", "https://example.org/mnist/a.gz"),
        ("https://example.org/get?token=x&v=1", "https://example.org/get/a.gz?token=x&v=1"),
        ("https://example.org/get/?token=x", "https://example.org/get/a.gz?token=x"),
        ("https://example.org/get?name={file}&token=x", "https://example.org/get?name=a.gz&token=x"),
        ("https://example.org/{file}/raw", "https://example.org/a.gz/raw"),
        ("https://example.org/mnist#files", "https://example.org/mnist/a.gz"),
    ],
)
def test_where_the_name_of_a_file_goes(mirror: str, url: str) -> None:
    parsed = parse_mirror(mirror)
    assert parsed.folder is None
    assert parsed.url("a.gz") == url


def test_user_and_password() -> None:
    assert parse_mirror("https://ada:p%40ss%2Fword@example.org").credentials == ("ada", "p@ss/word")
    assert parse_mirror("https://token@example.org").credentials == ("token", "")
    assert parse_mirror("https://example.org/a@b").credentials is None


@pytest.mark.parametrize(
    "mirror",
    ["https://ada:sec%2Fret@example.org", "https://secret@example.org", "https://example.org/get?token=secret"],
)
def test_secrets_are_not_shown(mirror: str) -> None:
    parsed = parse_mirror(mirror)
    for text in (str(parsed), repr(parsed), f"{[parsed]}", parsed.shown("a.gz")):
        assert "sec" not in text
        assert "example.org" in text
    assert parsed.without_secrets("nonnumeric port: 'sec/ret' secret sec%2Fret").count("sec") < 3


def test_file_url_is_a_folder_that_need_not_exist() -> None:
    for mirror in ("file:///two%20words/mnist", "file://localhost/two%20words/mnist/", "FILE:///two%20words/mnist"):
        assert parse_mirror(mirror) == Mirror(mirror, Path("/two words/mnist"))


def test_mirror_that_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "two words"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for mirror in (str(folder), "two words", "~/two words"):
        found = parse_mirror(mirror).folder
        assert found
        assert found.samefile(folder)


@pytest.mark.parametrize(
    "mirror",
    [
        "ftp://example.org/",
        "http://",
        "http:/example.org",
        "example.org/mnist",
        "no/such/folder",
        "file",
        "~nobody-of-this-name",
    ],
)
def test_mirror_that_is_neither(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        check_mirrors(["https://example.org/", mirror])
    expected = "mirrors: expected a URL (http, https, file) or an existing folder"
    assert str(raised.value) == f"{expected}, got {mirror!r}"


def test_good_mirrors_pass(tmp_path: Path) -> None:
    check_mirrors([])
    check_mirrors(["https://example.org/", str(tmp_path)])
    with pytest.raises(InputError):
        check_mirrors([str(tmp_path), str(tmp_path / "missing")])


@pytest.mark.parametrize(
    ("mirror", "shown"),
    [
        ("ftp://ada:secret@example.org/", "ftp://***@example.org/"),
        ("ada:secret@example.org/mnist", "***@example.org/mnist"),
        ("https//example.org/get?token=secret", "https//example.org/get?token=***"),
        ("https://ada:sec/ret@example.org/", "https://***@example.org/"),
    ],
)
def test_refused_mirror_is_shown_without_secrets(mirror: str, shown: str) -> None:
    with pytest.raises(InputError) as raised:
        check_mirrors([mirror])
    assert f"got {shown!r}" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "sec/" not in str(raised.value)


def test_password_that_must_be_encoded_is_refused_with_advice() -> None:
    with pytest.raises(InputError, match=r"percent-encoded, .*; write %2F for /"):
        check_mirrors(["https://ada:sec/ret@example.org/"])
