"""Run bnpipe's PyTorch networks on machines that have little more than PyTorch and NumPy.

The modules of these networks import types of the compiled engine, which imports numba and other packages. They never
call those packages, so stand-ins are enough.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NoReturn


def stand_in() -> dict[str, str]:
    """Replace packages that cannot be imported by modules that refuse to work. Return the reason for each, by name.

    A package may be installed and still fail. For example, numba fails if NumPy is too new for it.
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
    """Return a function that raises ModuleNotFoundError and names the missing package."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise ModuleNotFoundError(f"{package}: needed for this, but it cannot be imported")

    return refuse


def _njit(**_: Any) -> Callable[[Callable[..., Any]], Callable[..., NoReturn]]:
    """Replace numba's decorator. The functions that it decorates are never called."""
    return lambda _: refusing("numba")


@contextmanager
def _threadpool_limits(limits: int) -> Iterator[None]:  # noqa: ARG001 - the signature of the package
    """Limit nothing: PyTorch limits its own threads, and NumPy multiplies nothing large here."""
    yield


STAND_INS: dict[
    str, dict[str, dict[str, Any]]
] = {  # by package: the modules that are imported, and what is used of them
    "numba": {"numba": {"njit": _njit}},  # before SciPy, because numba looks at SciPy's version
    "scipy": {"scipy": {}, "scipy.linalg": {}, "scipy.linalg.cython_blas": {}},
    "safetensors": {
        "safetensors": {"SafetensorError": OSError, "safe_open": refusing("safetensors")},
        "safetensors.numpy": {"save": refusing("safetensors")},
    },
    "threadpoolctl": {"threadpoolctl": {"threadpool_limits": _threadpool_limits}},
    "filelock": {"filelock": {"FileLock": refusing("filelock"), "Timeout": TimeoutError}},
}
