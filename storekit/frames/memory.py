"""Frames in memory: chunks in a dict."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, Self

from storekit.errors import ReadOnlyError
from storekit.frames.frame import Frame
from storekit.frames.home import Change, Home, Piece, Snapshot
from storekit.frames.loading import load_frame, parse_ends
from storekit.keys import resolve_range
from storekit.stores.base import Latency
from storekit.stores.values import parts_of
from storekit.typing import ByteRange, Value

__all__ = ["MemoryHome"]


class _MemorySnapshot(Snapshot):
    def __init__(self, frame: Frame, chunks: Mapping[int, Value]) -> None:
        super().__init__(frame)
        self.chunks = chunks

    def read(self, pieces: Sequence[Piece]) -> list[Value]:
        return [_cut(self.chunks[offset], byte_range) for offset, byte_range in pieces]


class MemoryHome(Home):
    """
    A frame in memory.

    Args:
        frame: What is known of it. Its offsets are names of chunks.

        chunks: The chunks by name.

        writable: Whether it may be changed.
    """

    latency = Latency.MEMORY

    def __init__(
        self, frame: Frame, chunks: Mapping[int, Value] | None = None, *, writable: bool = True
    ) -> None:
        self.writable = writable
        self._names = count(max(chunks or (), default=-1) + 1)
        self._snapshot = _MemorySnapshot(frame, dict(chunks or {}))

    def __reduce__(self) -> tuple[Any, ...]:
        snapshot = self._snapshot
        ends = _MemoryChange(self, snapshot).ends(snapshot.frame.header.cbytes)
        chunks = {name: bytes(chunk) for name, chunk in snapshot.chunks.items()}
        return _restore, (*ends, chunks, self.writable)

    @classmethod
    def of(cls, data: bytes, *, writable: bool = True) -> Self:
        """
        The home of a frame that is there as one.

        Args:
            data: The frame; what follows it is not looked at.

            writable: As above.

        Raises:
            CorruptFrameError: If it is none.
        """
        view = memoryview(data).toreadonly()
        frame = load_frame(partial(parts_of, view))
        places = {place: frame.extent(place) for place in set(frame.offsets.tolist()) if place >= 0}
        chunks = {place: frame.exact(view[a:b]) for place, (a, b) in places.items()}
        return cls(frame, chunks, writable=writable)

    @property
    def identity(self) -> Hashable:
        """This object."""
        return "frame", id(self)

    def snapshot(self) -> Snapshot:
        """The frame as it is."""
        return self._snapshot

    def refresh(self) -> None:
        """Nothing: every snapshot is new."""

    @contextmanager
    def change(self) -> Iterator[Change]:
        """See `Home.change`; the caller lets nobody else change it meanwhile."""
        if not self.writable:
            raise ReadOnlyError("the frame was opened to be read", op="set")
        yield _MemoryChange(self, self._snapshot)


def _restore(head: bytes, tail: bytes, chunks: Mapping[int, Value], writable: bool) -> MemoryHome:
    return MemoryHome(parse_ends(head, tail, names=True), chunks, writable=writable)


class _MemoryChange(Change):
    def __init__(self, home: MemoryHome, snapshot: _MemorySnapshot) -> None:
        super().__init__(snapshot)
        self._home, self._old = home, snapshot.chunks
        self._fresh: dict[int, Value] = {}

    def _is_fresh(self, offset: int) -> bool:
        return offset in self._fresh

    def _reserve(self, data: Value) -> int:
        return next(self._home._names)

    def _write(self, offset: int, data: Value) -> None:
        self._fresh[offset] = bytes(data)

    def _read(self, offset: int, byte_range: ByteRange) -> Value:
        return _cut(self._fresh[offset], byte_range)

    def commit(self) -> Snapshot:
        """Let everything appear."""
        stored = self.offsets[self.offsets >= 0].tolist()
        chunks = {name: self._fresh.get(name, self._old.get(name, b"")) for name in stored}
        head, tail = self.ends(sum(map(len, chunks.values())))
        self._home._snapshot = _MemorySnapshot(parse_ends(head, tail, names=True), chunks)
        return self._home._snapshot


def _cut(value: Value, byte_range: ByteRange) -> Value:
    first, last = resolve_range(*byte_range, len(value))
    return value if last - first == len(value) else memoryview(value)[first:last]
