"""Controlled experiments on batch normalization: from a configuration to a report with statistics."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnpipe.modules.export import to_torch_module

__all__ = ["__version__", "to_torch_module"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what needs PyTorch only when it is used, so that `import bnpipe` alone takes no time."""
    if name == "to_torch_module":
        from bnpipe.modules.export import to_torch_module

        return to_torch_module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
