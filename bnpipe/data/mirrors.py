"""Mirrors, as the configuration names them: a folder, or the URL of a server."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from urllib.parse import unquote

from bnpipe.core.errors import InputError
from bnpipe.core.secrets import mask_url, user_end

PLACEHOLDER = "{file}"  # stands for a file's name in the URL of a mirror, if the name is not the end of the path


@dataclass(frozen=True)
class Mirror:
    """A folder or server from which the files of a data set can be taken."""

    text: str  # as configured; may hold secrets
    folder: Path | None  # None for a server; the folder of a file URL need not exist

    def __str__(self) -> str:
        return mask_url(self.text)

    def __repr__(self) -> str:
        return f"Mirror({str(self)!r})"

    def url(self, file: str) -> str:
        """Return the URL of a file, without user and password but with the secrets of the query."""
        scheme, _, rest = self.text.partition("://")
        return _insert(f"{scheme}://{rest[user_end(rest) :]}", file)

    def shown(self, file: str) -> str:
        """Return where a file is looked for, in a form for messages, without secrets."""
        return str(self) if self.folder else _insert(str(self), file)

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password of the URL, or None if it has none."""
        rest = self.text.partition("://")[2]
        end = user_end(rest)
        user, _, password = rest[: max(end - 1, 0)].partition(":")
        return (unquote(user), unquote(password)) if end else None

    def without_secrets(self, text: str) -> str:
        """Return a text about this mirror, such as another library's message, without the secrets of its URL."""
        query = self.text.partition("?")[2]
        secrets = {*(self.credentials or ()), *(part.partition("=")[2] for part in query.split("&"))}
        for secret in sorted({*secrets, *map(unquote, secrets)}, key=len, reverse=True):
            if len(secret) > 2:  # anything shorter occurs in every text
                text = text.replace(secret, "***")
        return text


def parse_mirror(text: str) -> Mirror:
    """Parse a mirror as the configuration names it.

    Raises InputError if it is neither a URL (http, https, file) nor an existing folder.
    """
    if match := re.fullmatch(r"file://(localhost)?(/\S*)", text, re.IGNORECASE):
        return Mirror(text, Path(unquote(match[2])))
    if match := re.fullmatch(r"https?://(\S+)", text, re.IGNORECASE):
        rest = match[1]
        if re.search(r"[/?#]", rest[: user_end(rest)]):
            raise InputError(
                "mirrors: expected a URL whose user and password are percent-encoded, got "
                f"{mask_url(text)!r}; write %2F for /, %3F for ?, %23 for #"
            )
        return Mirror(text, None)
    folder = existing_folder(text, "mirrors")
    if folder is None:
        raise InputError(f"mirrors: expected a URL (http, https, file) or an existing folder, got {mask_url(text)!r}")
    return Mirror(text, folder)


def check_mirrors(mirrors: Sequence[str]) -> None:
    """Raise InputError if a mirror is neither a URL nor an existing folder."""
    for mirror in mirrors:
        parse_mirror(mirror)


def existing_folder(text: str, key: str) -> Path | None:
    """Return the folder that a value of the configuration names, or None if there is no such folder.

    Raises InputError, naming the key, if the user may not enter the folder that it is in.
    """
    try:
        folder = Path(text).expanduser()
        return folder if S_ISDIR(folder.stat().st_mode) else None
    except PermissionError as error:
        raise InputError(
            f"{key}: expected a folder, got {text!r}, which cannot be reached ({error.strerror}); ask its owner to "
            "make it readable, or use a copy"
        ) from error
    except (OSError, RuntimeError, ValueError):  # too long a name, an unknown user, a null character
        return None


def _insert(url: str, file: str) -> str:
    """Put a file's name into a URL: in place of the placeholder, or at the end of the path, before a query."""
    if PLACEHOLDER in url:
        return url.replace(PLACEHOLDER, file)
    path, mark, query = url.partition("#")[0].partition("?")
    return f"{path.rstrip('/')}/{file}{mark}{query}"
