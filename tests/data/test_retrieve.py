import gzip
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.data.checksums import PAYLOADS
from bnpipe.data.layouts import FILES
from bnpipe.data.retrieve import retrieve, torchvision_dataset
from tests.idx_files import REAL_MNIST, known_as, needs_real_mnist, small_payloads
from tests.mirrors import (
    Answer,
    Files,
    Mirror,
    broken,
    cut_off,
    cut_off_without_length,
    empty,
    flood,
    for_ada,
    good,
    good_without_length,
    hang,
    hang_in_the_middle,
    hang_up,
    json_error,
    length_that_is_no_number,
    lfs_pointer,
    login_page,
    not_found,
    redirect_to,
    trickle,
    xml_error,
)

NAMES = [f"{name}.gz" for name in FILES]
CLOSED = "http://127.0.0.1:1"  # nothing listens there: the connection is refused


FAULTS: list[tuple[Answer, str]] = [
    (not_found, "Not Found"),
    (broken, "Internal Server Error"),
    (login_page, "got an HTML page, perhaps of a login"),
    (json_error, "got a JSON document"),
    (xml_error, "got an XML document (Error)"),
    (lfs_pointer, "got a Git LFS pointer"),
    (empty, "got an empty file"),
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
    monkeypatch.setattr("bnpipe.data.download.SILENCE_LIMIT", 0.5)
    monkeypatch.setattr("bnpipe.data.download.FILE_LIMIT", 1.0)
    monkeypatch.setattr("bnpipe.data.download.MAX_FILE_SIZE", 100_000)


@pytest.fixture
def tiny_mnist(monkeypatch: pytest.MonkeyPatch) -> Files:
    """Let a small data set pass for MNIST; return its gzip files."""
    known_as(monkeypatch, "mnist")
    return {f"{name}.gz": gzip.compress(payload) for name, payload in small_payloads().items()}


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


# Names and layouts


def plain(files: Files) -> Files:
    """Return files decompressed."""
    return {name[:-3]: gzip.decompress(content) for name, content in files.items()}


def kaggle(files: Files) -> Files:
    """Return files decompressed and under the names that Kaggle gives them."""
    return {name.replace("-idx", ".idx"): content for name, content in plain(files).items()}


LAYOUTS: list[tuple[Callable[[Files], Files], str]] = [
    (plain, "."),
    (kaggle, "."),
    (plain, "MNIST/raw"),
    (dict, "MNIST/raw"),
    (plain, "raw"),
    (kaggle, "mnist"),
]


@pytest.mark.parametrize(("change", "below"), LAYOUTS)
def test_files_that_are_there_are_found_in_all_layouts(
    change: Callable[[Files], Files], below: str, tiny_mnist: Files, tmp_path: Path
) -> None:
    files = change(tiny_mnist)
    folder = write(tmp_path / "mnist" / below, files)
    assert retrieve("mnist", tmp_path / "mnist", [CLOSED]) == [folder / name for name in files]


@pytest.mark.parametrize("as_url", [True, False])
@pytest.mark.parametrize(("change", "below"), LAYOUTS)
def test_mirror_that_is_a_folder_may_have_all_layouts(
    change: Callable[[Files], Files], below: str, as_url: bool, tiny_mnist: Files, tmp_path: Path
) -> None:
    root = tmp_path / "my data"
    write(root / below, change(tiny_mnist))
    write(root / "FashionMNIST" / "raw", {name: gzip.compress(b"another") for name in NAMES})  # at the same root
    retrieve("mnist", tmp_path / "mnist", [root.as_uri() if as_url else str(root)])
    assert contents(tmp_path / "mnist") == (tiny_mnist if change is dict else plain(tiny_mnist))


def test_valid_copy_below_a_wrong_one_is_found(tiny_mnist: Files, tmp_path: Path) -> None:
    write(tmp_path / "mnist", dict.fromkeys(NAMES, b"<html>"))
    right = write(tmp_path / "mnist" / "MNIST" / "raw", plain(tiny_mnist))
    assert retrieve("mnist", tmp_path / "mnist", [CLOSED]) == [right / name for name in FILES]


def test_server_with_plain_files(serve: Callable[[Answer], Mirror], tiny_mnist: Files, tmp_path: Path) -> None:
    mirror = serve(good)
    mirror.files = plain(tiny_mnist)
    retrieve("mnist", tmp_path / "mnist", [mirror.url])
    assert mirror.requests == [each for name in FILES for each in (f"{name}.gz", name)]
    assert contents(tmp_path / "mnist") == plain(tiny_mnist)


@pytest.mark.parametrize("there", ["resources", "mirror"])
def test_what_a_folder_has_instead_is_named(there: str, tiny_mnist: Files, tmp_path: Path) -> None:
    for name in ("resources", "mirror"):
        write(tmp_path / name, {key: content for key, content in tiny_mnist.items() if key != NAMES[0]})
    (tmp_path / there / "train-imgs-idx3-ubyte.gz").write_bytes(tiny_mnist[NAMES[0]])
    line = refusal("mnist", tmp_path / "resources", [str(tmp_path / "mirror")])
    assert f"if train-imgs-idx3-ubyte.gz is that file, rename it to {NAMES[0]}" in line


@pytest.mark.parametrize(
    ("instead", "complaint"),
    [
        (Path.mkdir, "got a folder"),
        (lambda path: path.symlink_to("gone"), "got a link to gone"),
        (lambda path: path.write_bytes(b"PK\x03\x04..."), "got a ZIP archive"),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1"), "got a Git LFS pointer"),
    ],
    ids=["folder", "dangling link", "archive", "pointer"],
)
def test_mirror_that_is_a_folder_without_usable_files(
    instead: Callable[[Path], object], complaint: str, tiny_mnist: Files, tmp_path: Path
) -> None:
    source = write(tmp_path / "source", tiny_mnist)
    (source / NAMES[0]).unlink()
    instead(source / NAMES[0])
    line = refusal("mnist", tmp_path / "mnist", [str(source)])
    assert f"({source / NAMES[0]}: " in line
    assert complaint in line
    assert line.count(str(source)) == 1


# Secrets, queries and proxies


def test_user_and_password_are_used_and_never_shown(
    serve: Callable[[Answer], Mirror], tiny_mnist: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mirror = serve(for_ada)
    address = mirror.url.removeprefix("http://")
    wrong, right = f"http://ada:wr%2Fong@{address}", f"http://ada:p%40ss%2Fword@{address}"
    line = refusal("mnist", tmp_path, [wrong])
    assert f"http://***@{address}/{NAMES[0]}: HTTP Error 401: Unauthorized" in line
    retrieve("mnist", tmp_path / "mnist", [wrong, right])
    assert contents(tmp_path / "mnist") == tiny_mnist
    for text in (line, caplog.text):
        assert f"http://***@{address}/{NAMES[0]}" in text
        assert not any(secret in text for secret in ("p%40ss", "p@ss", "wr%2Fong", "wr/ong"))


def test_server_that_asks_for_a_password_says_how_to_give_it(serve: Callable[[Answer], Mirror], tmp_path: Path) -> None:
    line = refusal("mnist", tmp_path, [serve(for_ada).url])
    assert "expected a user and a password that the server knows, in the URL" in line


def test_password_stays_with_its_host(serve: Callable[[Answer], Mirror], tiny_mnist: Files, tmp_path: Path) -> None:
    other = serve(good)
    mirror = serve(redirect_to(other.url))
    retrieve("mnist", tmp_path / "mnist", [mirror.url.replace("http://", "http://ada:secret@")])
    assert contents(tmp_path / "mnist") == tiny_mnist
    assert mirror.authorizations == ["Basic YWRhOnNlY3JldA=="] * 4  # ada:secret
    assert other.authorizations == [None] * 4


@pytest.mark.parametrize(
    ("tail", "request_"),
    [
        ("/get?token=secret", f"get/{NAMES[0]}?token=secret"),
        ("/get?token=secret&name={file}", f"get?token=secret&name={NAMES[0]}"),
        ("/é/?token=secret", f"%C3%A9/{NAMES[0]}?token=secret"),
    ],
)
def test_url_with_a_query(
    tail: str,
    request_: str,
    serve: Callable[[Answer], Mirror],
    tiny_mnist: Files,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    mirror, bad = serve(good), serve(broken)
    retrieve("mnist", tmp_path / "mnist", [bad.url + tail, mirror.url + tail])
    assert mirror.requests[0] == request_
    assert contents(tmp_path / "mnist") == tiny_mnist
    assert "HTTP Error 500" in caplog.text
    assert "token=***" in caplog.text
    assert "secret" not in caplog.text


def test_redirection_that_repeats_the_query_does_not_show_it(
    serve: Callable[[Answer], Mirror], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = serve(redirect_to("ftps://example.org"))
    line = refusal("mnist", tmp_path / "mnist", [f"{mirror.url}/get?token=secret"])
    assert "is not allowed" in line
    assert "secret" not in line + caplog.text


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_dead_proxy_is_named(
    scheme: str, upper: bool, serve: Callable[[Answer], Mirror], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variable = f"{scheme}_proxy".upper() if upper else f"{scheme}_proxy"
    for name in ("no_proxy", "NO_PROXY", f"{scheme}_proxy", f"{scheme}_proxy".upper()):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "http://ada:secret@127.0.0.1:1")
    url = serve(good).url.replace("http:", f"{scheme}:")
    line = refusal("mnist", tmp_path / "mnist", [url])
    assert "Connection refused" in line
    assert f"asked through the proxy http://***@127.0.0.1:1 of {variable}: if that is wrong, unset it, or add " in line
    assert "127.0.0.1 to no_proxy" in line
    assert "secret" not in line
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    if scheme == "http":
        retrieve("mnist", tmp_path / "mnist", [url])
    else:
        assert "asked through" not in refusal("mnist", tmp_path / "mnist", [url])


def test_proxy_that_answers_with_its_own_page_is_named(
    serve: Callable[[Answer], Mirror], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = serve(login_page)
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", proxy.url)
    line = refusal("mnist", tmp_path / "mnist", ["http://mirror.example"])
    assert f"got an HTML page, perhaps of a login or an error; asked through the proxy {proxy.url}" in line
    assert proxy.requests == [f"http://mirror.example/{NAMES[0]}"]


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
    asked = [NAMES[0], FILES[0]] if answer is not_found else [NAMES[0]]  # perhaps it is there without .gz
    assert [mirror.requests for mirror in (first, second, third)] == [asked, [NAMES[0]], []]
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
    assert line.startswith(f"dataset mnist: no mirror gave {FILES[0]} (")
    assert f"{mirror.url}/{NAMES[0]}: HTTP Error 404: Not Found" in line
    assert f"{CLOSED}/{NAMES[0]}: [Errno" in line
    assert f"{tmp_path}/nowhere: cannot be listed (No such file or directory)" in line
    for advice in (f"put the four files of MNIST into {folder}/", "add another mirror to mirrors", "dataset: digits"):
        assert advice in line
    assert contents(folder) == {}


def test_wrong_file_there_does_not_get_lost(tiny_mnist: Files, tmp_path: Path) -> None:
    there = {**tiny_mnist, NAMES[3]: b"wrong"}
    folder = write(tmp_path / "mnist", there)
    refusal("mnist", folder, [CLOSED])
    assert contents(folder) == there


@pytest.mark.parametrize("mirror", ["http://[::1", "http://a..b", "http://127.0.0.1:port", f"http://{'a' * 64}.org"])
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


@pytest.mark.parametrize(("dataset", "title"), [("fashion_mnist", "Fashion-MNIST"), ("kmnist", "KMNIST")])
def test_relatives_of_mnist_are_checked_by_their_content(dataset: str, title: str, tmp_path: Path) -> None:
    source = write(tmp_path / "source", {name: gzip.compress(small_payloads()[name]) for name in FILES})
    line = refusal(dataset, tmp_path / dataset, [str(source)])
    assert PAYLOADS[dataset][FILES[0]].partition(":")[2] in line
    assert f"put the four files of {title} into" in line
    assert contents(tmp_path / dataset) == {}


@pytest.mark.parametrize("dataset", ["fashion_mnist", "kmnist"])
def test_another_gzip_wrapper_of_a_relative_is_valid(
    dataset: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known_as(monkeypatch, dataset)
    files = {f"{name}.gz": gzip.compress(payload, 1, mtime=7) for name, payload in small_payloads().items()}
    folder = write(tmp_path / "data", files)
    assert retrieve(dataset, folder, [CLOSED]) == [folder / name for name in NAMES]


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
