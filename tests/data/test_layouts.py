import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bnpipe.core.errors import InputError
from bnpipe.data.layouts import FILES, find_all, find_own
from tests.idx_files import write_small_folder

KAGGLE = [name.replace("-idx", ".idx") for name in FILES]


def renamed(folder: Path, rename: Callable[[str], str]) -> Path:
    """Write a small data set whose files have other names."""
    write_small_folder(folder)
    for name in FILES:
        (folder / name).rename(folder / rename(name))
    return folder


def refusal(folder: Path) -> str:
    """Look for a data set where there is none that can be used; return the error, which is one line."""
    with pytest.raises(InputError) as raised:
        find_own(folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.replace("-idx", ".idx") + ".gz",
        str.upper,
        lambda name: name.upper() + ".GZ",
        lambda name: name.title(),
        lambda name: name.replace("-", "_"),
        lambda name: name.replace("t10k", "test"),
        lambda name: name.replace("-idx3-", "-idx3.").replace("-idx1-", "-idx1."),
        lambda name: name.replace("idx3", "idx4"),
    ],
    ids=["Kaggle", "Kaggle gzip", "upper", "upper gzip", "title", "underscores", "test", "last dot", "four dimensions"],
)
def test_names(rename: Callable[[str], str], tmp_path: Path) -> None:
    folder = renamed(tmp_path / "own", rename)
    assert find_own(folder) == tuple(folder / rename(name) for name in FILES)
    assert [list(find_all(folder, name)) for name in FILES] == [[folder / rename(name)] for name in FILES]


@pytest.mark.parametrize("below", ["raw", "MNIST/raw", "mnist", "FashionMNIST/raw", "fashion-mnist", "KMNIST/raw"])
def test_layouts(below: str, tmp_path: Path) -> None:
    write_small_folder(tmp_path / "root" / below, compressed=True)
    (tmp_path / "root" / "cifar-10-batches-py").mkdir()
    assert find_own(tmp_path / "root") == tuple(tmp_path / "root" / below / f"{name}.gz" for name in FILES)


def test_kaggles_folders_that_are_named_like_their_file(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"")
    assert find_own(tmp_path) == tuple(tmp_path / name / name for name in FILES)
    for name in KAGGLE:  # Kaggle's archive has both
        (tmp_path / name).write_bytes(b"")
    found = list(find_all(tmp_path, FILES[0]))
    assert found == [tmp_path / FILES[0] / FILES[0], tmp_path / KAGGLE[0]]


def test_the_usual_name_comes_first(tmp_path: Path) -> None:
    write_small_folder(tmp_path / "own")
    for name in (f"{FILES[0]}.gz", KAGGLE[0]):
        (tmp_path / "own" / name).write_bytes(b"")
    names = [path.name for path in find_all(tmp_path / "own", FILES[0])]
    assert names == [FILES[0], f"{FILES[0]}.gz", KAGGLE[0]]


def test_files_of_two_data_sets_are_not_mixed(tmp_path: Path) -> None:
    for name in ("MNIST", "KMNIST"):
        write_small_folder(tmp_path / name / "raw")
    line = refusal(tmp_path)
    assert f"expected one data set in {tmp_path}, got {tmp_path}/KMNIST/raw, {tmp_path}/MNIST/raw" in line
    (tmp_path / "MNIST" / "raw" / FILES[3]).unlink()
    assert find_own(tmp_path)[0] == tmp_path / "KMNIST" / "raw" / FILES[0]
    (tmp_path / "KMNIST" / "raw" / FILES[0]).unlink()
    assert "got no train-images-idx3-ubyte" in refusal(tmp_path)


def test_complete_folder_wins_over_what_is_below_it(tmp_path: Path) -> None:
    write_small_folder(tmp_path / "own")
    write_small_folder(tmp_path / "own" / "raw")
    assert find_own(tmp_path / "own")[0] == tmp_path / "own" / FILES[0]


# Something else instead


@pytest.mark.parametrize(
    ("there", "advice"),
    [
        ("train-imgs-idx3-ubyte", "rename it to train-images-idx3-ubyte"),
        ("train-images-idx3-ubyte (1).gz", "rename it to train-images-idx3-ubyte.gz"),
        ("archive.zip", "unpack archive.zip"),
        ("mnist.npz", "put the four files there"),
        ("two\nlines", "put the four files there"),
    ],
)
def test_what_was_found_instead_is_named(there: str, advice: str, tmp_path: Path) -> None:
    folder = write_small_folder(tmp_path / "own")
    (folder / FILES[0]).unlink()
    (folder / there).write_bytes(b"")
    (folder / ".hidden").write_bytes(b"")
    line = refusal(folder)
    assert f"in {folder}, got no train-images-idx3-ubyte, but {there}" in line.replace(repr("two\nlines"), "two\nlines")
    assert line.endswith(advice)


def test_many_other_files_are_counted(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(b"")
    assert "but 0.png, 1.png, 2.png, 3.png, 4.png and 4 more; put the four files there" in refusal(tmp_path)
    with pytest.raises(InputError, match="and 4 more"):
        list(find_all(tmp_path, FILES[0]))


def test_empty_and_missing_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path).endswith("got no train-images-idx3-ubyte; put the four files there")
    assert "cannot be listed (No such file or directory)" in refusal(tmp_path / "missing")


@pytest.mark.parametrize(
    ("instead", "complaint"),
    [
        (Path.mkdir, "expected a file, got a folder;"),
        (lambda path: path.symlink_to("gone"), "expected a file, got a link to gone, which does not exist;"),
        (lambda path: path.symlink_to(path), "cannot be read"),
        (os.mkfifo, "expected a file, got something else"),
    ],
    ids=["folder", "dangling link", "link to itself", "pipe"],
)
def test_what_is_no_file_is_named(instead: Callable[[Path], object], complaint: str, tmp_path: Path) -> None:
    folder = write_small_folder(tmp_path / "own")
    (folder / FILES[2]).unlink()
    instead(folder / FILES[2])
    assert refusal(folder).startswith(f"{folder / FILES[2]}: {complaint}")
    (folder / KAGGLE[2]).write_bytes(b"")  # then that one is taken
    assert find_own(folder)[2] == folder / KAGGLE[2]


# Permissions


@pytest.fixture
def foreign() -> Iterator[Path]:
    """Return a data folder of root's, while this process has the rights of nobody."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = write_small_folder(Path(name) / "own")
        try:
            yield folder
        finally:
            os.seteuid(0)


def become_nobody() -> None:
    os.seteuid(65534)


def test_folder_of_another_user(foreign: Path) -> None:
    foreign.chmod(0o700)
    become_nobody()
    assert refusal(foreign).startswith(f"{foreign}: cannot be listed (Permission denied); ask its owner")


def test_folder_that_can_be_entered_but_not_listed(foreign: Path) -> None:
    foreign.chmod(0o711)
    become_nobody()
    assert find_own(foreign) == tuple(foreign / name for name in FILES)


def test_folder_that_can_be_listed_but_not_entered(foreign: Path) -> None:
    foreign.chmod(0o744)
    become_nobody()
    assert refusal(foreign).startswith(f"{foreign / FILES[0]}: cannot be read (Permission denied)")


def test_file_of_another_user(foreign: Path) -> None:
    (foreign / FILES[1]).chmod(0o600)
    become_nobody()
    assert refusal(foreign).startswith(f"{foreign / FILES[1]}: cannot be read (Permission denied); make it readable")


def test_subfolder_of_another_user(foreign: Path) -> None:
    foreign.rename(foreign.parent / "raw")
    (foreign.parent / "raw").chmod(0o700)
    become_nobody()
    assert refusal(foreign.parent).startswith(f"{foreign.parent}/raw: cannot be listed (Permission denied)")
