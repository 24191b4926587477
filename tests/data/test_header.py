from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.settings import Shape
from bnpipe.data.header import check_split, read_header
from bnpipe.data.packed import open_dataset
from bnpipe.data.prepare import prepare


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    prepare("digits", [], 300, folder, folder / "packed.safetensors")
    return folder / "packed.safetensors"


def test_the_header_says_what_is_in_the_file(packed: Path) -> None:
    dataset, header = open_dataset(packed), read_header(packed)
    assert (header.sha256, header.validation_images) == (dataset.sha256, len(dataset.validation))
    assert header.shape == dataset.train.shape == Shape(channels=1, rows=28, columns=28, classes=10)
    assert check_split(packed, 300) == header


def test_another_split_is_refused_and_left_alone(packed: Path) -> None:
    with pytest.raises(InputError) as caught:
        check_split(packed, 900)
    assert str(caught.value) == (
        f"{packed}: validation_images: expected 900, as configured, got 300; "
        "delete this file to pack the images again, or undo the change"
    )
    assert packed.is_file()


@pytest.mark.parametrize("content", [None, b"", b"not this"])
def test_what_is_no_packed_data_set_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "packed.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"packed.safetensors: expected a packed data set, got something else"):
        read_header(path)
