import gzip
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from bnpipe.core.errors import InputError
from bnpipe.core.settings import Shape
from bnpipe.data.packed import Dataset, open_dataset
from bnpipe.data.prepare import prepare
from tests.idx_files import REAL_MNIST, idx_bytes, known_as, needs_real_mnist, some_labels, write_small_folder

# Of MNIST's images and labels, split at 5,000: records keep it.
MNIST_SHA256 = "ac596f41042addd5500bebb4570d1fd93620614f97f88cc16f4a744d0fbd1aec"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("digits")
    prepare("digits", [], 5000, folder, folder / "packed.safetensors")
    assert [path.name for path in folder.iterdir()] == ["packed.safetensors"]
    return open_dataset(folder / "packed.safetensors")


def test_digits_are_split_in_scikit_learns_order(digits: Dataset) -> None:
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (1197, 300, 300)
    labels = np.concatenate([digits.validation.labels, digits.train.labels, digits.test.labels])
    assert labels.tolist() == load_digits().target.tolist()
    pixels = np.concatenate([digits.validation.pixels, digits.train.pixels, digits.test.pixels])
    # The first pixel of each square of 3 x 3, in sixteenths again, is the original.
    small = pixels.reshape(-1, 28, 28)[:, 2:26:3, 2:26:3].astype(np.float64) * 16 / 255
    assert np.array_equal(small.round(), load_digits().images)


def test_own_folder_plain_or_gzip(tmp_path: Path) -> None:
    for name, compressed in (("plain", False), ("gzip", True)):
        folder = write_small_folder(tmp_path / name, compressed=compressed)
        prepare(str(folder), [], 4, tmp_path / "unused", tmp_path / f"packed-{name}")
    assert (tmp_path / "packed-plain").read_bytes() == (tmp_path / "packed-gzip").read_bytes()
    assert not (tmp_path / "unused").exists()
    dataset = open_dataset(tmp_path / "packed-plain")
    assert dataset.validation.pixels[:, 0].tolist() == [0, 1, 2, 3]
    assert dataset.train.pixels[:, 0].tolist() == list(range(4, 20))
    assert dataset.test.pixels[:, 0].tolist() == [100, 101, 102, 103, 104, 105]
    assert np.concatenate([dataset.validation.labels, dataset.train.labels]).tolist() == some_labels(20).tolist()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"\0\0\x08\x03", "train-images-idx3-ubyte: truncated"),
        (
            "t10k-labels-idx1-ubyte",
            b"\0\0\x08\x01\0\0\0\x06\x0a\0\0\0\0\0",
            "test files: .* 0 to 9, .*, got 10 at position 0; ",
        ),
        ("t10k-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x01\x09", "test files: .* labels .* images, got 1 for 6"),
        (
            "train-labels-idx1-ubyte",
            idx_bytes(np.full(20, 1, np.uint8)),
            "training files: .* from 0 to 1, .*, got no 0",
        ),
        ("t10k-images-idx3-ubyte", idx_bytes(np.zeros((6, 7, 9), np.uint8)), "test files: .* 28 x 28 .*, got 7 x 9;"),
        ("train-labels-idx1-ubyte", None, "got no train-labels-idx1-ubyte"),
    ],
)
def test_own_folder_with_a_bad_file(tmp_path: Path, file: str, content: bytes | None, message: str) -> None:
    folder = write_small_folder(tmp_path / "own")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        prepare(str(folder), [], 4, tmp_path / "unused", tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_own_folder_that_is_a_built_in_data_set_is_recognized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_small_folder(tmp_path / "own")
    prepare(str(folder), [], 4, tmp_path / "unused", tmp_path / "packed")
    assert caplog.text == ""
    known_as(monkeypatch, "fashion_mnist")
    prepare(str(folder), [], 4, tmp_path / "unused", tmp_path / "packed")
    (line,) = caplog.messages
    assert "by their checksums these are the files of Fashion-MNIST; results stay under own" in line
    assert line.endswith(f"set dataset: fashion_mnist and mirrors: [{folder}]")


def test_too_many_validation_images(tmp_path: Path) -> None:
    folder = write_small_folder(tmp_path / "own")
    with pytest.raises(InputError, match=r"validation_images: expected 1 to 19 .*, got 5000"):
        prepare(str(folder), [], 5000, tmp_path / "unused", tmp_path / "packed")


def test_mirror_that_gives_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dataset mnist: no mirror gave train-images-idx3-ubyte"):
        prepare("mnist", [f"{tmp_path.as_uri()}/nowhere"], 5000, tmp_path / "mnist", tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_folder_with_images_of_another_size_in_colour_and_of_other_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("t10k", 4)):
        images = rng.integers(0, 256, (count, 5, 7, 3), np.uint8)
        (tmp_path / f"{split}-images-idx4-ubyte").write_bytes(idx_bytes(images))
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(idx_bytes((np.arange(count) % 4).astype(np.uint8)))
    prepare(str(tmp_path), [], 2, tmp_path / "unused", tmp_path / "packed")
    dataset = open_dataset(tmp_path / "packed")
    assert dataset.test.shape == Shape(channels=3, rows=5, columns=7, classes=4)
    np.testing.assert_array_equal(dataset.test.pixels.reshape(4, 5, 7, 3), images)
    assert dataset.train.labels.tolist() == [2, 3, 0, 1, 2, 3, 0, 1, 2, 3]


@needs_real_mnist
def test_real_mnist(tmp_path: Path) -> None:
    prepare("mnist", [str(REAL_MNIST)], 5000, tmp_path / "mnist", tmp_path / "packed")
    dataset = open_dataset(tmp_path / "packed")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (55_000, 5_000, 10_000)
    assert dataset.sha256 == MNIST_SHA256
    assert dataset.validation.labels[:5].tolist() == [5, 0, 4, 1, 9]  # the well-known first five
    assert dataset.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    with gzip.open(REAL_MNIST / "train-labels-idx1-ubyte.gz") as file:
        labels = file.read()[8:]
    assert bytes(dataset.train.labels.tolist()) == labels[5000:]
    with gzip.open(REAL_MNIST / "train-images-idx3-ubyte.gz") as file:
        file.seek(16 + 5000 * 784)
        assert bytes(dataset.train.pixels[0].tolist()) == file.read(784)
