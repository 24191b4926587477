"""Matplotlib as it was installed, without the settings that users have for their own plots."""

import contextlib
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def import_plainly() -> None:
    """Import matplotlib for the first time, with its own matplotlibrc and without MPLBACKEND.

    The import reads both, and fails if one is broken or names a backend that is not installed. A matplotlibrc in the
    working folder takes precedence over all others, so the import runs in the folder of matplotlib's own.
    """
    os.environ.pop("MPLBACKEND", None)
    found = find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    with contextlib.chdir(Path(found.origin).parent / "mpl-data"):
        import_module("matplotlib")
