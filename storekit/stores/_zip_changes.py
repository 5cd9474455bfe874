"""How a zip store is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from storekit.stores._zip_writer import Writer
from storekit.stores.base import WritableStore
from storekit.typing import Value

__all__ = ["ZipChanges"]


class ZipChanges(WritableStore):
    """What a zip store can do that was opened for writing."""

    _attempt: Callable[..., Any]
    _writer: Writer

    def flush(self) -> None:
        """
        Put the archive as it is now in the place of the old one; nothing is done without changes.

        The next change after it copies the archive, unless the file system can share blocks.

        Raises:
            ConflictError: If another program has changed the archive since it was read.
        """
        self._attempt("flush", None, self._writer.flush)

    def compact(self) -> None:
        """Flush, and free the space of values that were replaced or erased."""
        self._attempt("compact", None, self._writer.compact)

    def _set(self, key: str, value: Value) -> None:
        self._attempt("set", key, self._writer.set, key, value)

    def _erase(self, key: str) -> None:
        self._attempt("erase", key, self._writer.erase, key)

    def _erase_prefix(self, prefix: str) -> int:
        count: int = self._attempt("erase_prefix", prefix, self._writer.erase_prefix, prefix)
        return count
