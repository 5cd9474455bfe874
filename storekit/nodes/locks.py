"""
One lock a stored value, for as long as somebody holds it or waits for it.

Only a read-modify-write takes one. It is held across store calls, so it is made by the store's
clock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from storekit.clock import Clock, Lock
from storekit.stores.base import Store

__all__ = ["value_lock"]

_guard = threading.Lock()
_locks: dict[tuple[Clock, Hashable, str], _Entry] = {}


class _Entry:
    """A lock, and how many hold it or wait for it."""

    __slots__ = ("lock", "users")

    def __init__(self, lock: Lock) -> None:
        self.lock, self.users = lock, 0


@contextmanager
def value_lock(store: Store, key: str) -> Iterator[None]:
    """
    Exclude the other threads of this process that change the value of a key.

    Stores that share the value share the lock, also where they have different keys for it. Each
    clock has locks of its own: the threads of a simulation and others cannot wait for each other.
    """
    name = store.clock, *store._place(key)
    with _guard:
        entry = _locks.get(name)
        if entry is None:
            entry = _locks[name] = _Entry(store.clock.lock())
        entry.users += 1
    try:
        with entry.lock:
            yield
    finally:
        with _guard:
            entry.users -= 1
            if not entry.users:
                _locks.pop(name, None)


def _forget_locks() -> None:
    """In a forked child nobody holds the parent's locks."""
    global _guard
    _guard = threading.Lock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
