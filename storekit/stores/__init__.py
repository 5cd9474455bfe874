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
from storekit.stores.slow import SlowStore
from storekit.stores.wrapper import Call, WrapperStore

__all__ = [
    "Call",
    "ConditionalStore",
    "Latency",
    "ListableStore",
    "LocalStore",
    "MemoryStore",
    "ReadableStore",
    "SlowStore",
    "Store",
    "WrapperStore",
    "WritableStore",
]
