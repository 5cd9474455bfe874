"""Changes of sparse frames: chunks under numbers of their own, then the index."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from storekit.errors import ConflictError, CorruptFrameError, KeyNotFoundError, StoreError
from storekit.frames.frame import chunk_size
from storekit.frames.home import Change, Snapshot
from storekit.frames.loading import parse_sparse
from storekit.stores.base import ConditionalStore, WritableStore
from storekit.stores.values import parts_of
from storekit.typing import ByteRange, Value

if TYPE_CHECKING:
    from storekit.frames.sparse import SparseHome

__all__ = ["SparseChange"]

_NUMBERS = 1 << 31
"""So many numbers there are for chunks. When they are used up, those that became free are taken."""


class SparseChange(Change):
    """
    Chunks under new numbers.

    Numbers are not used again, so that who reads an older state of the frame finds its chunks or
    none.
    """

    def __init__(
        self, home: SparseHome, store: WritableStore, snapshot: Snapshot, version: str | None
    ) -> None:
        super().__init__(snapshot)
        self._home, self._store, self._version = home, store, version
        used = self.offsets[self.offsets >= 0]
        self._used = set(used.tolist())
        self._next = max(snapshot.frame.next_name, int(used.max(initial=-1)) + 1)
        self._numbers = count(self._next)
        self._sizes: dict[int, int] = {}
        self._unused: set[int] = set()
        self._is_underway = self._done = False

    def replaces(self, index: bytes | None, stored: set[int]) -> None:
        """
        The frame takes the place of another one.

        Args:
            index: Of the other one, if there is one.

            stored: The chunks that are there. Those that are in no frame are erased in the end, as
                they belong to writers that were killed, or will fail, as the index is another one.
        """
        old = set(stored)
        with suppress(CorruptFrameError):
            if index is not None:
                frame = parse_sparse(index)
                used = set(frame.offsets[frame.offsets >= 0].tolist())
                self._numbers = count(max(frame.next_name, max(used, default=-1) + 1))
                old |= used
        self._used |= old
        self._unused |= old

    def put(self, number: int, data: Value) -> None:
        """Store a chunk, under a number that nobody else has taken meanwhile."""
        while True:
            with self._lock:
                place = self._reserve(data)
            try:
                self._write(place, data)
            except ConflictError:
                # Of one who was killed, or will fail, as the index is another one then.
                with self._lock:
                    self._unused.add(place)
                continue
            break
        with self._lock:
            self._forget(int(self.offsets[number]))
            self._sizes[place] = len(data)
            self.offsets[number] = place

    def _is_fresh(self, offset: int) -> bool:
        return offset in self._sizes

    def _reserve(self, data: Value) -> int:
        free = (n % _NUMBERS for n in self._numbers if n % _NUMBERS not in self._used)
        place = next(free)
        self._next = place + 1
        return place

    def _write(self, offset: int, data: Value) -> None:
        self._put(self._home._key(offset), data, None)

    def _put(self, key: str, value: Value, version: str | None) -> None:
        """Store a value in place of that of a version, if the store can tell."""
        if isinstance(self._store, ConditionalStore):
            self._store.compare_and_set(key, value, version)
        else:
            self._store.set(key, value)

    def _read(self, offset: int, byte_range: ByteRange) -> Value:
        key = self._home._key(offset)
        try:
            value = self._home.store.get(key)
        except KeyNotFoundError as error:  # who committed first has erased it
            raise ConflictError(
                "the frame was changed by somebody else", store=self._store, op="get", key=key
            ) from error
        return parts_of(value, [byte_range])[0]

    def _forget(self, offset: int) -> None:
        if offset >= 0:
            self._unused.add(offset)

    def commit(self) -> Snapshot:
        """Write the index."""
        header = self.snapshot.frame.header
        cbytes = header.cbytes + sum(self._sizes.values()) - self._freed()
        index = b"".join(self.ends(max(cbytes, 0), self._next))
        key = self._home._index_key
        # From here on it may be in place whatever is raised: an answer may get lost, and Ctrl-C may
        # come before it is heard.
        self._is_underway = True
        try:
            self._put(key, index, self._version)
        except ConflictError:
            if not self._is_in_place(key, index):
                self._is_underway = False
                raise  # otherwise it was tried again, after an answer got lost, and met itself
        self._done = True
        return self._home._changed(index)

    def _is_in_place(self, key: str, index: bytes) -> bool:
        with suppress(KeyNotFoundError):
            return self._home.store.get(key) == index
        return False

    def _freed(self) -> int:
        """Bytes of the chunks of the frame that are not used any more."""
        self._unused -= set(self.offsets.tolist())  # a frame from outside may have one chunk twice
        fresh = sum(size for number, size in self._sizes.items() if number in self._unused)
        old = self._unused.intersection(self.snapshot.frame.offsets.tolist())
        ranges = [(self._home._key(number), 0, 16) for number in old]
        heads = self._home.store.get_partial_values(ranges)
        return fresh + sum(chunk_size(head) for head in heads if head is not None)

    def close(self) -> None:
        """
        Erase what is not used any more, or has not become part of the frame.

        Where nobody knows which of the two, nothing: what is of no frame is in nobody's way.
        """
        if self._is_underway and not self._done:
            return
        unused = self._unused if self._done else self._sizes
        # It has appeared, or failed, already: what is left behind is in nobody's way, either.
        with suppress(StoreError):
            self._store.erase_values([self._home._key(number) for number in unused])
