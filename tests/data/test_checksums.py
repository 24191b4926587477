import gzip
import re
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.data.checksums import PAYLOADS, check_payload, identify
from bnpipe.data.layouts import FILES
from tests.idx_files import REAL_MNIST, known_as, needs_real_mnist, write_small_folder


def test_every_file_of_every_data_set_has_a_checksum_of_its_own() -> None:
    assert all(list(sums) == list(FILES) for sums in PAYLOADS.values())
    values = [value for sums in PAYLOADS.values() for value in sums.values()]
    assert len(set(values)) == 12
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", value) for value in values)


@pytest.mark.parametrize("compressed", [False, True])
def test_content_counts_and_not_its_wrapper(compressed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known_as(monkeypatch, "kmnist")
    folder = write_small_folder(tmp_path / "own", compressed=compressed)
    paths = [folder / (f"{name}.gz" if compressed else name) for name in FILES]
    for name, path in zip(FILES, paths, strict=True):
        check_payload(path, "kmnist", name)
    assert identify(paths) == "kmnist"
    assert identify([paths[2], *paths[1:]]) is None
    assert identify(paths[::-1]) is None


@pytest.mark.parametrize("dataset", PAYLOADS)
def test_other_content_is_refused(dataset: str, tmp_path: Path) -> None:
    folder = write_small_folder(tmp_path / "own")
    with pytest.raises(InputError, match=r"(SHA-256|MD5) [0-9a-f]+ of the decompressed content, got [0-9a-f]+$"):
        check_payload(folder / FILES[0], dataset, FILES[0])
    (folder / FILES[0]).write_bytes(gzip.compress(b"<html>"))
    with pytest.raises(InputError, match=r"of the decompressed content, got an HTML page"):
        check_payload(folder / FILES[0], dataset, FILES[0])


def test_file_of_another_data_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known_as(monkeypatch, "kmnist")
    folder = write_small_folder(tmp_path / "own")
    with pytest.raises(InputError, match=r"of the decompressed content, got the one of KMNIST$"):
        check_payload(folder / FILES[0], "mnist", FILES[0])


@needs_real_mnist
def test_real_mnist_is_recognized() -> None:
    assert identify([REAL_MNIST / f"{name}.gz" for name in FILES]) == "mnist"
