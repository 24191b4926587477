"""Download the files of a built-in data set, each from the first mirror that provides a valid one."""

import hashlib
import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write
from bnpipe.data.idx import read_payload
from bnpipe.data.sources import FILES, MNIST_PAYLOAD_SHA256, TITLES, mirror_url

SILENCE_LIMIT = 20.0  # seconds that a mirror may send nothing
FILE_LIMIT = 600.0  # seconds that a file may take from one mirror
MAX_FILE_SIZE = 1 << 28  # bytes; more than ten times the largest of the files

log = logging.getLogger(__name__)

Check = Callable[[Path], None]  # raises InputError if the file is not the right one


def retrieve(dataset: str, folder: Path, mirrors: Sequence[str] = ()) -> list[Path]:
    """Make sure that ``folder`` has the four gzip files of ``dataset``; return them in the order of FILES.

    Valid files that are there already are used without network access; a wrong one is logged and downloaded again.
    Without ``mirrors``, torchvision's are used. Raises InputError if no mirror provides a valid file.
    """
    checks = _checks(dataset)
    paths = [folder / f"{name}.gz" for name in FILES]
    wrong = [path for path in paths if not _is_valid(path, checks[path.name])]
    urls = [mirror_url(mirror) for mirror in mirrors or torchvision_dataset(dataset).mirrors] if wrong else []
    for path in wrong:
        _fetch(dataset, path, checks[path.name], urls)
    return paths


def torchvision_dataset(dataset: str) -> Any:
    """Return torchvision's class for a data set: it knows the mirrors and the MD5 sums of the gzip files."""
    from torchvision import datasets  # takes seconds, so import it only if it is needed

    return {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}[dataset]


def download(url: str, target: Path) -> None:
    """Download a URL to a file, with a progress bar if standard error is a terminal.

    Raises OSError, http.client.HTTPException or ValueError (a malformed URL or answer) if the download fails, falls
    silent or takes too long. (torchvision's helper requests each file twice, falls back from https to http, and has
    no time limit.)
    """
    request = urllib.request.Request(url, headers={"User-Agent": "bnpipe"})
    deadline = time.monotonic() + FILE_LIMIT
    with urllib.request.urlopen(request, timeout=SILENCE_LIMIT) as response, target.open("wb") as file:
        announced = int(response.headers["Content-Length"] or 0) or None
        with tqdm(desc=target.name, total=announced, unit="B", unit_scale=True, disable=None, leave=False) as bar:
            while chunk := response.read1(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
                if time.monotonic() > deadline:
                    raise TimeoutError(f"took longer than {FILE_LIMIT:.0f} s")
                if file.tell() > MAX_FILE_SIZE:
                    raise OSError(f"larger than {MAX_FILE_SIZE} bytes")
        if announced is not None and file.tell() != announced:
            raise OSError(f"cut off: {file.tell()} bytes of {announced}")


def _is_valid(path: Path, check: Check) -> bool:
    """Return whether a file is there and valid; log a wrong one."""
    if not path.exists():
        return False
    try:
        check(path)
    except InputError as error:
        log.warning("%s; downloading it again", error)
        return False
    return True


def _fetch(dataset: str, path: Path, check: Check, urls: Sequence[str]) -> None:
    """Download a file from the first URL that provides a valid one; no invalid file ever gets its name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be created ({error})") from error
    faults = []
    for url in (base + path.name for base in urls):
        try:
            _fetch_from(url, path, check)
        except (OSError, http.client.HTTPException, ValueError, InputError) as error:
            reason = error.reason if type(error) is urllib.error.URLError else error
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            faults.append(f"{url}: {reason or type(error).__name__}")
            log.warning("%s", faults[-1])
        else:
            log.info("downloaded %s", url)
            return
    raise InputError(
        f"dataset {dataset}: no mirror gave {path.name} ({'; '.join(faults)}); put the four files of "
        f"{TITLES[dataset]} into {path.parent}/, add another mirror to mirrors, or set dataset: digits"
    )


def _fetch_from(url: str, path: Path, check: Check) -> None:
    with atomic_write(path) as unchecked:
        download(url, unchecked)
        try:
            check(unchecked)
        except InputError as error:  # its temporary name means nothing to a reader
            raise InputError(str(error).removeprefix(f"{unchecked}: ")) from error


def _checks(dataset: str) -> dict[str, Check]:
    """Return a check for each file: of MNIST by the decompressed content, of others by torchvision's MD5."""
    if dataset == "mnist":
        return {f"{name}.gz": partial(_check_payload, sha256=sum_) for name, sum_ in MNIST_PAYLOAD_SHA256.items()}
    return {name: partial(_check_file, md5=md5) for name, md5 in torchvision_dataset(dataset).resources}


def _check_payload(path: Path, sha256: str) -> None:
    found = hashlib.sha256(read_payload(path)).hexdigest()
    if found != sha256:
        raise InputError(f"{path}: expected SHA-256 {sha256} of the decompressed content, got {found}")


def _check_file(path: Path, md5: str) -> None:
    try:
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if found != md5:
        raise InputError(f"{path}: expected MD5 {md5}, got {found}")
