"""
Where a frame lives: how its chunks are read, and how it is changed.

What is read belongs to one state of the frame, a snapshot; what is changed appears at once, when
the change is committed.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from storekit.clock import REAL_CLOCK, Clock
from storekit.errors import MetadataError
from storekit.frames.b2nd import B2ndMeta
from storekit.frames.ends import pack_ends
from storekit.frames.frame import Frame, grid_counts, trimmed
from storekit.frames.index import MAX_CHUNKS
from storekit.frames.layout import ZEROS
from storekit.frames.seal import SEAL
from storekit.pool import available_cores
from storekit.stores.base import Latency
from storekit.typing import AnyArray, ByteRange, Shape, Value

__all__ = ["Change", "Home", "Piece", "Snapshot"]

Piece: TypeAlias = tuple[int, ByteRange]
"""The offset of a stored chunk, and a range of it as start and length."""


@dataclass(frozen=True)
class Snapshot(ABC):
    """
    A frame as it was at one time.

    Attributes:
        frame: What is known of it.
    """

    frame: Frame

    @abstractmethod
    def read(self, pieces: Sequence[Piece]) -> list[Value]:
        """
        Ranges of stored chunks, clamped to them. A chunk may come with bytes behind it that are not
        used any more.
        """

    def chunk(self, offset: int) -> Value:
        """A stored chunk, exactly; see `Frame.exact`."""
        (value,) = self.read([(offset, (0, None))])
        return self.frame.exact(value)

    def pack(self) -> bytes:
        """The frame as one, without what is not used any more."""
        frame = self.frame
        offsets = frame.offsets.copy()
        used, where = np.unique(offsets[offsets >= 0], return_inverse=True)
        values = self.read([(n, (0, None)) for n in used.tolist()])
        chunks = [frame.exact(value) for value in values]
        places = np.cumsum([0, *map(len, chunks)])
        offsets[offsets >= 0] = places[where]
        layers = _layers(frame)
        header, vlmeta = frame.header._replace(sparse=False), frame.trailer.layers
        head, tail = pack_ends(header, frame.meta, layers, vlmeta, offsets, int(places[-1]))
        return b"".join((head, *chunks, tail))


class Change(ABC):
    """
    A frame that is being changed. Nobody sees anything of it before `commit`.

    Args:
        snapshot: What is changed.

    Attributes:
        offsets: As in `Frame`; of chunks stored meanwhile, too.

        meta: Shape, chunks, blocks and type.

        layers: The contents of the metalayers of fixed length.

        vlmeta: The metalayers of variable length.

    Threads: `put`, `drop` and `get` are safe.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        frame = snapshot.frame
        self.offsets: AnyArray = frame.offsets.copy()
        self.meta: B2ndMeta = frame.meta
        self.layers = _layers(frame)
        self.vlmeta = frame.trailer.layers
        self.dead = frame.dead
        self._lock = threading.Lock()

    def put(self, number: int, data: Value) -> None:
        """Store a chunk."""
        with self._lock:
            self._forget(int(self.offsets[number]))
            place = self._reserve(data)
            self.offsets[number] = place
        self._write(place, data)

    def drop(self, number: int, special: int = ZEROS) -> None:
        """Let a chunk be special, and not stored."""
        with self._lock:
            self._forget(int(self.offsets[number]))
            self.offsets[number] = special

    def read(self, pieces: Sequence[Piece]) -> list[Value]:
        """As `Snapshot.read`, of chunks stored meanwhile, too."""
        old = [piece for piece in pieces if not self._is_fresh(piece[0])]
        values = iter(self.snapshot.read(old) if old else ())
        return [
            self._read(*piece) if self._is_fresh(piece[0]) else next(values) for piece in pieces
        ]

    @abstractmethod
    def commit(self) -> Snapshot:
        """Let everything appear."""

    @abstractmethod
    def _is_fresh(self, offset: int) -> bool: ...

    @abstractmethod
    def _reserve(self, data: Value) -> int:
        """An offset for a chunk; called by one thread at a time."""

    @abstractmethod
    def _write(self, offset: int, data: Value) -> None: ...

    @abstractmethod
    def _read(self, offset: int, byte_range: ByteRange) -> Value: ...

    def _forget(self, offset: int) -> None:  # noqa: B027 - most need not know
        """The chunk at an offset is not used any more, if there was one."""

    def chunk(self, offset: int) -> Value:
        """A stored chunk, exactly."""
        if self._is_fresh(offset):
            return trimmed(self._read(offset, (0, None)))
        return self.snapshot.chunk(offset)

    def reshape(self, shape: Shape) -> None:
        """
        Let the array have another shape, of as many dimensions. Chunks stay at their places in the
        grid; those that have none any more are dropped.

        Raises:
            MetadataError: If that takes too many chunks, or chunks of no length.
        """
        chunks = self.meta.chunks
        if prod(shape) and 0 in chunks:
            raise MetadataError(f"an array with chunks of shape {chunks} cannot grow")
        before, now = grid_counts(self.meta.shape, chunks), grid_counts(shape, chunks)
        if prod(now) > MAX_CHUNKS:
            expected = f"at most {MAX_CHUNKS} chunks"
            raise MetadataError(field="shape", expected=expected, found=prod(now))
        kept = tuple(slice(min(pair)) for pair in zip(before, now, strict=True))
        old = self.offsets.reshape(before)
        gone = old >= 0
        gone[kept] = False
        for number in np.flatnonzero(gone):
            self.drop(int(number))
        fresh = np.full(now, ZEROS, np.int64)
        fresh[kept] = old[kept]
        self.offsets, self.meta = fresh.reshape(-1), self.meta._replace(shape=shape)

    def stored(self) -> Iterator[Value]:
        """
        All stored chunks, one after the other. When the last one was taken, `offsets` says where
        they begin if they are put together.
        """
        offsets, end = self.offsets.copy(), 0
        places: dict[int, int] = {}
        for number in np.flatnonzero(offsets >= 0):
            offset = int(offsets[number])
            if offset not in places:  # a frame from outside may have one chunk in many places
                chunk = self.chunk(offset)
                places[offset], end = end, end + len(chunk)
                yield chunk
            offsets[number] = places[offset]
        self.offsets = offsets

    def pack(self) -> bytes:
        """The frame as one, changes included, without what is not used any more."""
        chunks = list(self.stored())
        head, tail = self.ends(sum(map(len, chunks)))
        return b"".join((head, *chunks, tail))

    def ends(self, cbytes: int, dead: int = 0) -> tuple[bytes, bytes]:
        """What stands before and behind chunks of so many bytes; see `pack_ends`."""
        return pack_ends(
            self.snapshot.frame.header,
            self.meta,
            self.layers,
            self.vlmeta,
            self.offsets,
            cbytes,
            dead,
            self.snapshot.frame.state + 1,
        )


class Home(ABC):
    """
    Where one frame lives.

    Attributes:
        path: Of the local file or directory; None where it is in none.

    Threads: safe.
    """

    path: str | None = None

    latency: Latency = Latency.DISK
    request_cost: float = 1 << 20
    clock: Clock = REAL_CLOCK

    @property
    def concurrency(self) -> int:
        """How many requests at once help."""
        return available_cores()

    @property
    @abstractmethod
    def identity(self) -> Hashable:
        """What names the place of the frame."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The frame as it is now, as far as that can be known without a request."""

    @abstractmethod
    def refresh(self) -> None:
        """Look whether others have changed the frame."""

    @abstractmethod
    def change(self) -> AbstractContextManager[Change]:
        """
        Change the frame, while nobody else does. What was not committed at the end is forgotten.

        Raises:
            ReadOnlyError: If the frame cannot be written.

            ConflictError: When it is committed, if somebody else has changed it all the same.
        """


def _layers(frame: Frame) -> dict[str, bytes]:
    """Its metalayers but the checksums of a frame of one chunk, which would then be wrong."""
    return {name: layer.content for name, layer in frame.layers.items() if name != SEAL}
