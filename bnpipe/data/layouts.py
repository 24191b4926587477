"""Find the four files of a data set in a folder, under the usual names and in the usual layouts.

Names: MNIST's own and Kaggle's `train-images.idx3-ubyte`, in upper or lower case, plain or with .gz; `idx4` for images
in colour, which have four dimensions. Layouts: the folder itself, torchvision's `MNIST/raw` below it, and Kaggle's
`train-images-idx3-ubyte/train-images-idx3-ubyte`.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from bnpipe.core.errors import InputError, printable

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
OTHERS_SHOWN = 5

_NAME = re.compile(
    r"(?P<split>train|t10k|test)[-_. ]?(?P<kind>images|labels)[-_. ]?idx(?P<dimensions>[134])[-_. ]?ubyte(\.gz)?",
    re.IGNORECASE,
)
_SUBFOLDERS = {"raw", "mnist", "fashionmnist", "kmnist"}  # in lower case, without - and _
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar")


@dataclass(frozen=True)
class Place:
    """What a folder contains, judging by names."""

    folder: Path
    files: Mapping[str, tuple[Path, ...]]  # for each of FILES that is there: what has such a name, the usual one first
    others: tuple[str, ...]  # names of everything else

    @property
    def is_complete(self) -> bool:
        """Whether something has the name of each of the four files."""
        return len(self.files) == len(FILES)

    def lack(self, file: str) -> str:
        """Return a line about a missing file: what is there instead, and what to do."""
        seen = ", ".join(map(printable, self.others[:OTHERS_SHOWN]))
        more = len(self.others) - OTHERS_SHOWN
        instead = f", but {seen}{f' and {more} more' if more > 0 else ''}" if seen else ""
        advice = self.advice(file) or "put the four files there"
        return f"expected {', '.join(FILES)} (plain or .gz) in {self.folder}, got no {file}{instead}; {advice}"

    def advice(self, file: str) -> str:
        """Return what could be renamed or unpacked to get a missing file, or "" if nothing looks like it."""
        names = {name.lower(): name for name in self.others}
        if guess := difflib.get_close_matches(file, names, n=1):
            suffix = ".gz" if guess[0].endswith(".gz") else ""
            return f"if {printable(names[guess[0]])} is that file, rename it to {file}{suffix}"
        archive = next((name for name in self.others if name.lower().endswith(_ARCHIVES)), None)
        return f"unpack {printable(archive)}" if archive else ""


def find_own(folder: Path) -> tuple[Path, ...]:
    """Return the four files of the user's own data set, in the order of FILES. They are found by name alone.

    All are from the same folder. Raises InputError if one is missing or cannot be read, or if the folders below hold
    several data sets.
    """
    found = places(folder)
    best = next(found)
    if not best.is_complete:
        below = list(found)
        complete = [place for place in below if place.is_complete]
        if len(complete) > 1:
            names = ", ".join(str(place.folder) for place in complete)
            raise InputError(f"expected one data set in {folder}, got {names}; name one of these folders instead")
        best = max(complete or [best, *below], key=lambda place: len(place.files))
    for file in FILES:
        if file not in best.files:
            raise InputError(best.lack(file))
    return tuple(_first_readable(best.files[file]) for file in FILES)


def find_all(folder: Path, file: str) -> Iterator[Path]:
    """Yield every path with the name of one of FILES, in all layouts; a checksum must tell which is the right one.

    Raises InputError if there is none, or if a folder that has to be searched cannot be listed.
    """
    looked_at = []
    for place in places(folder):
        yield from place.files.get(file, ())
        looked_at.append(place)
    if not any(file in place.files for place in looked_at):
        raise InputError(max(looked_at, key=lambda place: len(place.files)).lack(file))


def places(folder: Path) -> Iterator[Place]:
    """Yield what a folder contains, and then what each folder below it contains that may hold a data set.

    Raises InputError if one of them cannot be listed.
    """
    first = _look(folder)
    yield first
    for name in first.others:
        if _plain(name) in _SUBFOLDERS and is_folder(folder / name):
            below = _look(folder / name)
            raws = (_look(below.folder / raw) for raw in below.others if raw.lower() == "raw")
            yield from (place for place in (below, *raws) if place.files)


def fault_of(path: Path) -> str | None:
    """Return a line that says why a path is not a readable file, or None if it is one."""
    try:
        mode = path.stat().st_mode
        if S_ISDIR(mode):
            return f"{path}: expected a file, got a folder; rename the folder, or move it away"
        if not S_ISREG(mode):
            return f"{path}: expected a file, got something else (a pipe or a device, for example); replace it"
        path.open("rb").close()
    except FileNotFoundError:
        if path.is_symlink():
            return f"{path}: expected a file, got a link to {path.readlink()}, which does not exist; replace the link"
        return f"{path}: expected a file, got nothing; put it there"
    except PermissionError:
        return f"{path}: cannot be read (Permission denied); make it readable, or use a copy"
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); replace it"
    return None


def _look(folder: Path) -> Place:
    files: dict[str, list[Path]] = {}
    others = []
    for name in _names(folder):
        if file := _canonical(name):
            files.setdefault(file, []).extend(_named(folder / name, file))
        elif not name.startswith("."):
            others.append(name)
    return Place(folder, {file: tuple(sorted(paths, key=_usual)) for file, paths in files.items()}, tuple(others))


def _names(folder: Path) -> list[str]:
    """Return the names in a folder. If it can be entered but not listed, return those of the usual names that exist."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except PermissionError as error:
        usual = [name for file in FILES for name in (file, f"{file}.gz") if os.path.lexists(folder / name)]
        if usual:
            return usual
        raise InputError(
            f"{folder}: cannot be listed ({error.strerror}); ask its owner to make it readable, or use a copy"
        ) from error
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror}); name another folder") from error


def _canonical(name: str) -> str | None:
    """Return which of FILES a name stands for, or None."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    split = "train" if match["split"].lower() == "train" else "t10k"
    file = f"{split}-{match['kind'].lower()}-idx{match['dimensions'].replace('4', '3')}-ubyte"
    return file if file in FILES else None


def _named(path: Path, file: str) -> list[Path]:
    """Return a path. If it is a folder, as in Kaggle's archive, return what has the same name in it."""
    try:
        inner = sorted(each for each in path.iterdir() if _canonical(each.name) == file)
    except OSError:  # most are files
        return [path]
    return inner or [path]


def _usual(path: Path) -> tuple[int, str]:
    """Return a key that sorts paths: the file's own name first, then with .gz, then all other spellings."""
    order = (path.name not in FILES) + (path.name.removesuffix(".gz") not in FILES)
    return order, str(path)


def _first_readable(paths: tuple[Path, ...]) -> Path:
    faults = []
    for path in paths:
        if (fault := fault_of(path)) is None:
            return path
        faults.append(fault)
    raise InputError(faults[0])


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False if that cannot be found out."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()
