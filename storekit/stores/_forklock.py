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
# Reentrant, as all locks here: a signal handler that forks must not wait for what it interrupted.
_guard = threading.RLock()


def fork_lock() -> RLock:
    """A new lock, kept as long as somebody refers to it."""
    lock = threading.RLock()
    with _guard:
        _locks.add(lock)
    return lock


class _Forking(threading.local):
    """What a thread that forks has taken; several may be about to."""

    def __init__(self) -> None:
        self.held: list[RLock] = []


_forking = _Forking()


def _before() -> None:
    held = _forking.held
    held.append(_guard)
    _guard.acquire()
    for lock in tuple(_locks):
        held.append(lock)
        lock.acquire()


def _after() -> None:
    held = _forking.held
    while held:
        with suppress(RuntimeError):  # an interrupt came before it was taken, or once it was free
            held[-1].release()
        held.pop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
    # Again, as Ctrl-C during a fork comes at its end, where Python ignores it, but not before it
    # has ended the function.
    os.register_at_fork(after_in_parent=_after, after_in_child=_after)
