"""Where the bytes of a zip archive come from: an open file, or a value of a store."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Any, Protocol

from storekit.errors import StoreError
from storekit.stores._files import pread
from storekit.stores._open_file import OpenFile
from storekit.stores.base import Latency, ReadableStore
from storekit.stores.coalesce import Span, read_spans
from storekit.typing import Value

__all__ = ["FileSource", "Source", "StoreSource"]

_DISK_GAP = 4096


class Source(Protocol):
    """Bytes that are read by spans."""

    size: int | None
    """How many there are, if that is known without asking."""

    gap: int
    """Bytes that are read in the time of one more request."""

    def tail(self, length: int) -> bytes:
        """The last bytes, or all if there are fewer."""

    def read(self, spans: Sequence[Span]) -> list[Value]:
        """The bytes of each half-open span; fewer where the source ends."""


class FileSource(OpenFile):
    """An open file, as a whole."""

    gap = _DISK_GAP

    def __init__(self, path: str, flags: int = os.O_RDONLY, mode: int = 0o666) -> None:
        super().__init__(path, flags, mode)
        self.status = os.fstat(self.fd)
        if not stat.S_ISREG(self.status.st_mode):
            raise OSError("it is no regular file")
        self.size: int | None = self.status.st_size

    def tail(self, length: int) -> bytes:
        """The last bytes, or all if there are fewer."""
        size = self.status.st_size
        return bytes(pread(self.fd, max(size - length, 0), size))

    def read(self, spans: Sequence[Span]) -> list[Value]:
        """The bytes of each span; near ones by one call."""
        return read_spans(spans, self.gap, lambda first, last: pread(self.fd, first, last))


class StoreSource:
    """
    A value of a store; each method is one call of the store.

    Args:
        store: The store.

        key: The key of the value.
    """

    size: int | None = None

    def __init__(self, store: Any, key: str) -> None:
        self.store: ReadableStore = store
        self.key = key
        far = store.latency is Latency.NETWORK
        self.gap = int(store.request_cost) if far else _DISK_GAP * (store.latency is Latency.DISK)

    def tail(self, length: int) -> bytes:
        """The last bytes, or all if there are fewer."""
        data = bytes(self._ask([(self.key, -length, None)])[0])
        if len(data) < length:
            self.size = len(data)
        return data

    def read(self, spans: Sequence[Span]) -> list[Value]:
        """The bytes of each span; the store decides what to coalesce."""
        return self._ask([(self.key, first, last - first) for first, last in spans])

    def _ask(self, parts: list[tuple[str, int, int | None]]) -> list[Value]:
        # Absence of the archive is not absence of a member: it must not become fill values.
        values = self.store.get_partial_values(parts)
        found = [value for value in values if value is not None]
        if len(found) < len(parts):
            text = f"there is no archive {self.key!r}"
            raise StoreError(text, store=self.store, op="get_partial_values", key=self.key)
        return found
