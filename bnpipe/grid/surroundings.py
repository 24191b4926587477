"""The folder, the user and the home folder that the workflow runs with."""

import getpass
import os
from pathlib import Path

from bnpipe.core.errors import InputError


def check_folder(folder: Path) -> None:
    """Raise InputError if Snakemake would take a part of the project's own path for a wildcard."""
    if set("{}") & set(str(folder)):
        raise InputError(
            f"{folder}: expected a path without braces, which Snakemake reads as wildcards; move the project"
        )


def provide_home(folder: Path) -> None:
    """Give jobs a home folder that they can write to, and a name for their user; containers may lack both.

    Libraries keep their caches in the home folder, and PyTorch and Snakemake ask for the user's name. folder: the home
    if there is no other.
    """
    try:
        writable = os.access(Path.home(), os.W_OK)
    except RuntimeError:  # HOME is not set, and the system does not know the user
        writable = False
    if not writable:
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["HOME"] = str(folder.absolute())
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())
