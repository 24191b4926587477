"""Lets bnpipe's networks in PyTorch be used where little else than PyTorch and NumPy is installed.

Their modules import the other engine's types, and with them numba and the like, but never call these.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NoReturn


def stand_in() -> dict[str, str]:
    """Put modules that refuse to work in place of packages that cannot be imported; return why each cannot, by name.

    A package may be there and yet fail, as numba does beside a NumPy that is too new for it.
    """
    failures = {}
    for package, modules in STAND_INS.items():
        try:
            for name in modules:
                importlib.import_module(name)
        except Exception as error:  # whatever a broken package raises
            failures[package] = f"{type(error).__name__}: {error}"
            for name, contents in modules.items():
                module = ModuleType(name, f"Stands in for {name}, which cannot be imported.")
                vars(module).update(contents)
                sys.modules[name] = module
    return failures


def refusing(package: str) -> Callable[..., NoReturn]:
    """Return a function that says which package is missing."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise ModuleNotFoundError(f"{package}: needed for this, but it cannot be imported")

    return refuse


def _njit(**_: Any) -> Callable[[Callable[..., Any]], Callable[..., NoReturn]]:
    """Return what numba's decorator stands for: functions that are never called."""
    return lambda _: refusing("numba")


@contextmanager
def _threadpool_limits(limits: int) -> Iterator[None]:  # noqa: ARG001 - as the package has it
    """Limit nothing: PyTorch's threads are limited by PyTorch, and NumPy multiplies nothing large here."""
    yield


STAND_INS: dict[str, dict[str, dict[str, Any]]] = {  # by package: its modules that are imported, with what is used
    "numba": {"numba": {"njit": _njit}},  # before SciPy, whose version it looks at
    "scipy": {"scipy": {}, "scipy.linalg": {}, "scipy.linalg.cython_blas": {}},
    "safetensors": {
        "safetensors": {"SafetensorError": OSError, "safe_open": refusing("safetensors")},
        "safetensors.numpy": {"save": refusing("safetensors")},
    },
    "threadpoolctl": {"threadpoolctl": {"threadpool_limits": _threadpool_limits}},
    "filelock": {"filelock": {"FileLock": refusing("filelock"), "Timeout": TimeoutError}},
}
