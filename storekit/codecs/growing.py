"""
A shard while it is made, by one or several threads.

Source: Zarr v3, sharding codec, version 1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np

from storekit.codecs.spec import ChunkSpec
from storekit.typing import AnyArray, Value

__all__ = ["EMPTY", "GrowingShard"]

EMPTY = 2**64 - 1
"""What the index has, twice, for an inner chunk that is not stored."""


class GrowingShard:
    """
    A shard that inner chunks are appended to in the order of their numbers, as soon as those before
    them are there; so that few are in memory twice.

    Args:
        spec: Of the index.

        start: Where in the shard inner chunks begin.

        numbers: Of the inner chunks to come, each of which is to be added once.

        ready: The others, by number.
    """

    def __init__(
        self, spec: ChunkSpec, start: int, numbers: Sequence[int], ready: dict[int, Value | None]
    ) -> None:
        self._start, self._data = start, bytearray(start)
        self._index = np.full(spec.shape, EMPTY, np.uint64)
        self._entries = self._index.reshape(-1, 2)
        self._numbers = sorted((*numbers, *ready))
        self._ready, self._next, self._empty = ready, 0, True
        self._lock = Lock()

    def add(self, number: int, data: Value | None) -> None:
        """Add an inner chunk; None if it is empty. In any order, from any thread."""
        with self._lock:
            self._ready[number] = data
            self._append()

    def _append(self) -> None:
        ready, numbers = self._ready, self._numbers
        while self._next < len(numbers) and numbers[self._next] in ready:
            number = numbers[self._next]
            data = ready.pop(number)
            if data is not None:
                self._entries[number] = len(self._data), len(data)
                self._data += data
                self._empty = False
            self._next += 1

    def index(self) -> AnyArray | None:
        """The index, once all have been added; None if all are empty."""
        self._append()
        return None if self._empty else self._index

    def finish(self, index: Value) -> Value:
        """The shard with its index, encoded."""
        if self._start:
            self._data[: self._start] = index
        else:
            self._data += index
        return memoryview(self._data).toreadonly()
