"""Turn any data set into one packed file: the work of the workflow's rule ``data``."""

import logging
from collections.abc import Sequence
from pathlib import Path

from bnpipe.core.settings import DIGITS_SPLIT
from bnpipe.data.checksums import identify
from bnpipe.data.cifar import read_cifar10
from bnpipe.data.digits import read_digits
from bnpipe.data.idx import read_images, read_labels
from bnpipe.data.packed import pack
from bnpipe.data.retrieve import retrieve
from bnpipe.data.retrieve_cifar import retrieve_cifar10
from bnpipe.data.sources import TITLES, resolve

log = logging.getLogger(__name__)


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
    if dataset == "cifar10":
        return pack(*read_cifar10(retrieve_cifar10(download_folder, mirrors)), validation_images, packed)
    source = resolve(dataset)
    if source.files and (known := identify(source.files)):
        folder = source.files[0].parent
        log.warning(
            "dataset %s: by their checksums these are the files of %s; results stay under %s, apart from those of the "
            "built-in data set; to add to those, set dataset: %s and mirrors: [%s]",
            *(dataset, TITLES[known], source.name, known, folder),
        )
    train_images, train_labels, test_images, test_labels = source.files or retrieve(dataset, download_folder, mirrors)
    return pack(
        (read_images(train_images), read_labels(train_labels)),
        (read_images(test_images), read_labels(test_labels)),
        validation_images,
        packed,
    )
