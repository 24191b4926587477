"""What the files of the built-in data sets contain, by checksum, and whether a file is one of them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.data.contents import describe
from bnpipe.data.idx import read_payload
from bnpipe.data.layouts import FILES
from bnpipe.data.sources import TITLES

# Checksums of the decompressed files, because gzip files of the same content differ. Each was compared with at least
# one other source, or computed from a gzip file with the MD5 sum that torchvision knows. Only KMNIST's training images
# have an MD5 sum: we found no SHA-256 sum of their content, but the key of an unpacked copy in a git-annex repository.
PAYLOADS = {
    "mnist": {
        "train-images-idx3-ubyte": "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    "kmnist": {
        "train-images-idx3-ubyte": "md5:92be26ec9822e900ac425d0a0aa84ced",
        "train-labels-idx1-ubyte": "sha256:2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b",
        "t10k-images-idx3-ubyte": "sha256:76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e",
        "t10k-labels-idx1-ubyte": "sha256:a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6",
    },
}
_NAMES = {"sha256": "SHA-256", "md5": "MD5"}


def check_payload(path: Path, dataset: str, file: str) -> None:
    """Raise InputError if a file, plain or gzip, does not have the content of this file of a built-in data set.

    file: one of FILES.
    """
    payload = read_payload(path)
    algorithm, _, expected = PAYLOADS[dataset][file].partition(":")
    found = _digest(payload, algorithm)
    if found != expected:
        other = next((TITLES[name] for name in PAYLOADS if PAYLOADS[name][file] in _digests(payload)), "")
        instead = describe(payload) or (f"the one of {other}" if other else found)
        raise InputError(f"{path}: expected {_NAMES[algorithm]} {expected} of the decompressed content, got {instead}")


def identify(paths: Sequence[Path]) -> str | None:
    """Return the built-in data set that has the content of these four files, or None if none has.

    paths: the files in the order of FILES. Raises InputError if one cannot be read.
    """
    candidates = list(PAYLOADS)
    for file, path in reversed(list(zip(FILES, paths, strict=True))):  # small files first
        payload = read_payload(path)
        candidates = [name for name in candidates if PAYLOADS[name][file] in _digests(payload)]
        if not candidates:
            return None
    return candidates[0]


def _digests(payload: bytes) -> list[str]:
    return [f"{algorithm}:{_digest(payload, algorithm)}" for algorithm in _NAMES]


def _digest(payload: bytes, algorithm: str) -> str:
    return hashlib.new(algorithm, payload, usedforsecurity=False).hexdigest()
