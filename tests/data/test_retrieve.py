import gzip
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from bnpipe.core.errors import InputError
from bnpipe.data.retrieve import retrieve, torchvision_dataset
from bnpipe.data.sources import FILES
from tests.idx_files import REAL_MNIST, needs_real_mnist, small_payloads
from tests.mirrors import (
    Answer,
    Files,
    Mirror,
    broken,
    cut_off,
    cut_off_without_length,
    empty,
    flood,
    good,
    good_without_length,
    hang,
    hang_in_the_middle,
    hang_up,
    length_that_is_no_number,
    login_page,
    not_found,
    trickle,
)

NAMES = [f"{name}.gz" for name in FILES]
CLOSED = "http://127.0.0.1:1"  # nothing listens there: the connection is refused


FAULTS: list[tuple[Answer, str]] = [
    (not_found, "Not Found"),
    (broken, "Internal Server Error"),
    (login_page, "SHA-256"),
    (empty, "SHA-256"),
    (cut_off, "cut off"),
    (cut_off_without_length, "cannot be read"),
    (length_that_is_no_number, ""),
    (hang_up, "closed connection"),
    (hang, "timed out"),
    (hang_in_the_middle, "timed out"),
    (trickle, "took longer than"),
    (flood, "larger than"),
]


# Data sets that are not the real ones


@pytest.fixture(autouse=True)
def _near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep requests on this machine, whatever proxy is set."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a mirror that hangs, trickles or floods fail soon."""
    monkeypatch.setattr("bnpipe.data.retrieve.SILENCE_LIMIT", 0.5)
    monkeypatch.setattr("bnpipe.data.retrieve.FILE_LIMIT", 1.0)
    monkeypatch.setattr("bnpipe.data.retrieve.MAX_FILE_SIZE", 100_000)


@pytest.fixture
def tiny_mnist(monkeypatch: pytest.MonkeyPatch) -> Files:
    """Let a small data set pass for MNIST; return its gzip files."""
    payloads = small_payloads()
    sums = {name: hashlib.sha256(payload).hexdigest() for name, payload in payloads.items()}
    monkeypatch.setattr("bnpipe.data.retrieve.MNIST_PAYLOAD_SHA256", sums)
    return {f"{name}.gz": gzip.compress(payload) for name, payload in payloads.items()}


@pytest.fixture
def serve(tiny_mnist: Files) -> Iterator[Callable[[Answer], Mirror]]:
    """Start mirrors of the small data set; stop them all in the end."""
    with ExitStack() as running:
        yield lambda answer: running.enter_context(Mirror(tiny_mnist, answer))


def write(folder: Path, files: Files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> Files:
    """Return every file of a folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(dataset: str, folder: Path, mirrors: list[str]) -> str:
    """Fail to retrieve; return the error, which is one line."""
    with pytest.raises(InputError) as raised:
        retrieve(dataset, folder, mirrors)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# Good mirrors


@pytest.mark.parametrize("answer", [good, good_without_length])
def test_fetches_the_four_files(
    answer: Answer, serve: Callable[[Answer], Mirror], tiny_mnist: Files, tmp_path: Path
) -> None:
    folder = tmp_path / "resources" / "mnist"
    mirror = serve(answer)
    assert retrieve("mnist", folder, [mirror.url]) == [folder / name for name in NAMES]
    assert contents(folder) == tiny_mnist
    assert mirror.requests == NAMES


@pytest.mark.parametrize("as_url", [True, False])
def test_fetches_from_a_folder(as_url: bool, tiny_mnist: Files, tmp_path: Path) -> None:
    source = write(tmp_path / "a mirror", tiny_mnist)
    retrieve("mnist", tmp_path / "mnist", [source.as_uri() if as_url else str(source)])
    assert contents(tmp_path / "mnist") == tiny_mnist
    assert contents(source) == tiny_mnist


def test_without_mirrors_torchvisions_are_used(
    monkeypatch: pytest.MonkeyPatch, tiny_mnist: Files, tmp_path: Path
) -> None:
    source = write(tmp_path / "source", tiny_mnist)
    monkeypatch.setattr(torchvision_dataset("mnist"), "mirrors", [f"{CLOSED}/", f"{source.as_uri()}/"])
    retrieve("mnist", tmp_path / "mnist")
    assert contents(tmp_path / "mnist") == tiny_mnist


def test_valid_files_are_used_without_a_request(
    serve: Callable[[Answer], Mirror], tiny_mnist: Files, tmp_path: Path
) -> None:
    mirror = serve(good)
    folder = write(tmp_path / "mnist", tiny_mnist)
    assert retrieve("mnist", folder, [mirror.url]) == [folder / name for name in NAMES]
    assert mirror.requests == []


def test_only_missing_files_are_fetched(serve: Callable[[Answer], Mirror], tiny_mnist: Files, tmp_path: Path) -> None:
    mirror = serve(good)
    folder = write(tmp_path / "mnist", tiny_mnist)
    (folder / NAMES[2]).unlink()
    retrieve("mnist", folder, [mirror.url])
    assert mirror.requests == [NAMES[2]]
    assert contents(folder) == tiny_mnist


def test_another_gzip_wrapper_of_mnist_is_valid(
    serve: Callable[[Answer], Mirror], tiny_mnist: Files, tmp_path: Path
) -> None:
    mirror = serve(good)
    rewrapped = {name: gzip.compress(gzip.decompress(content), 1, mtime=7) for name, content in tiny_mnist.items()}
    folder = write(tmp_path / "mnist", rewrapped)
    retrieve("mnist", folder, [mirror.url])
    assert mirror.requests == []
    assert contents(folder) == rewrapped != tiny_mnist


@pytest.mark.parametrize("wrong", [b"", b"<html></html>", gzip.compress(b"other")], ids=["empty", "page", "other"])
def test_wrong_file_is_named_and_downloaded_again(
    wrong: bytes,
    serve: Callable[[Answer], Mirror],
    tiny_mnist: Files,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mirror = serve(good)
    folder = write(tmp_path / "mnist", {**tiny_mnist, NAMES[1]: wrong})
    retrieve("mnist", folder, [mirror.url])
    assert mirror.requests == [NAMES[1]]
    assert contents(folder) == tiny_mnist
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith(f"{folder / NAMES[1]}: ")
    assert warning.endswith("downloading it again")


# Mirrors that fail. Three of the files are there, so that each mirror is asked for one.


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize(("answer", "reason"), FAULTS, ids=[answer.__name__ for answer, _ in FAULTS])
def test_mirrors_are_tried_in_turn(
    answer: Answer,
    reason: str,
    serve: Callable[[Answer], Mirror],
    tiny_mnist: Files,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second, third = serve(answer), serve(good), serve(good)
    folder = write(tmp_path / "mnist", tiny_mnist)
    (folder / NAMES[0]).unlink()
    started = time.monotonic()
    retrieve("mnist", folder, [first.url, second.url, third.url])
    assert time.monotonic() - started < 10
    assert contents(folder) == tiny_mnist
    assert [mirror.requests for mirror in (first, second, third)] == [[NAMES[0]], [NAMES[0]], []]
    assert f"{first.url}/{NAMES[0]}: " in caplog.text
    assert reason in caplog.text


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize(("answer", "reason"), FAULTS, ids=[answer.__name__ for answer, _ in FAULTS])
def test_nothing_is_left_behind_where_a_mirror_fails(
    answer: Answer, reason: str, serve: Callable[[Answer], Mirror], tiny_mnist: Files, tmp_path: Path
) -> None:
    mirror = serve(answer)
    there = {name: tiny_mnist[name] for name in NAMES[1:]}
    folder = write(tmp_path / "mnist", there)
    line = refusal("mnist", folder, [mirror.url])
    assert f"{mirror.url}/{NAMES[0]}: " in line
    assert reason in line
    assert contents(folder) == there


def test_all_mirrors_fail(serve: Callable[[Answer], Mirror], tmp_path: Path) -> None:
    mirror, folder = serve(not_found), tmp_path / "mnist"
    line = refusal("mnist", folder, [mirror.url, CLOSED, f"{tmp_path.as_uri()}/nowhere"])
    assert line.startswith(f"dataset mnist: no mirror gave {NAMES[0]} (")
    assert f"{mirror.url}/{NAMES[0]}: HTTP Error 404: Not Found" in line
    assert f"{CLOSED}/{NAMES[0]}: [Errno" in line
    assert f"{tmp_path.as_uri()}/nowhere/{NAMES[0]}: [Errno 2]" in line
    for advice in (f"put the four files of MNIST into {folder}/", "add another mirror to mirrors", "dataset: digits"):
        assert advice in line
    assert contents(folder) == {}


def test_wrong_file_there_does_not_get_lost(tiny_mnist: Files, tmp_path: Path) -> None:
    there = {**tiny_mnist, NAMES[3]: b"wrong"}
    folder = write(tmp_path / "mnist", there)
    refusal("mnist", folder, [CLOSED])
    assert contents(folder) == there


@pytest.mark.parametrize(
    "mirror", ["http://[::1", "http://a..b", "http://127.0.0.1:1/ü", "http://127.0.0.1:port", f"http://{'a' * 64}.org"]
)
def test_malformed_url_is_a_mirror_that_fails(mirror: str, tiny_mnist: Files, tmp_path: Path) -> None:
    line = refusal("mnist", tmp_path / "mnist", [mirror])
    assert f"{mirror}/{NAMES[0]}: " in line
    source = write(tmp_path / "source", tiny_mnist)
    retrieve("mnist", tmp_path / "mnist", [mirror, str(source)])
    assert contents(tmp_path / "mnist") == tiny_mnist


def test_mirror_that_is_no_mirror_is_refused(tmp_path: Path) -> None:
    assert refusal("mnist", tmp_path / "mnist", ["ftp://example.org"]).endswith(", got 'ftp://example.org'")


def test_folder_that_cannot_be_made_is_named(tiny_mnist: Files, tmp_path: Path) -> None:
    source = write(tmp_path / "source", tiny_mnist)
    (tmp_path / "resources").write_text("a file")
    with pytest.raises((InputError, OSError), match=str(tmp_path / "resources")):
        retrieve("mnist", tmp_path / "resources" / "mnist", [str(source)])


# Real data sets


@needs_real_mnist
def test_real_mnist_from_a_folder(tmp_path: Path) -> None:
    paths = retrieve("mnist", tmp_path / "mnist", [str(REAL_MNIST)])
    assert [path.read_bytes() for path in paths] == [(REAL_MNIST / name).read_bytes() for name in NAMES]
    assert retrieve("mnist", tmp_path / "mnist", [CLOSED]) == paths


def test_tiny_files_do_not_pass_for_the_real_mnist(tmp_path: Path) -> None:
    files = {f"{name}.gz": gzip.compress(payload) for name, payload in small_payloads().items()}
    source = write(tmp_path / "source", files)
    line = refusal("mnist", tmp_path / "mnist", [str(source)])
    assert "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db" in line  # of the real training images
    assert contents(tmp_path / "mnist") == {}


@pytest.mark.parametrize(
    ("dataset", "md5", "title"),
    [
        ("fashion_mnist", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "Fashion-MNIST"),
        ("kmnist", "bdb82020997e1d708af4cf47b453dcf7", "KMNIST"),
    ],
)
def test_relatives_of_mnist_are_checked_by_the_published_md5(
    dataset: str, md5: str, title: str, tiny_mnist: Files, tmp_path: Path
) -> None:
    source = write(tmp_path / "source", tiny_mnist)
    line = refusal(dataset, tmp_path / dataset, [str(source)])
    assert md5 in line
    assert f"put the four files of {title} into" in line
    assert contents(tmp_path / dataset) == {}


@pytest.mark.parametrize("dataset", ["fashion_mnist", "kmnist"])
def test_gzip_file_must_be_the_published_one(
    dataset: str, monkeypatch: pytest.MonkeyPatch, tiny_mnist: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write(tmp_path / "source", tiny_mnist)
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in tiny_mnist.items()]
    published = SimpleNamespace(mirrors=[source.as_uri()], resources=sums)
    monkeypatch.setattr("bnpipe.data.retrieve.torchvision_dataset", {dataset: published}.__getitem__)

    rewrapped = gzip.compress(gzip.decompress(tiny_mnist[NAMES[3]]), 1, mtime=7)
    folder = write(tmp_path / "data", {**tiny_mnist, NAMES[3]: rewrapped})
    retrieve(dataset, folder)
    assert f"{folder / NAMES[3]}: expected MD5 " in caplog.text
    assert f", got {hashlib.md5(rewrapped).hexdigest()}" in caplog.text
    assert contents(folder) == tiny_mnist

    (source / NAMES[3]).write_bytes(rewrapped)
    (folder / NAMES[3]).unlink()
    assert "MD5" in refusal(dataset, folder, [])
    assert NAMES[3] not in contents(folder)


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_folder_in_place_of_a_file_is_bad_input(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "data" / NAMES[0]).mkdir(parents=True)
    assert NAMES[0] in refusal(dataset, tmp_path / "data", [CLOSED])


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist", "kmnist"])
def test_torchvision_knows_mirrors_and_the_four_files(dataset: str) -> None:
    published = torchvision_dataset(dataset)
    assert [name for name, _ in published.resources] == NAMES
    assert all(mirror.startswith("http") for mirror in published.mirrors)
    assert published.mirrors
