import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.data.cifar import read_cifar10, torchvision_cifar10
from bnpipe.data.retrieve_cifar import retrieve_cifar10
from tests.cifar_files import known_as_cifar10, labels_of, pack_cifar10, write_cifar10
from tests.mirrors import Answer, Mirror, cut_off, good, login_page, not_found

FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"


@pytest.fixture(autouse=True)
def _near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep requests on this machine, whatever proxy is set."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with unpacked files and their archive, which pass for the real ones."""
    root = write_cifar10(tmp_path / "source")
    pack_cifar10(root)
    known_as_cifar10(monkeypatch, root)
    return root


@pytest.fixture
def serve(source: Path) -> Iterator[Mirror]:
    """Start a mirror that has the archive."""
    with Mirror({ARCHIVE: (source / ARCHIVE).read_bytes()}, good) as mirror:
        yield mirror


def check(root: Path) -> None:
    """See that the files below a folder are those of the source."""
    _, (_, labels) = read_cifar10(root)
    assert labels.tolist() == labels_of("test_batch")


def refusal(folder: Path, mirrors: list[str]) -> str:
    with pytest.raises(InputError) as raised:
        retrieve_cifar10(folder, mirrors)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_files_that_are_there_need_no_mirror(source: Path) -> None:
    assert retrieve_cifar10(source, ["http://127.0.0.1:1"]) == source


def test_archive_that_is_there_is_unpacked(source: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (source / ARCHIVE).rename(tmp_path / "own" / ARCHIVE)
    check(retrieve_cifar10(tmp_path / "own", ["http://127.0.0.1:1"]))


@pytest.mark.parametrize("kind", ["archive", "root", "folder"])
def test_mirror_that_is_a_folder(source: Path, tmp_path: Path, kind: str) -> None:
    if kind != "archive":
        (source / ARCHIVE).unlink()
    check(retrieve_cifar10(tmp_path / "own", [str(source / FOLDER if kind == "folder" else source)]))


def test_archive_is_downloaded(serve: Mirror, tmp_path: Path) -> None:
    check(retrieve_cifar10(tmp_path / "own", [serve.url]))


def test_the_published_archive_is_asked_for_without_mirrors(
    serve: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert torchvision_cifar10().url == f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
    monkeypatch.setattr(torchvision_cifar10(), "url", f"{serve.url}/{ARCHIVE}")
    check(retrieve_cifar10(tmp_path / "own"))


def test_the_next_mirror_is_asked_if_one_fails(serve: Mirror, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    check(retrieve_cifar10(tmp_path / "own", [str(tmp_path / "empty"), "http://127.0.0.1:1", serve.url]))


@pytest.mark.parametrize(
    ("answer", "fault"),
    [(not_found, "Not Found"), (login_page, "expected MD5 .*, got an HTML page"), (cut_off, "cut off")],
)
def test_mirror_that_fails_is_named_with_the_remedy(serve: Mirror, tmp_path: Path, answer: Answer, fault: str) -> None:
    serve.answer = answer
    line = refusal(tmp_path / "own", [serve.url])
    assert line.startswith(f"dataset cifar10: no mirror gave {ARCHIVE} ({serve.url}/{ARCHIVE}: ")
    assert line.endswith(f"into {tmp_path / 'own'}/, or add another mirror to mirrors")
    assert re.search(fault, line)
    assert not any((tmp_path / "own").glob("cifar*"))


def test_pickle_with_another_checksum_is_never_read(source: Path, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "harm",))

    (source / ARCHIVE).unlink()
    (source / FOLDER / "data_batch_3").write_bytes(pickle.dumps(Harmful()))
    assert f"{source}/{FOLDER}/data_batch_3: expected MD5 " in refusal(tmp_path / "own", [str(source)])
    assert "data_batch_3: expected MD5 " not in refusal(source, [str(tmp_path)])
    assert not (tmp_path / "harm").exists()
