"""What a store holds, and room that is taken before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from storekit.stores._changes import Change
from storekit.stores._forklock import fork_lock

__all__ = ["Ledger"]


class Ledger:
    """
    The size of each value, never less than what is stored: while a value is being written, the
    larger one of old and new counts; and if it may still arrive, at any time, it counts always.

    Args:
        sizes: In bytes, by key.

        max_bytes: How many bytes there may be; None for any number.

        max_keys: How many keys there may be; None for any number.

    Threads: safe.
    """

    def __init__(
        self, sizes: Mapping[str, int], max_bytes: int | None, max_keys: int | None
    ) -> None:
        self._sizes = dict(sizes)
        self._bytes = sum(sizes.values())
        self._max_bytes, self._max_keys = max_bytes, max_keys
        self._unknown: set[str] = set()  # whose size is only known to be no greater
        self._late: dict[str, int] = {}  # how large values are that may still arrive
        self._lock = fork_lock()

    @property
    def used(self) -> tuple[int, int]:
        """How many bytes there are, and how many keys."""
        with self._lock:
            return self._bytes, len(self._sizes)

    @property
    def unknown(self) -> set[str]:
        """The keys whose values may be smaller than they count, or absent."""
        with self._lock:
            return set(self._unknown)

    def reserve(
        self, sizes: Sequence[tuple[str, int]]
    ) -> tuple[dict[str, int | None], int, str | None]:
        """
        Make room for new values, one after the other, as far as there is.

        Returns:
            What counted before for each key that got room, how many values got room, and why the
            next one got none.
        """
        before: dict[str, int | None] = {}
        with self._lock:
            for count, (key, size) in enumerate(sizes):
                old = self._sizes.get(key)
                if problem := self._problem(old, size):
                    return before, count, problem
                before.setdefault(key, old)
                self._put(key, max(size, old or 0))
        return before, len(sizes), None

    def _problem(self, old: int | None, size: int) -> str | None:
        more = size - (old or 0)
        if self._max_bytes is not None and more > 0 and self._bytes + more > self._max_bytes:
            return f"{self._bytes + more} bytes, more than max_bytes={self._max_bytes}"
        keys = len(self._sizes) + 1
        if self._max_keys is not None and old is None and keys > self._max_keys:
            return f"{keys} keys, more than max_keys={self._max_keys}"
        return None

    def settle(self, change: Change, sizes: Mapping[str, int | None]) -> None:
        """Note the sizes (None: absent) that values have after a change that nobody disturbed."""
        with self._lock:
            for key, size in sizes.items():
                if key not in change.doubtful:
                    self._put(key, size)
                    self._unknown.discard(key)

    def doubt(self, keys: Iterable[str]) -> None:
        """Note that sizes cannot be found out now."""
        with self._lock:
            self._unknown.update(keys)

    def expect(self, sizes: Iterable[tuple[str, int]]) -> None:
        """Note how large values are that were given up, and may still arrive."""
        with self._lock:
            for key, size in sizes:
                self._late[key] = max(size, self._late.get(key, 0))
                self._put(key, self._sizes.get(key))

    def under(self, prefix: str) -> list[str]:
        """The keys under a prefix."""
        with self._lock:
            return [key for key in self._sizes if key.startswith(prefix)]

    def _put(self, key: str, size: int | None) -> None:
        if key in self._late:
            size = max(size or 0, self._late[key])
        self._bytes += (size or 0) - self._sizes.pop(key, 0)
        if size is not None:
            self._sizes[key] = size
