"""Frames that are the value of a key, in whatever store: read by ranges, written as a whole."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from storekit.errors import (
    ConflictError,
    KeyNotFoundError,
    ReadOnlyError,
    StoreError,
)
from storekit.frames.frame import Frame
from storekit.frames.home import Change, Home, Piece, Snapshot
from storekit.frames.loading import load_frame
from storekit.stores.base import ConditionalStore, Latency, ReadableStore, WritableStore
from storekit.stores.states import ChangedError, States
from storekit.stores.values import parts_of
from storekit.typing import ByteRange, Value

__all__ = ["StoredHome"]


class _StoredSnapshot(Snapshot):
    def __init__(self, frame: Frame, ranges: Callable[[Sequence[ByteRange]], list[Value]]) -> None:
        super().__init__(frame)
        self._ranges = ranges

    def read(self, pieces: Sequence[Piece]) -> list[Value]:
        """In one call of the store, which merges what is near."""
        return self._ranges([self._range(*piece) for piece in pieces])

    def _range(self, offset: int, byte_range: ByteRange) -> ByteRange:
        first, last = self.frame.span(offset, byte_range)
        return first, last - first


class StoredHome(Home):
    """
    A frame under a key of a store.

    It is looked at when this is made, and by `refresh`. What others write is noticed when a chunk
    is read: the store says so, or with the chunk comes the fingerprint of the frame, or, if it has
    none, the header.

    Args:
        store: Any that can be read.

        key: Of the frame.

        writable: Whether the frame may be changed.

        start: Where in the value the frame begins. Then it cannot be changed.

    Raises:
        KeyNotFoundError: If the key is absent.

        CorruptFrameError: If there is no frame under it.

        ReadOnlyError: If it is to be changed, and the store cannot be written.
    """

    def __init__(
        self, store: ReadableStore, key: str, *, writable: bool = False, start: int = 0
    ) -> None:
        if writable and (start or not isinstance(store, WritableStore)):
            raise ReadOnlyError("the frame cannot be written here", store=store, op="set", key=key)
        self.store, self.key, self.writable, self.start = store, key, writable, start
        self.latency, self.request_cost, self.clock = store.latency, store.request_cost, store.clock
        self.refresh()

    def __reduce__(self) -> tuple[Any, ...]:
        more = partial(type(self), writable=self.writable, start=self.start)
        return more, (self.store, self.key)

    @property
    def concurrency(self) -> int:
        """That of the store."""
        return self.store.concurrency

    @property
    def identity(self) -> Hashable:
        """The place of the value."""
        return "frame", *self.store._place(self.key), self.start

    def snapshot(self) -> Snapshot:
        """The frame as it was when it was looked at last."""
        return self._snapshot

    def refresh(self) -> None:
        """Read header, index and trailer again."""
        far, states = self.store.latency >= Latency.NETWORK, States()
        try:
            frame = states.listen_to(load_frame, self._ranges, far=far, offset=self.start)
        except ChangedError:
            self.refresh()
        else:
            self._snapshot = self._snapshot_of(frame, states)

    def _ranges(self, ranges: Sequence[ByteRange]) -> list[Value]:
        values = self.store.get_partial_values([(self.key, *each) for each in ranges])
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            raise KeyNotFoundError(
                f"no key {self.key!r}", store=self.store, op="get_partial_values", key=self.key
            )
        return found

    def _snapshot_of(self, frame: Frame, states: States) -> _StoredSnapshot:
        def ranges(asked: Sequence[ByteRange]) -> list[Value]:
            # One call is answered from one state of the value. That it is this one says the store,
            # or else the mark.
            marks = [] if states else [frame.mark]
            places = [(self.start + start, length) for start, length in (*marks, *asked)]
            try:
                values = states.listen_to(self._ranges, places)
            except KeyNotFoundError as error:  # which would be taken for a chunk that is not stored
                text = f"{self.key!r}: the frame was there, and is gone"
                raise StoreError(text, store=self.store, op="get", key=self.key) from error
            except ChangedError:
                raise self._conflict() from None
            if marks and not frame.has_mark(values[0]):
                raise self._conflict()
            return values[len(marks) :]

        return _StoredSnapshot(frame, ranges)

    def _conflict(self) -> ConflictError:
        text = f"{self.key!r}: the frame has changed"
        return ConflictError(text, store=self.store, op="get", key=self.key)

    @contextmanager
    def change(self) -> Iterator[Change]:
        """
        Read all of the frame, and write all of it.

        Raises:
            ConflictError: If somebody else has written meanwhile, and the store can tell.
        """
        if not self.writable:
            raise ReadOnlyError(
                f"{self.key!r} was opened to be read", store=self.store, op="set", key=self.key
            )
        version: str | None = None
        if isinstance(self.store, ConditionalStore):
            value, version = self.store.get_versioned(self.key)
        else:
            value = self.store.get(self.key)
        ranges = partial(parts_of, value)
        yield _StoredChange(self, _StoredSnapshot(load_frame(ranges), ranges), version)

    def _replace(self, value: bytes, version: str | None) -> Snapshot:
        # What we would not read, we do not write.
        made = self._snapshot_of(load_frame(partial(parts_of, value)), States())
        if isinstance(self.store, ConditionalStore):
            self.store.compare_and_set(self.key, value, version)
        elif isinstance(self.store, WritableStore):
            self.store.set(self.key, value)
        self._snapshot = made
        return made


class _StoredChange(Change):
    def __init__(self, home: StoredHome, snapshot: Snapshot, version: str | None) -> None:
        super().__init__(snapshot)
        self._home, self._version = home, version
        self._begin = self._end = snapshot.frame.header.cbytes
        self._fresh: dict[int, Value] = {}

    def _is_fresh(self, offset: int) -> bool:
        return offset >= self._begin

    def _reserve(self, data: Value) -> int:
        place, self._end = self._end, self._end + len(data)
        return place

    def _write(self, offset: int, data: Value) -> None:
        self._fresh[offset] = bytes(data)

    def _read(self, offset: int, byte_range: ByteRange) -> Value:
        return parts_of(self._fresh[offset], [byte_range])[0]

    def commit(self) -> Snapshot:
        """Write the frame anew, without what is not used any more."""
        return self._home._replace(self.pack(), self._version)
