from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from bnpipe.core.settings import Shape
from bnpipe.data.cifar import read_cifar10
from bnpipe.data.packed import open_dataset
from bnpipe.data.prepare import prepare
from tests.cifar_files import images_of, known_as_cifar10, labels_of, write_cifar10


def test_the_channels_of_a_pixel_are_brought_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known_as_cifar10(monkeypatch, write_cifar10(tmp_path))
    (train, train_labels), (test, test_labels) = read_cifar10(tmp_path)
    np.testing.assert_array_equal(train[4:8].transpose(0, 3, 1, 2), images_of("data_batch_2"))
    np.testing.assert_array_equal(test.transpose(0, 3, 1, 2), images_of("test_batch"))
    assert train_labels.tolist() == [*range(10), *range(10)]
    assert test_labels.tolist() == labels_of("test_batch") == [0, 1, 2, 3, 4, 5]
    # torchvision shows the same pixel: image 5 of the training files, second row, fifth column, red to blue.
    assert list(CIFAR10(tmp_path)[5][0].getpixel((4, 1))) == train[5, 1, 4].tolist()


def test_cifar10_is_packed_like_any_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known_as_cifar10(monkeypatch, write_cifar10(tmp_path / "torchvision"))
    prepare("cifar10", [str(tmp_path / "torchvision")], 7, tmp_path / "cifar10", tmp_path / "packed")
    dataset = open_dataset(tmp_path / "packed")
    assert dataset.train.shape == Shape(channels=3, rows=32, columns=32, classes=10)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (13, 7, 6)
    np.testing.assert_array_equal(
        dataset.test.pixels.reshape(6, 32, 32, 3), images_of("test_batch").transpose(0, 2, 3, 1)
    )
    assert dataset.train.labels[:4].tolist() == [7, 8, 9, 0]
