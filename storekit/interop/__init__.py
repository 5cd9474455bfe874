"""What makes storekit's stores and arrays fit elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storekit.interop.zarr import ZarrStore

__all__ = ["ZarrStore"]


def __getattr__(name: str) -> Any:
    # Only who uses an adapter needs the package that it is for.
    if name == "ZarrStore":
        from storekit.interop.zarr import ZarrStore

        return ZarrStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
