import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from benchmarks.made_up import SHAPE
from bnpipe.core.errors import InputError
from bnpipe.core.settings import Shape
from bnpipe.data.packed import Dataset, Images, classes_of, open_dataset, pack
from tests.idx_files import some_images, some_labels

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # images and labels

TRAIN = (some_images(20), some_labels(20))
TEST = (some_images(6, first=100), some_labels(6))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Pack 20 training and 6 test images, 5 of the former for validation."""
    path = tmp_path / "folder" / "packed.safetensors"
    pack(TRAIN, TEST, 5, path)
    return path


@pytest.fixture
def dataset(packed: Path) -> Dataset:
    return open_dataset(packed)


def refusal(path: Path) -> str:
    """Open a bad file; return its error, which is one line and names the file."""
    with pytest.raises(InputError) as raised:
        open_dataset(path)
    line = str(raised.value)
    assert line.startswith(f"{path}: expected a packed data set, got something else (")
    assert line.endswith("; delete it and run the same command again")
    assert "\n" not in line
    return line


def test_first_training_images_are_split_off_for_validation(dataset: Dataset) -> None:
    # Every pixel of an image holds its number in the file; test images count from 100.
    for images, numbers, labels in (
        (dataset.validation, range(5), [0, 1, 2, 3, 4]),
        (dataset.train, range(5, 20), [5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (dataset.test, range(100, 106), [0, 1, 2, 3, 4, 5]),
    ):
        assert len(images) == len(numbers)
        np.testing.assert_array_equal(images.pixels, np.array(numbers)[:, np.newaxis] * np.ones(784))
        assert images.labels.tolist() == labels


def test_pixels_keep_the_order_of_rows(tmp_path: Path) -> None:
    image = np.arange(784).reshape(1, 28, 28).astype(np.uint8)  # row after row, modulo 256
    pack((np.repeat(image, 2, axis=0), some_labels(2)), (image, some_labels(1)), 1, tmp_path / "packed")
    pixels = open_dataset(tmp_path / "packed").test.pixels
    assert pixels[0, [0, 1, 28, 255, 256, 783]].tolist() == [0, 1, 28, 255, 0, 15]  # 783 = 3 * 256 + 15


def test_checksum_is_of_all_images_and_labels(dataset: Dataset) -> None:
    (train_images, train_labels), (test_images, test_labels) = TRAIN, TEST
    parts = [train_images[5:], train_labels[5:], train_images[:5], train_labels[:5], test_images, test_labels]
    assert dataset.sha256 == hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def test_checksum_tells_data_apart(dataset: Dataset, tmp_path: Path) -> None:
    labels = TRAIN[1].copy()
    labels[0] = 9
    pack((TRAIN[0], labels), TEST, 5, tmp_path / "other")
    assert open_dataset(tmp_path / "other").sha256 != dataset.sha256


def test_checksum_tells_shapes_apart_that_have_the_same_bytes(tmp_path: Path) -> None:
    sums = set()
    for number, shape in enumerate([(28, 28, 1), (14, 56, 1), (56, 14, 1), (14, 14, 4)]):
        train, test = ((images.reshape(-1, *shape), labels) for images, labels in (TRAIN, TEST))
        pack(train, test, 5, tmp_path / str(number))
        images = open_dataset(tmp_path / str(number)).train
        assert images.shape == Shape(shape[2], *shape[:2], 10)
        assert images.first(2).binarized().shape == images.shape
        sums.add(open_dataset(tmp_path / str(number)).sha256)
    assert len(sums) == 4


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, 2, 1], None),
        ([0, 1, 3, 3, 1], "^training files: expected every label from 0 to 3, the largest, got no 2; number"),
        ([1, 2, 1, 2, 1], "^training files: expected every label from 0 to 2, the largest, got no 0; number"),
        ([0, 0, 0, 0, 0], "^training files: expected labels of at least two classes, got only 0; replace"),
    ],
)
def test_classes_are_counted(labels: list[int], message: str | None) -> None:
    if message is None:
        assert classes_of(np.array(labels, np.uint8)) == 3
    else:
        with pytest.raises(InputError, match=message):
            classes_of(np.array(labels, np.uint8))


def test_arrays_are_of_the_kind_that_compiled_code_takes(dataset: Dataset) -> None:
    # Of another kind, even if it is only read-only, everything would be compiled a second time; PyTorch would warn.
    for images in (dataset.train, dataset.validation, dataset.test):
        for array, number in ((images.pixels, np.uint8), (images.labels, np.int64)):
            assert type(array) is np.ndarray
            assert array.dtype == number
            assert array.flags.c_contiguous
            assert array.flags.aligned
            assert array.flags.writeable


def test_images_are_taken_in_the_order_of_their_indices(dataset: Dataset) -> None:
    # Training image i is number 5 + i of the file.
    for chosen, numbers, labels in (
        (np.array([0, 14, 3, 3]), [5, 19, 8, 8], [5, 9, 8, 8]),
        (slice(1, 3), [6, 7], [6, 7]),
        (dataset.train.labels == 9, [9, 19], [9, 9]),
    ):
        taken = dataset.train.take(chosen)
        assert taken.pixels.shape == (len(numbers), 784)
        np.testing.assert_array_equal(taken.pixels, np.array(numbers)[:, np.newaxis] * np.ones(784))
        assert taken.labels.tolist() == labels


@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_pixels_are_divided_by_255_exactly(number: type[np.floating]) -> None:
    values = np.resize(np.arange(256), 784).astype(np.uint8)
    images = Images(pixels=values[np.newaxis].copy(), labels=np.zeros(1, np.int64), shape=SHAPE)
    shown = images.shown(number)
    assert shown.dtype == number
    assert shown.shape == (1, 784)
    assert shown.tobytes() == (values.astype(number) / number(255)).tobytes()
    assert (shown.min(), shown.max()) == (0, 1)
    assert images.pixels.tobytes() == values.tobytes()  # the file's own bytes stay
    assert images.shown().tobytes() == images.shown(np.float32).tobytes()


@pytest.mark.parametrize(("rows", "sizes"), [(4, [4, 4, 4, 3]), (5, [5, 5, 5]), (15, [15]), (100, [15]), (1, [1] * 15)])
def test_chunks_cover_all_images_in_order(dataset: Dataset, rows: int, sizes: list[int]) -> None:
    chunks = list(dataset.train.chunks(rows))
    assert [len(chunk) for chunk in chunks] == [len(chunk.pixels) for chunk in chunks] == sizes
    np.testing.assert_array_equal(np.concatenate([chunk.pixels for chunk in chunks]), dataset.train.pixels)
    assert np.concatenate([chunk.labels for chunk in chunks]).tolist() == [*range(5, 10), *range(10)]


def test_packing_twice_gives_equal_bytes(packed: Path, tmp_path: Path) -> None:
    pack(TRAIN, TEST, 5, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == packed.read_bytes()
    assert [path.name for path in packed.parent.iterdir()] == ["packed.safetensors"]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ((TRAIN[0], TRAIN[1][:-1]), TEST, "training files: .*, got 19 for 20;"),
        ((TRAIN[0][:-2], TRAIN[1]), TEST, "training files: .*, got 20 for 18;"),
        (TRAIN, (TEST[0], some_labels(7)), "test files: expected as many labels as images, got 7 for 6;"),
    ],
)
def test_counts_that_differ(train: Arrays, test: Arrays, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        pack(train, test, 5, tmp_path / "packed")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [20, 21, 5000, 0, -1])
def test_validation_images_that_do_not_fit(count: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^validation_images: expected 1 to 19 \\(.*, got {count}$"):
        pack(TRAIN, TEST, count, tmp_path / "packed")
    assert list(tmp_path.iterdir()) == []


def test_one_training_image_may_be_left(tmp_path: Path) -> None:
    pack(TRAIN, TEST, 19, tmp_path / "packed")
    assert open_dataset(tmp_path / "packed").train.labels.tolist() == [9]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[:4],
        lambda content: content[:100],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda _: b"garbage" * 100,
        lambda content: b"\xff" * len(content),
        lambda content: content[:8] + b"[" + content[9:],
        lambda content: content.replace(b"validation_images", b"validation_imaged"),
        lambda content: content.replace(b"bnpipe_dataset", b"bnpipe_dataget"),
        lambda content: content.replace(b"sha256", b"sha257"),
        lambda content: content.replace(b'rows\\": 28', b'rows\\": 29'),
    ],
    ids=[
        *("empty", "half a length", "half a header", "half", "a byte less", "a byte more", "garbage", "ones"),
        *("broken header", "no validation images", "no description", "no checksum", "another shape"),
    ],
)
def test_damaged_file_is_refused(packed: Path, damage: Callable[[bytes], bytes]) -> None:
    packed.write_bytes(damage(packed.read_bytes()))
    refusal(packed)


def test_other_things_are_refused(tmp_path: Path) -> None:
    refusal(tmp_path / "missing")
    refusal(tmp_path)
    save_file({"weights": np.zeros(3)}, tmp_path / "other")
    refusal(tmp_path / "other")


def test_the_first_images_and_black_and_white_ones(dataset: Dataset) -> None:
    few = dataset.train.first(3)
    np.testing.assert_array_equal(few.pixels, dataset.train.pixels[:3])
    np.testing.assert_array_equal(few.labels, dataset.train.labels[:3])
    assert len(dataset.train.first(None)) == len(dataset.train.first(10**9)) == len(dataset.train)
    black_and_white = Images(np.array([[0, 127, 128, 255]], np.uint8), np.array([1]), SHAPE).binarized()
    assert black_and_white.pixels.tolist() == [[0, 0, 255, 255]]
    assert black_and_white.pixels.dtype == np.uint8
    assert black_and_white.labels.tolist() == [1]
