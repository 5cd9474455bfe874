"""From a URL to a node, whatever it lives in."""

from __future__ import annotations

import os
from typing import Any

from storekit.nodes.zarr_group import open_zarr
from storekit.stores.base import ReadableStore, Store
from storekit.stores.urls import open_store

__all__ = ["open"]


def open(
    url: str | os.PathLike[str] | Store,
    path: str = "",
    *,
    driver: str | None = None,
    **options: Any,
) -> Any:
    """
    Open the group or array at a URL, a path, or in a store.

    Args:
        url: Of the store, as in `open_store`; or the store.

        path: In the store; the root by default.

        driver: As in `open_store`.

        options: As in `open_store`.

    Returns:
        A `ZarrGroup` or a `ZarrArray`.

    Raises:
        NodeNotFoundError: If there is none.

        ValueError: If nothing is known to open the URL.
    """
    store = url if isinstance(url, Store) else open_store(url, driver=driver, **options)
    if store is url and (driver is not None or options):
        raise ValueError("driver and options are for URLs, not for a store that is open")
    if not isinstance(store, ReadableStore):
        raise TypeError(f"{store!r} cannot be read")
    return open_zarr(store, path)
