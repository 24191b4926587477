import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.settings import Shape
from bnpipe.data.layouts import FILES
from bnpipe.data.sources import Source, resolve, shape_of, split_sizes
from tests.idx_files import idx_bytes, write_small_folder


def refusal(dataset: str) -> str:
    """Resolve a bad data set; return its error, which is one line and names the key."""
    with pytest.raises(InputError) as raised:
        resolve(dataset)
    line = str(raised.value)
    assert line.startswith("dataset: ")
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("mnist", "MNIST"),
        ("fashion_mnist", "Fashion-MNIST"),
        ("kmnist", "KMNIST"),
        ("digits", "scikit-learn's digits (not MNIST)"),
    ],
)
def test_built_in_name_wins_over_a_folder_of_that_name(
    name: str, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small_folder(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert resolve(name) == Source(name, title, ())
    assert resolve(f"./{name}").name == f"{name}-folder"


@pytest.mark.parametrize("name", ["MNIST", "KMNIST", "Digits"])
def test_results_of_own_files_never_mix_with_a_built_in_data_set(name: str, tmp_path: Path) -> None:
    write_small_folder(tmp_path / name / "raw")  # some disks take mnist and MNIST for the same
    assert resolve(str(tmp_path / name)).name == f"{name}-folder"


def test_torchvision_root(tmp_path: Path) -> None:
    raw = write_small_folder(tmp_path / "data" / "MNIST" / "raw")
    source = resolve(str(tmp_path / "data"))
    assert source.name == "data"
    assert source.files == tuple(raw / name for name in FILES)


@pytest.mark.parametrize("compressed", [False, True])
def test_own_folder(tmp_path: Path, compressed: bool) -> None:
    folder = write_small_folder(tmp_path / "My_own-1", compressed=compressed)
    source = resolve(str(folder))
    suffix = ".gz" if compressed else ""
    assert source.name == "My_own-1"
    assert "My_own-1" in source.title
    assert source.files == (
        folder / f"train-images-idx3-ubyte{suffix}",
        folder / f"train-labels-idx1-ubyte{suffix}",
        folder / f"t10k-images-idx3-ubyte{suffix}",
        folder / f"t10k-labels-idx1-ubyte{suffix}",
    )


def test_own_folder_may_mix_plain_and_gzip_and_be_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_small_folder(tmp_path / "own")
    (folder / FILES[2]).rename(folder / f"{FILES[2]}.gz")
    monkeypatch.setenv("HOME", str(tmp_path))
    source = resolve("~/own")
    assert [path.name for path in source.files] == [FILES[0], FILES[1], f"{FILES[2]}.gz", FILES[3]]
    assert all(path.is_file() for path in source.files)


def test_name_of_a_relative_folder_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_small_folder(tmp_path / "own"))
    assert resolve(".").name == "own"


@pytest.mark.parametrize("missing", FILES)
def test_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = write_small_folder(tmp_path / "own")
    (folder / missing).unlink()
    assert f"(plain or .gz) in {folder}, got no {missing}" in refusal(str(folder))


@pytest.mark.parametrize("name", ["two words", "é", ".hidden", "-dash", "_line", "a.b", "{arm}", "new\nline", "x" * 65])
def test_unsafe_folder_name(tmp_path: Path, name: str) -> None:
    folder = write_small_folder(tmp_path / name)
    assert f"got {name!r}; rename the folder" in refusal(str(folder))


@pytest.mark.parametrize("dataset", ["MNIST", "no/such/folder", "~nobody-of-this-name/own"], ids=repr)
def test_neither_name_nor_folder(dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    line = refusal(dataset)
    assert (
        f"expected one of mnist, fashion_mnist, kmnist, cifar10, digits, or an existing folder, got {dataset!r}" in line
    )


def test_folder_in_a_folder_of_another_user(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = write_small_folder(tmp_path / "own")
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        line = refusal(str(folder))
    finally:
        os.seteuid(0)
    assert f"got {str(folder)!r}, which cannot be reached (Permission denied)" in line


def test_makefile_gets_a_name_or_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bnpipe.data.sources"]
    folder = write_small_folder(tmp_path / "own")
    assert subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True).stdout == "own\n"
    (folder / FILES[0]).unlink()
    bad = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (1, "", 1)
    assert bad.stderr.startswith("error: dataset: expected ")


def test_file_in_place_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "own"
    path.write_text("")
    assert f"or an existing folder, got {str(path)!r}" in refusal(str(path))


# Sizes


@pytest.mark.parametrize(
    ("dataset", "sizes"),
    [("mnist", (60_000, 7)), ("kmnist", (60_000, 7)), ("cifar10", (50_000, 7)), ("digits", (1497, 300))],
)
def test_sizes_of_built_in_data_sets(dataset: str, sizes: tuple[int, int]) -> None:
    assert split_sizes(resolve(dataset), 7) == sizes


@pytest.mark.parametrize("compressed", [False, True])
def test_sizes_of_own_files_come_from_their_header(tmp_path: Path, compressed: bool) -> None:
    source = resolve(str(write_small_folder(tmp_path / "own", compressed=compressed)))
    assert split_sizes(source, 12) == (20, 12)


def test_sizes_of_damaged_own_files_are_left_to_their_reader(tmp_path: Path) -> None:
    source = resolve(str(write_small_folder(tmp_path / "own")))
    source.files[0].write_bytes(b"\x1f\x8bnonsense")
    assert split_sizes(source, 12) is None
    assert shape_of(source) is None


@pytest.mark.parametrize(
    ("dataset", "shape"),
    [("mnist", Shape(1, 28, 28, 10)), ("digits", Shape(1, 28, 28, 10)), ("cifar10", Shape(3, 32, 32, 10))],
)
def test_shape_of_built_in_data_sets(dataset: str, shape: Shape) -> None:
    assert shape_of(resolve(dataset)) == shape


@pytest.mark.parametrize(("sizes", "channels"), [((20, 5, 7), 1), ((20, 5, 7, 3), 3)])
def test_shape_of_own_files_comes_from_images_and_labels(tmp_path: Path, sizes: tuple[int, ...], channels: int) -> None:
    source = resolve(str(write_small_folder(tmp_path / "own")))
    source.files[0].write_bytes(idx_bytes(np.zeros(sizes, np.uint8)))
    source.files[1].write_bytes(idx_bytes(np.arange(20, dtype=np.uint8)))
    assert shape_of(source) == Shape(channels, rows=5, columns=7, classes=20)
    source.files[1].write_bytes(b"")
    assert shape_of(source) is None
