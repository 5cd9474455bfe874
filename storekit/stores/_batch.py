"""Several small values into the files of one directory, which is opened and locked once."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from storekit.stores._files import discard, lock, prepare, unlock
from storekit.stores._tree import Tree
from storekit.typing import Value

__all__ = ["Batch"]

_COUNT = 16  # of 64 values, those that must be copied would fall out of the cache: 6 us each
_SMALL = 1 << 16  # bytes: beside larger ones, the 8 us for a directory and a lock are little


class Batch:
    """
    Values on their way: written to temporary files as they come, and renamed together.

    A value takes 5 system calls, where one by one it takes 9: 20 us instead of 23 for 16 KiB on a
    file system in memory, and more where threads write, since each call lets another one have the
    interpreter.

    Values are kept until they are in place, 1 MiB at most: what does not work together, for
    whatever reason, is done one by one, which knows how to go on or what to raise.

    Args:
        tree: Where to.

        now_ns: The clock.

        store_one: Stores a single value in the ordinary way.
    """

    def __init__(
        self,
        tree: Tree,
        now_ns: Callable[[], int],
        store_one: Callable[[str, Value], None],
    ) -> None:
        self._tree, self._now_ns, self._store_one = tree, now_ns, store_one
        self._directory = ""
        self._folder = -1  # open, if there are values pending
        self._pending: list[tuple[str, Value, bytes]] = []  # key, value, temporary file

    def add(self, key: str, value: Value) -> None:
        """Take a value, which may change afterwards. What came before it may be stored or not."""
        directory = key[: max(key.rfind("/"), 0)]
        if directory != self._directory or len(self._pending) == _COUNT:
            self.flush()
            self._directory = directory
        if len(value) > _SMALL or not self._prepare(key, value):
            self.flush()
            self._store_one(key, value)

    def _prepare(self, key: str, value: Value) -> bool:
        try:
            if self._folder < 0:
                self._folder = self._tree.make_directory(self._directory)
            temporary, _ = prepare(self._folder, value, self._now_ns, durable=False)
        except OSError:
            return False
        kept = value if isinstance(value, bytes) else bytes(value)
        self._pending.append((key, kept, temporary))
        return True

    def flush(self) -> None:
        """Put all values in place, in their order; after an error those before it are."""
        if self._folder < 0:
            return
        folder, self._folder = self._folder, -1
        waiting, self._pending = self._pending[::-1], []
        try:
            with suppress(OSError):
                self._rename(folder, waiting)
        finally:
            for _, _, temporary in waiting:
                discard(folder, temporary)
            os.close(folder)
        for key, value, _ in reversed(waiting):
            self._store_one(key, value)

    def _rename(self, folder: int, waiting: list[tuple[str, Value, bytes]]) -> None:
        """Rename the files that are waiting, the last one first, up to the first error."""
        start = len(self._directory) + 1 if self._directory else 0
        lock(folder)
        try:
            while waiting:
                key, _, temporary = waiting[-1]
                os.rename(temporary, key[start:].encode(), src_dir_fd=folder, dst_dir_fd=folder)
                waiting.pop()
        finally:
            unlock(folder)
