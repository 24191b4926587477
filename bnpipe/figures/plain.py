"""Matplotlib as it was installed, without what a person has set for their own plots."""

import contextlib
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def import_plainly() -> None:
    """Import matplotlib for the first time, heeding no matplotlibrc and no MPLBACKEND.

    Its import reads both, and fails on some that are broken or name a backend that is not installed. The matplotlibrc
    in the working folder goes before all others, so matplotlib is imported in the folder of its own.
    """
    os.environ.pop("MPLBACKEND", None)
    found = find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    with contextlib.chdir(Path(found.origin).parent / "mpl-data"):
        import_module("matplotlib")
