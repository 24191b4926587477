"""Turn any data set into one packed file: the work of the workflow's rule ``data``."""

from collections.abc import Sequence
from pathlib import Path

from bnpipe.core.settings import DIGITS_SPLIT
from bnpipe.data.digits import read_digits
from bnpipe.data.idx import read_images, read_labels
from bnpipe.data.packed import pack
from bnpipe.data.retrieve import retrieve
from bnpipe.data.sources import resolve


def prepare(dataset: str, mirrors: Sequence[str], validation_images: int, download_folder: Path, packed: Path) -> None:
    """Retrieve, check, decode, split and pack a data set.

    dataset: built-in name or folder, as in the configuration. download_folder: where downloaded files are kept.
    ``digits`` has a split of its own, 1,197 / 300 / 300, whatever ``validation_images`` says.
    Raises InputError if a file is damaged or no mirror has it.
    """
    if dataset == "digits":
        images, labels = read_digits()
        _, validation, test = DIGITS_SPLIT  # the last images are the test set
        return pack((images[:-test], labels[:-test]), (images[-test:], labels[-test:]), validation, packed)
    files = resolve(dataset).files or retrieve(dataset, download_folder, mirrors)
    train_images, train_labels, test_images, test_labels = files
    return pack(
        (read_images(train_images), read_labels(train_labels)),
        (read_images(test_images), read_labels(test_labels)),
        validation_images,
        packed,
    )
