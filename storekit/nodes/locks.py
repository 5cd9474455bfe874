"""
One lock a stored value, for as long as somebody holds it or waits for it.

Only a read-modify-write takes one. It is held across store calls, so it is made by the store's
clock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from typing import TypeAlias
from weakref import ref

from storekit.clock import Clock, Lock
from storekit.stores.base import Store

__all__ = ["value_lock"]

_Name: TypeAlias = tuple[Clock, Hashable, str]


class _Known(ref[Lock]):
    """A lock that somebody holds or waits for."""

    __slots__ = ("name",)

    name: _Name


_guard = threading.Lock()
_locks: dict[_Name, _Known] = {}
_dead: list[_Known] = []
"""Those that nobody needs any more; the next call forgets them."""


def value_lock(store: Store, key: str) -> Lock:
    """
    A lock that excludes the other threads of this process that change the value of a key.

    Stores that share the value share the lock, also where they have different keys for it. Each
    clock has locks of its own: the threads of a simulation and others cannot wait for each other.
    """
    # The lock itself, and nothing around it: it is given back also if Ctrl-C comes just then, which
    # an `__exit__` of ours would not do. So nobody counts who uses it; and what notices its end is
    # no Python code, where Ctrl-C would be ignored.
    name = store.clock, *store._place(key)
    with _guard:
        while _dead:
            known = _dead[0]
            if _locks.get(known.name) is known:
                del _locks[known.name]
            del _dead[0]
        found = _locks.get(name)
        lock = None if found is None else found()
        if lock is None:
            lock = store.clock.lock()
            known = _Known(lock, _dead.append)
            known.name = name
            _locks[name] = known
        return lock


def _forget_locks() -> None:
    """In a forked child nobody holds the parent's locks."""
    global _guard
    _guard = threading.Lock()
    _locks.clear()
    _dead.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
