import pytest

from bnpipe.core.secrets import mask, mask_url, mask_values

URLS = {
    "https://example.org/mnist": "https://example.org/mnist",
    "http://127.0.0.1:8000/mnist/": "http://127.0.0.1:8000/mnist/",
    "http://[::1]:8000/a@b": "http://[::1]:8000/a@b",
    "http://localhost:8000/a@b": "http://localhost:8000/a@b",
    "https://ada:secret@example.org/mnist": "https://***@example.org/mnist",
    "https://secret@example.org/mnist": "https://***@example.org/mnist",  # a token in place of a user
    "https://ada:s@cret@example.org/mnist": "https://***@example.org/mnist",
    "https://ada:sec/ret@example.org/mnist": "https://***@example.org/mnist",
    "https://ada:sec?ret#@example.org/mnist": "https://***@example.org/mnist",
    "https://ada:sec'ret \"@example.org/mnist": "https://***@example.org/mnist",
    "ftp://ada:secret@example.org": "ftp://***@example.org",
    "ada:secret@example.org/mnist": "***@example.org/mnist",
    "https://example.org/get?token=secret": "https://example.org/get?token=***",
    "https://example.org/get?secret": "https://example.org/get?***",
    "https://example.org/get?name={file}&token=secret": "https://example.org/get?name={file}&token=***",
    "https://example.org/get?token=secret=&x=http://secret": "https://example.org/get?token=***&x=***",
    "/data/me@home/mnist": "/data/me@home/mnist",
    "": "",
}


@pytest.mark.parametrize(("url", "shown"), URLS.items())
def test_secrets_of_a_url_are_hidden(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_secrets_of_every_url_in_a_text_are_hidden() -> None:
    text = "found 'https://ada:secret@a.org/x' and https://b.org/get?token=secret; what? ask me@home, a=b"
    assert mask(text) == "found 'https://***@a.org/x' and https://b.org/get?token=*** what? ask me@home, a=b"


def test_secrets_of_every_url_in_a_value_are_hidden() -> None:
    value = {"mirrors": ["https://ada:sec'ret@a.org", "plain", 7], "x": "see https://ada:secret@a.org"}
    shown = {"mirrors": ["https://***@a.org", "plain", 7], "x": "see https://***@a.org"}
    assert mask_values(value) == shown


def test_a_list_within_itself_can_be_masked() -> None:
    value: list[object] = ["https://secret@a.org"]
    value.append(value)
    assert repr(mask_values(value)) == "['https://***@a.org', [...]]"
