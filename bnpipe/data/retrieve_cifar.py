"""Retrieve the files of CIFAR-10: use those that are there, or take them from the first mirror that has them.

The files are pickles, which can run any code when they are read. So they are used only if they have torchvision's MD5
sums, whichever mirror they come from.
"""

import hashlib
import logging
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write
from bnpipe.data.cifar import torchvision_cifar10
from bnpipe.data.contents import START, describe
from bnpipe.data.download import FAILURES, download, explain, proxy_note
from bnpipe.data.layouts import fault_of
from bnpipe.data.mirrors import Mirror, parse_mirror

log = logging.getLogger(__name__)


def retrieve_cifar10(folder: Path, mirrors: Sequence[str] = ()) -> Path:
    """Make sure that ``folder`` has the files of CIFAR-10, unpacked; return it.

    Files that are there already, and the archive too, are used without network access. A mirror is a folder with the
    unpacked files or the archive, or a server that has the archive. Without ``mirrors``, torchvision's is used. Raises
    InputError if no mirror provides files with the right MD5 sums.
    """
    published = torchvision_cifar10()
    if _fault_of_files(folder) is None:
        return folder
    archive = folder / published.filename
    faults: list[str] = []
    if archive.exists() and _unpack(archive, folder, faults):
        return folder
    for mirror in map(parse_mirror, mirrors or [published.url.removesuffix(published.filename)]):
        take = _copy if mirror.folder else _download
        if take(mirror, folder, faults):
            return folder
    raise InputError(
        f"dataset cifar10: no mirror gave {archive.name} ({'; '.join(faults)}); put that file, or the folder "
        f"{published.base_folder} that it holds, into {folder}/, or add another mirror to mirrors"
    )


def _sums() -> dict[str, str]:
    """Return the MD5 sums of the files, by name."""
    published = torchvision_cifar10()
    meta = published.meta
    return {**dict([*published.train_list, *published.test_list]), meta["filename"]: meta["md5"]}


def _fault_of_files(root: Path) -> str | None:
    """Return a line that says why the folder below a root does not have all files, or None if it does."""
    folder = root / torchvision_cifar10().base_folder
    return next((fault for name, md5 in _sums().items() if (fault := _fault(folder / name, md5))), None)


def _fault(path: Path, md5: str) -> str | None:
    """Return a line that says what is wrong with a file, or None if it has this MD5 sum."""
    if fault := fault_of(path):
        return fault
    with path.open("rb") as content:
        found = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        content.seek(0)
        instead = describe(content.read(START)) or found
    return None if found == md5 else f"{path}: expected MD5 {md5}, got {instead}"


def _unpack(archive: Path, folder: Path, faults: list[str]) -> bool:
    """Unpack the archive into a folder; if it is not the right one, add to the faults and return False."""
    published = torchvision_cifar10()
    if fault := _fault(archive, published.tgz_md5):
        faults.append(fault)
        return False
    with tarfile.open(archive) as packed:
        for name in _sums():
            content = packed.extractfile(f"{published.base_folder}/{name}")
            assert content is not None  # by the archive's MD5 sum
            with atomic_write(folder / published.base_folder / name) as path, path.open("wb") as file:
                shutil.copyfileobj(content, file)
    log.info("unpacked %s", archive)
    return True


def _copy(mirror: Mirror, folder: Path, faults: list[str]) -> bool:
    """Take the files from a mirror that is a folder; if that fails, add to the faults and return False."""
    assert mirror.folder
    published = torchvision_cifar10()
    archive = mirror.folder / published.filename
    if archive.exists():
        return _unpack(archive, folder, faults)
    root = mirror.folder.parent if mirror.folder.name == published.base_folder else mirror.folder
    if fault := _fault_of_files(root):
        faults.append(fault)
        return False
    for name in _sums():
        with atomic_write(folder / published.base_folder / name) as path:
            shutil.copyfile(root / published.base_folder / name, path)
    log.info("copied %s", root / published.base_folder)
    return True


def _download(mirror: Mirror, folder: Path, faults: list[str]) -> bool:
    """Take the archive from a server and unpack it; if that fails, add to the faults and return False."""
    published = torchvision_cifar10()
    try:
        with atomic_write(folder / published.filename) as unchecked:
            download(mirror, published.filename, unchecked)
            if fault := _fault(unchecked, published.tgz_md5):
                raise InputError(fault.removeprefix(f"{unchecked}: ") + proxy_note(mirror))
    except InputError as error:
        faults.append(f"{mirror.shown(published.filename)}: {error}")
    except FAILURES as error:
        faults.append(f"{mirror.shown(published.filename)}: {explain(error, mirror)}")
    else:
        log.info("downloaded %s", mirror.shown(published.filename))
        return _unpack(folder / published.filename, folder, faults)
    log.warning("%s", faults[-1])
    return False
