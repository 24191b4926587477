"""Retrieve the files of a built-in data set: use those that are there, and take the others from a mirror."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write
from bnpipe.data.checksums import check_payload
from bnpipe.data.contents import START, describe
from bnpipe.data.download import FAILURES, download, explain, first_bytes, is_missing, proxy_note
from bnpipe.data.idx import GZIP_MAGIC, IDX_MAGIC
from bnpipe.data.layouts import FILES, fault_of, find_all, is_folder, places
from bnpipe.data.mirrors import Mirror, parse_mirror
from bnpipe.data.sources import TITLES

log = logging.getLogger(__name__)


def retrieve(dataset: str, folder: Path, mirrors: Sequence[str] = ()) -> list[Path]:
    """Make sure that ``folder`` has the four files of ``dataset``, plain or gzip; return them in the order of FILES.

    Valid files that are there already are used without network access, in any layout; a wrong one is logged and
    retrieved again. Each missing file comes from the first mirror that has it. Without ``mirrors``, torchvision's are
    used. Raises InputError if no mirror provides a valid file.
    """
    paths = {file: _valid(dataset, file, folder) for file in FILES}
    missing = [file for file, path in paths.items() if path is None]
    sources = list(map(parse_mirror, mirrors or torchvision_dataset(dataset).mirrors)) if missing else []
    return [paths[file] or _fetch(dataset, file, folder, sources) for file in FILES]


def has_all(dataset: str, folder: Path) -> bool:
    """Return whether a folder has all four valid files of a data set. Raises InputError if it cannot be read."""
    return is_folder(folder) and all(_valid(dataset, file, folder, quiet=True) for file in FILES)


def refusal_of(mirror: Mirror, dataset: str, limit: float) -> str | None:
    """Return a line that says why a mirror does not have the files of a data set, or None if it seems to have them.

    All files of a folder are read. A server is asked only for the beginning of one file, and has ``limit`` seconds to
    answer.
    """
    if mirror.folder:
        try:
            for file in FILES:
                _find(mirror.folder, dataset, file)
        except InputError as error:
            return str(error)
        return None
    file = FILES[1]
    reasons = []
    for name in (f"{file}.gz", file):
        try:
            start = first_bytes(mirror, name, START, limit)
        except FAILURES as error:
            reasons.append(f"{mirror.shown(name)}: {explain(error, mirror)}")
            if not is_missing(error):
                break
        else:
            if start.startswith((GZIP_MAGIC, IDX_MAGIC)):
                return None
            reasons.append(f"{mirror.shown(name)}: got {describe(start) or 'another file'}{proxy_note(mirror)}")
            break
    return reasons[0]


def torchvision_dataset(dataset: str) -> Any:
    """Return torchvision's class for a data set: it knows the mirrors."""
    from torchvision import datasets  # takes seconds, so import it only if it is needed

    return {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}[dataset]


def _valid(dataset: str, file: str, folder: Path, *, quiet: bool = False) -> Path | None:
    """Return the valid file of that name in a folder, which need not exist, or None.

    If only invalid ones are there, say so in the log, unless ``quiet``.
    """
    if not is_folder(folder) or not any(file in place.files for place in places(folder)):
        return None
    try:
        return _find(folder, dataset, file)
    except InputError as error:
        if not quiet:
            log.warning("%s; downloading it again", error)
        return None


def _find(folder: Path, dataset: str, file: str) -> Path:
    """Return the file in a folder that has that name and the right content, in any layout.

    Raises InputError if there is none; it says what is wrong with each file of that name.
    """
    faults = []
    for path in find_all(folder, file):
        try:
            if fault := fault_of(path):
                raise InputError(fault)
            check_payload(path, dataset, file)
        except InputError as error:
            faults.append(str(error))
        else:
            return path
    raise InputError("; ".join(faults))


def _fetch(dataset: str, file: str, folder: Path, mirrors: Sequence[Mirror]) -> Path:
    """Take a file from the first mirror that provides a valid one; no invalid file ever gets its name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created ({error.strerror}); correct that") from error
    for target in (folder / file, folder / f"{file}.gz"):
        if is_folder(target):
            raise InputError(f"{target}: expected a file, got a folder; rename the folder, or move it away")
    faults: list[str] = []
    for mirror in mirrors:
        take = _copy if mirror.folder else _download
        path = take(mirror, dataset, file, folder, faults)
        if path:
            return path
    found = next(places(folder)).advice(file)
    advice = f"in {folder}/, {found}; or " if found else ""
    raise InputError(
        f"dataset {dataset}: no mirror gave {file} ({'; '.join(faults)}); {advice}put the four files of "
        f"{TITLES[dataset]} into {folder}/ (plain or .gz), add another mirror to mirrors, or set dataset: digits"
    )


def _copy(mirror: Mirror, dataset: str, file: str, folder: Path, faults: list[str]) -> Path | None:
    """Copy a file from a mirror that is a folder; if that fails, add to the faults and return None."""
    assert mirror.folder
    try:
        source = _find(mirror.folder, dataset, file)
        with source.open("rb") as content:
            suffix = ".gz" if content.read(2) == GZIP_MAGIC else ""
        target = folder / f"{file}{suffix}"
        with atomic_write(target) as unchecked:
            shutil.copyfile(source, unchecked)
            _check(unchecked, dataset, file)
    except (OSError, InputError) as error:
        faults.append(str(error))
        log.warning("%s", faults[-1])
        return None
    log.info("copied %s", source)
    return target


def _download(mirror: Mirror, dataset: str, file: str, folder: Path, faults: list[str]) -> Path | None:
    """Download a file from a server, as gzip or else plain; if that fails, add to the faults and return None."""
    for name in (f"{file}.gz", file):
        target = folder / name
        try:
            with atomic_write(target) as unchecked:
                download(mirror, name, unchecked)
                _check(unchecked, dataset, file)
        except InputError as error:
            reason, again = f"{error}{proxy_note(mirror)}", False
        except FAILURES as error:
            reason, again = explain(error, mirror), is_missing(error)
        else:
            log.info("downloaded %s", mirror.shown(name))
            return target
        faults.append(f"{mirror.shown(name)}: {reason}")
        log.warning("%s", faults[-1])
        if not again:
            break
    return None


def _check(unchecked: Path, dataset: str, file: str) -> None:
    """Check a file that has a temporary name, and leave this name out of the message: a reader does not know it."""
    try:
        check_payload(unchecked, dataset, file)
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{unchecked}: ")) from error
