"""Which keys are being changed, so that those who change one side by side know of each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from storekit.errors import (
    ConflictError,
    InvalidKeyError,
    InvalidRangeError,
    KeyConflictError,
    KeyNotFoundError,
    QuotaExceededError,
    ReadOnlyError,
    StoreError,
    TransportError,
    UnsupportedError,
)
from storekit.stores._forklock import fork_lock
from storekit.stores._forward import Call

__all__ = ["Change", "Changes", "is_change", "may_still_arrive", "was_refused"]

_READS = {"get", "get_partial_values", "get_versioned", "exists", "getsize"}
_LISTS = {"list", "list_prefix", "list_dir"}
_REFUSALS = (
    ConflictError,
    InvalidKeyError,
    InvalidRangeError,
    KeyConflictError,
    KeyNotFoundError,
    QuotaExceededError,
    ReadOnlyError,
    UnsupportedError,
)


def is_change(call: Call) -> bool:
    """Whether a call may change values: all do that are not known to read."""
    return call.op not in _READS and call.op not in _LISTS


def was_refused(call: Call, error: BaseException) -> bool:
    """Whether a call that failed with this error has surely changed nothing."""
    return len(set(call.keys)) == 1 and isinstance(error, _REFUSALS)


def may_still_arrive(error: BaseException) -> bool:
    """Whether a change that failed may be made later: a request that was given up, not answered."""
    return not isinstance(error, StoreError) or error.retryable or isinstance(error, TransportError)


class Change:
    """
    A change of some keys, or of all under a prefix, that is under way.

    Attributes:
        doubtful: Those of its keys of which it is not known what they hold after it.
    """

    def __init__(self, keys: Collection[str], prefix: str | None = None) -> None:
        self.keys, self.prefix = frozenset(keys), prefix
        self.doubtful: set[str] = set()

    @property
    def names(self) -> list[str]:
        """Its keys, and its prefix."""
        return [*self.keys] if self.prefix is None else [*self.keys, self.prefix]

    def touches(self, key: str) -> bool:
        """Whether it may change that key."""
        return key in self.keys or (self.prefix is not None and key.startswith(self.prefix))


class Changes:
    """
    The changes under way in one store.

    Threads: safe. No lock is held while a change is under way. In a forked child none is that the
    threads of its parent have begun.
    """

    def __init__(self) -> None:
        self._running: list[Change] = []
        self._process = os.getpid()
        self._lock = fork_lock()

    @contextmanager
    def change(self, call: Call, settle: Callable[[Change], None]) -> Iterator[Change]:
        """
        A context in which a call is under way.

        Keys that others change at the same time become doubtful: which change was the last one,
        nobody can tell. When the last one of them ends, `settle` is called with a change of these
        keys, under way, too, to find out what they hold; again, if they were changed meanwhile. Its
        error is raised unless the call has one.
        """
        change = Change(call.keys, call.prefix)
        doubtful: set[str] | None = None
        try:
            try:
                self._begin(change)
                yield change
            finally:
                doubtful = self._end(change)
        except BaseException as error:
            if doubtful is None:  # an interrupt came before it had ended
                doubtful = self._end(change)
            try:
                self._settle(doubtful, settle)
            except StoreError as second:
                error.add_note(f"and afterwards: {second}")
            raise
        self._settle(doubtful, settle)

    def _settle(self, doubtful: set[str], settle: Callable[[Change], None]) -> None:
        while doubtful:
            change = Change(doubtful)
            try:
                try:
                    self._begin(change)
                    settle(change)
                finally:
                    doubtful = self._end(change)
            except BaseException:
                self._end(change)
                raise

    def _begin(self, change: Change) -> None:
        with self._lock:
            if self._process != os.getpid():
                self._running, self._process = [], os.getpid()
            for other in self._running:
                common = {key for key in change.keys if other.touches(key)}
                common.update(key for key in other.keys if change.touches(key))
                change.doubtful |= common
                other.doubtful |= common
            self._running.append(change)

    def _end(self, change: Change) -> set[str]:
        """The doubtful keys that nobody is changing any more."""
        with self._lock:
            if change in self._running:
                self._running.remove(change)
            return {
                key
                for key in change.doubtful
                if not any(other.touches(key) for other in self._running)
            }
