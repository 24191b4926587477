"""Where the images come from: the built-in data sets, their mirrors and checksums, or the user's own folder."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.core.settings import DIGITS_SPLIT
from bnpipe.data.idx import peek_count

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

# Of the decompressed files, because mirrors compress them differently.
MNIST_PAYLOAD_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

TITLES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "digits": "scikit-learn's digits (not MNIST)",
}
TRAINING_FILE_IMAGES = {"mnist": 60_000, "fashion_mnist": 60_000, "kmnist": 60_000, "digits": sum(DIGITS_SPLIT[:2])}
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Source:
    """A data set that can be named in the configuration."""

    name: str  # part of every path of its results
    title: str  # as figures and pages show it
    files: tuple[Path, ...] = ()  # the four files of the user's own folder; empty for a built-in data set


def resolve(dataset: str) -> Source:
    """Find what the configuration's ``dataset`` means.

    Raises InputError if it is neither a built-in name nor a folder that contains the four files.
    """
    if dataset in TITLES:
        return Source(dataset, TITLES[dataset])
    folder = _existing_folder(dataset)
    if folder is None:
        names = ", ".join(TITLES)
        raise InputError(f"dataset: expected one of {names}, or an existing folder, got {dataset!r}")
    name = folder.resolve().name
    if not SAFE_NAME.fullmatch(name):
        raise InputError(
            "dataset: expected a folder whose name has only letters, digits, '_' and '-' (at most 64; paths contain "
            f"it), got {name!r}; rename the folder"
        )
    if name in TITLES:  # so that results of own files never mix with those of the built-in data set
        name = f"{name}-folder"
    return Source(name, f"{name} (own files)", tuple(_find(folder, file) for file in FILES))


def mirror_url(mirror: str) -> str:
    """Turn a mirror, a URL or a folder, into a URL that ends with a slash.

    Raises InputError if it is neither a URL (http, https, file) nor an existing folder.
    """
    if re.fullmatch(r"(https?|file)://\S+", mirror, re.IGNORECASE):
        return mirror.rstrip("/") + "/"
    folder = _existing_folder(mirror)
    if folder is None:
        raise InputError(f"mirrors: expected a URL (http, https, file) or an existing folder, got {mirror!r}")
    return folder.resolve().as_uri() + "/"


def check_mirrors(mirrors: Sequence[str]) -> None:
    """Raise InputError if a mirror is neither a URL nor an existing folder."""
    for mirror in mirrors:
        mirror_url(mirror)


def check_sizes(source: Source, validation_images: int, batch_size: int) -> None:
    """Raise InputError if there are too few training images for the validation images and one batch."""
    images = TRAINING_FILE_IMAGES.get(source.name) if not source.files else peek_count(source.files[0])
    if images is None:  # a damaged file: the job that reads it will say what is wrong
        return
    if source.name == "digits":
        validation_images = DIGITS_SPLIT[1]
    if validation_images >= images:
        raise InputError(
            f"validation_images: expected at most {images - 1} (the data set has {images} training images), "
            f"got {validation_images}"
        )
    if batch_size > images - validation_images:
        raise InputError(
            f"batch_size: expected at most {images - validation_images} (the number of training images), "
            f"got {batch_size}"
        )


def _existing_folder(text: str) -> Path | None:
    try:
        folder = Path(text).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # too long a name, an unknown user, a null character
        return None


def _find(folder: Path, file: str) -> Path:
    for path in (folder / file, folder / f"{file}.gz"):
        if path.is_file():
            return path
    raise InputError(f"dataset: expected {', '.join(FILES)} (plain or .gz) in {folder}, got no {file}")


if __name__ == "__main__":  # for the Makefile: the name of a data set in paths
    try:
        print(resolve(sys.argv[1]).name)
    except InputError as error:
        sys.exit(error.for_terminal())
