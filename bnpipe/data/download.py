"""Download a file from the server of a mirror, and explain in one line why a download failed."""

import http.client
import os
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPPasswordMgrWithPriorAuth,
    Request,
    build_opener,
    getproxies,
    proxy_bypass,
)

from tqdm import tqdm

from bnpipe.core.secrets import mask, mask_url
from bnpipe.data.mirrors import Mirror

SILENCE_LIMIT = 20.0  # seconds that a mirror may send nothing
FILE_LIMIT = 600.0  # seconds that a file may take from one mirror
MAX_FILE_SIZE = 1 << 28  # bytes; about 1.5 times the largest of the files, CIFAR-10's archive

# The errors that a download can raise. ValueError: a malformed URL or answer.
FAILURES = (OSError, http.client.HTTPException, ValueError)


def download(mirror: Mirror, file: str, target: Path) -> None:
    """Download a file, with a progress bar if standard error is a terminal.

    Raises one of FAILURES if the download fails, falls silent or takes too long. (torchvision's helper requests each
    file twice, falls back from https to http, and has no time limit.)
    """
    deadline = time.monotonic() + FILE_LIMIT
    with _open(mirror, file, SILENCE_LIMIT) as response, target.open("wb") as content:
        announced = int(response.headers["Content-Length"] or 0) or None
        with tqdm(desc=file, total=announced, unit="B", unit_scale=True, disable=None, leave=False) as bar:
            while chunk := response.read1(1 << 16):
                content.write(chunk)
                bar.update(len(chunk))
                if time.monotonic() > deadline:
                    raise TimeoutError(f"took longer than {FILE_LIMIT:.0f} s")
                if content.tell() > MAX_FILE_SIZE:
                    raise OSError(f"larger than {MAX_FILE_SIZE} bytes")
        if announced is not None and content.tell() != announced:
            raise OSError(f"cut off: {content.tell()} bytes of {announced}")


def first_bytes(mirror: Mirror, file: str, size: int, limit: float) -> bytes:
    """Return the beginning of a file. Raises one of FAILURES if that fails or nothing arrives for ``limit`` seconds."""
    with _open(mirror, file, limit) as response:
        return bytes(response.read(size))


def is_missing(error: Exception) -> bool:
    """Return whether a download failed because the server does not have the file."""
    return isinstance(error, urllib.error.HTTPError) and error.code == http.client.NOT_FOUND


def explain(error: Exception, mirror: Mirror) -> str:
    """Return why a download failed, as part of a line: without secrets, and with the proxy that was asked."""
    reason: object = error
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it holds the connection
    elif isinstance(error, urllib.error.URLError):
        reason = error.reason
    text = " ".join(str(reason).split()) or type(error).__name__
    advice = ""
    if isinstance(error, urllib.error.HTTPError) and error.code == http.client.UNAUTHORIZED:
        advice = "; expected a user and a password that the server knows, in the URL: https://user:password@host/"
    return mask(mirror.without_secrets(text)) + advice + proxy_note(mirror)


def proxy_note(mirror: Mirror) -> str:
    """Return "; asked through the proxy ..." if the environment sets a proxy for a mirror, otherwise ""."""
    try:
        parts = urlsplit(mirror.url(""))
    except ValueError:
        return ""
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.netloc):
        return ""
    variables = (f"{parts.scheme}_proxy", f"{parts.scheme}_proxy".upper())
    variable = next((name for name in variables if os.environ.get(name)), "the system's settings")
    return (
        f"; asked through the proxy {mask_url(proxy)} of {variable}: if that is wrong, unset it, or add "
        f"{parts.hostname} to no_proxy"
    )


@contextmanager
def _open(mirror: Mirror, file: str, limit: float) -> Iterator[Any]:
    """Yield the server's answer to a request for a file.

    User and password are sent only to the host of the URL, not to a host that it redirects to.
    """
    url = quote(mirror.url(file), safe="%/:=&?~#+!$,;'@()*[]|")  # encodes letters like é
    opener = build_opener()
    if mirror.credentials:
        passwords = HTTPPasswordMgrWithPriorAuth()
        host = "{0.scheme}://{0.netloc}/".format(urlsplit(url))
        passwords.add_password(None, host, *mirror.credentials, is_authenticated=True)
        opener = build_opener(HTTPBasicAuthHandler(passwords))
    with opener.open(Request(url, headers={"User-Agent": "bnpipe"}), timeout=limit) as response:
        yield response
