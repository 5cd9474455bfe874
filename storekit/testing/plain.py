"""A store that can do less than most."""

from __future__ import annotations

from storekit.stores.base import ConditionalStore, Store
from storekit.stores.wrapper import WrapperStore

__all__ = ["PlainStore"]


class PlainStore(WrapperStore):
    """
    A store that cannot replace a value on a condition, as many remote ones cannot.

    Args:
        store: The inner store.

    Threads: as safe as the inner store.
    """

    @classmethod
    def _abilities(cls, store: Store) -> frozenset[type]:
        return super()._abilities(store) - {ConditionalStore}
