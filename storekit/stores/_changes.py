"""Which keys are being changed, so that those who change one side by side know of each other."""

from __future__ import annotations

import threading
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

    def touches(self, key: str) -> bool:
        """Whether it may change that key."""
        return key in self.keys or (self.prefix is not None and key.startswith(self.prefix))


class Changes:
    """
    The changes under way in one store.

    Threads: safe. No lock is held while a change is under way.
    """

    def __init__(self) -> None:
        self._running: list[Change] = []
        self._lock = threading.Lock()

    @contextmanager
    def change(self, call: Call, settle: Callable[[Change], None]) -> Iterator[Change]:
        """
        A context in which a call is under way.

        Keys that others change at the same time become doubtful: which change was the last one,
        nobody can tell. When the last one of them ends, `settle` is called with a change of these
        keys, under way, too, to find out what they hold; again, if they were changed meanwhile. Its
        error is raised unless the call has one.
        """
        change = self._begin(Change(call.keys, call.prefix))
        try:
            yield change
        except BaseException as error:
            try:
                self._settle(self._end(change), settle)
            except StoreError as second:
                error.add_note(f"and afterwards: {second}")
            raise
        self._settle(self._end(change), settle)

    def _settle(self, doubtful: set[str], settle: Callable[[Change], None]) -> None:
        while doubtful:
            change = self._begin(Change(doubtful))
            try:
                settle(change)
            finally:
                doubtful = self._end(change)

    def _begin(self, change: Change) -> Change:
        with self._lock:
            for other in self._running:
                common = {key for key in change.keys if other.touches(key)}
                common.update(key for key in other.keys if change.touches(key))
                change.doubtful |= common
                other.doubtful |= common
            self._running.append(change)
        return change

    def _end(self, change: Change) -> set[str]:
        """The doubtful keys that nobody is changing any more."""
        with self._lock:
            self._running.remove(change)
            return {
                key
                for key in change.doubtful
                if not any(other.touches(key) for other in self._running)
            }
