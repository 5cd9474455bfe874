"""
Locks that are whole on both sides of a fork.

A plain lock that another thread holds during `os.fork` stays locked in the child for ever, and what
it protects may be half changed there. So the forking thread first takes every lock made here, and
each side then gives back its own: the child starts with free locks and complete data.

Holders of such a lock must not take another one, and must not wait while they hold it.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from _thread import RLock

__all__ = ["fork_lock"]

_locks: WeakSet[RLock] = WeakSet()
_held: list[RLock] = []
# Reentrant, as all locks here: a signal handler that forks must not wait for what it interrupted.
_guard = threading.RLock()


def fork_lock() -> RLock:
    """A new lock, kept as long as somebody refers to it."""
    lock = threading.RLock()
    with _guard:
        _locks.add(lock)
    return lock


def _before() -> None:
    _held.append(_guard)
    _guard.acquire()
    _held.extend(_locks)
    for lock in _held[1:]:
        lock.acquire()


def _after() -> None:
    while _held:
        with suppress(RuntimeError):  # an interrupt came before it was taken, or once it was free
            _held[-1].release()
        _held.pop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
    # Again, as Ctrl-C during a fork comes at its end, where Python ignores it, but not before it
    # has ended the function.
    os.register_at_fork(after_in_parent=_after, after_in_child=_after)
