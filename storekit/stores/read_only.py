"""A store that cannot be changed through this object."""

from __future__ import annotations

from storekit.stores.base import ListableStore, ReadableStore, Store
from storekit.stores.wrapper import WrapperStore

__all__ = ["ReadOnlyStore"]


class ReadOnlyStore(WrapperStore):
    """
    A store that can be read, and listed if the inner store can, but not changed.

    It is an instance of neither `WritableStore` nor `ConditionalStore`. Every change raises
    `ReadOnlyError` before the inner store is asked; `get_versioned`, which is of use only to those
    who write, raises `UnsupportedError`. Others who have the inner store may change it.

    Args:
        store: The inner store.

    Threads: as safe as the inner store.
    """

    @classmethod
    def _abilities(cls, store: Store) -> frozenset[type]:
        return super()._abilities(store) & {ReadableStore, ListableStore}
