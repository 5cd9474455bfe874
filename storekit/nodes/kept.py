"""What readers of parts have read first of some values, kept for those who come next."""

from __future__ import annotations

from storekit.codecs.bound import FirstRead
from storekit.stores._forklock import fork_lock

__all__ = ["Kept"]

_BYTES = 4 << 20
"""Of what is kept for one array: the indices of a thousand shards of 250 chunks."""

_OWN = 512
"""Bytes that each takes beside its values."""


_guard = fork_lock()


class Kept:
    """
    First reads by key, of so many bytes at most; the oldest go.

    Threads: safe.
    """

    def __init__(self) -> None:
        self._reads: dict[str, FirstRead] = {}
        self._size = 0

    def get(self, key: str) -> FirstRead | None:
        """What was kept of a value."""
        return self._reads.get(key)

    def put(self, key: str, read: FirstRead | None) -> None:
        """Keep this of a value, and nothing else; None to forget it."""
        if self._reads.get(key) is read:
            return
        with _guard:
            self._drop(key)
            if read is None or (size := _size(read)) > _BYTES:
                return
            self._size += size
            self._reads[key] = read
            while self._size > _BYTES:
                self._drop(next(iter(self._reads)))

    def _drop(self, key: str) -> None:
        read = self._reads.pop(key, None)
        if read is not None:
            self._size -= _size(read)


def _size(read: FirstRead) -> int:
    return _OWN + sum(map(len, read.values))
