"""Stores: what maps keys to bytes, and what wraps such a thing."""

from storekit.stores.base import (
    ConditionalStore,
    Latency,
    ListableStore,
    ReadableStore,
    Store,
    WritableStore,
)
from storekit.stores.local import LocalStore
from storekit.stores.memory import MemoryStore

__all__ = [
    "ConditionalStore",
    "Latency",
    "ListableStore",
    "LocalStore",
    "MemoryStore",
    "ReadableStore",
    "Store",
    "WritableStore",
]
