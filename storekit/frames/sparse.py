"""
Sparse frames: a directory, or a prefix of any store, in which every chunk is a value by itself.

Beside the chunks lies ``chunks.b2frame``, with header, index and trailer; the index has the number
of each chunk's value. A change writes its chunks under numbers that nobody has, then the index,
which is what makes it appear, and then erases the chunks that are not used any more.

Source: C-Blosc2, README_SFRAME_FORMAT.rst.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from storekit.errors import (
    ConflictError,
    CorruptFrameError,
    KeyNotFoundError,
    NodeExistsError,
    NodeNotFoundError,
    ReadOnlyError,
)
from storekit.frames.ends import pack_ends
from storekit.frames.frame import Frame
from storekit.frames.home import Change, Home, Piece, Snapshot
from storekit.frames.layout import parse_header
from storekit.frames.loading import parse_ends, parse_sparse
from storekit.frames.sparsechange import SparseChange
from storekit.stores.base import (
    ConditionalStore,
    Latency,
    ListableStore,
    ReadableStore,
    WritableStore,
)
from storekit.stores.local import LocalStore
from storekit.typing import Value

__all__ = ["SPARSE_INDEX", "SparseHome", "chunk_number"]

SPARSE_INDEX = "chunks.b2frame"
"""The name of what lies beside the chunks."""

_CHUNK = re.compile(r"[0-9A-F]{8}\.chunk")


def chunk_number(name: str) -> int | None:
    """The number of the chunk that a file of such a name holds; None if it is no chunk."""
    return int(name[:8], 16) if _CHUNK.fullmatch(name) else None


class _SparseSnapshot(Snapshot):
    def __init__(self, frame: Frame, home: SparseHome) -> None:
        super().__init__(frame)
        object.__setattr__(self, "home", home)

    home: SparseHome

    def read(self, pieces: Sequence[Piece]) -> list[Value]:
        """In one call of the store."""
        asked = [(self.home._key(offset), *byte_range) for offset, byte_range in pieces]
        values = self.home.store.get_partial_values(asked)
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            raise self.home._missing(self.frame, asked[values.index(None)][0])
        return found


class SparseHome(Home):
    """
    A sparse frame.

    In memory and on a disk, the index is looked at by every statement; in a store on a network when
    this is made, and by `refresh`. Who reads while somebody else changes the same chunks may have
    to do so again (`ConflictError`).

    Args:
        store: Any that can be read.

        prefix: Of the frame in the store, without a slash at the end; all of the store if empty.

        writable: Whether the frame may be changed.

        new: A contiguous frame without chunks, which is here as soon as the first change is
            committed.

        replace: Whether it may take the place of another frame, and of chunks that killed writers
            have left.

    Raises:
        KeyNotFoundError: If there is nothing.

        CorruptFrameError: If there is no sparse frame.

        NodeExistsError: If there is one in the place of a new one.

        ReadOnlyError: If it is to be changed, and the store cannot be written.

    Threads: safe. Of several that change the frame at once, in whatever process, one succeeds at a
    time if the store has compare-and-set.
    """

    def __init__(
        self,
        store: ReadableStore,
        prefix: str = "",
        *,
        writable: bool = False,
        new: bytes | None = None,
        replace: bool = False,
    ) -> None:
        self.store, self.prefix, self.writable = store, prefix, writable
        if isinstance(store, LocalStore):
            self.path = os.path.join(store.path, prefix).rstrip("/")
        if writable and not isinstance(store, WritableStore):
            raise self._read_only()
        self.latency, self.request_cost, self.clock = store.latency, store.request_cost, store.clock
        self._lock = threading.Lock()
        self._index_key = f"{prefix}/{SPARSE_INDEX}" if prefix else SPARSE_INDEX
        self._new: _SparseSnapshot | None = None
        self._replace = replace
        if new is None:
            self._load()
            return
        if not replace and store.exists(self._index_key):
            raise self._taken()
        self._new = _SparseSnapshot(_sparse(new), self)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), writable=self.writable), (self.store, self.prefix)

    @property
    def concurrency(self) -> int:
        """That of the store."""
        return self.store.concurrency

    @property
    def identity(self) -> Hashable:
        """The place of the index."""
        return "frame", *self.store._place(self._index_key)

    def snapshot(self) -> Snapshot:
        """The frame as it is now; in a store on a network, as it was when it was looked at last."""
        if self._new is not None:
            return self._new
        if self.latency < Latency.NETWORK:
            self.refresh()
        return self._state[1]

    def refresh(self) -> None:
        """Read the index again."""
        try:
            self._load()
        except KeyNotFoundError as error:
            raise NodeNotFoundError(f"the frame at {self.prefix!r} is gone") from error

    def _load(self) -> None:
        self._take(bytes(self.store.get(self._index_key)))

    def _take(self, value: bytes) -> Snapshot:
        """The state that an index stands for; the same as before, if it is the same index."""
        with self._lock:
            found = getattr(self, "_state", None)
            if found is None or found[0] != value:
                self._state = value, _SparseSnapshot(parse_sparse(value), self)
            return self._state[1]

    def _key(self, number: int) -> str:
        name = f"{number:08X}.chunk"
        return f"{self.prefix}/{name}" if self.prefix else name

    def _missing(self, frame: Frame, key: str) -> Exception:
        """What it means that there is no chunk under a key; never that it holds zeros."""
        self.refresh()
        if np.array_equal(self._state[1].frame.offsets, frame.offsets):
            return CorruptFrameError(f"there is no {key!r}, which the index of the frame names")
        return ConflictError(
            "the frame was changed while it was read", store=self.store, op="get", key=key
        )

    def _read_only(self) -> ReadOnlyError:
        return ReadOnlyError(
            f"the frame at {self.prefix!r} was opened to be read, or cannot be written",
            store=self.store,
            op="set",
            key=self.prefix,
        )

    def appear(self) -> None:
        """Let a new frame be there, if nothing was written to it."""
        if self._new is not None:
            with self.change() as change:
                change.commit()

    @contextmanager
    def change(self) -> Iterator[Change]:
        """
        See `Home.change`.

        Raises:
            ConflictError: If somebody else has written meanwhile, and the store can tell.
        """
        store = self.store
        if not self.writable or not isinstance(store, WritableStore):
            raise self._read_only()
        value, version = self._versioned(store)
        snapshot: Snapshot | None = self._new
        if snapshot is None:
            if value is None:
                raise NodeNotFoundError(f"the frame at {self.prefix!r} is gone")
            snapshot = self._take(value)
        change = SparseChange(self, store, snapshot, version)
        if self._new is not None:
            if self._replace:
                change.replaces(value, self._stored())
            elif value is not None:  # somebody else was faster
                raise self._taken()
        try:
            yield change
        finally:
            change.close()

    def _versioned(self, store: WritableStore) -> tuple[bytes | None, str | None]:
        """The index, and its version if the store has such; None for what is absent."""
        try:
            if isinstance(store, ConditionalStore):
                value, version = store.get_versioned(self._index_key)
                return bytes(value), version
            return bytes(self.store.get(self._index_key)), None
        except KeyNotFoundError:
            return None, None

    def _stored(self) -> set[int]:
        """The numbers of all chunks that are there, in the frame or not, if that can be known."""
        if not isinstance(self.store, ListableStore):
            return set()
        base = f"{self.prefix}/" if self.prefix else ""
        found = (chunk_number(key[len(base) :]) for key in self.store.list_dir(base))
        return {number for number in found if number is not None}

    def _taken(self) -> NodeExistsError:
        return NodeExistsError(f"there is a frame at {self.prefix!r} of {self.store!r}")

    def _changed(self, value: bytes) -> Snapshot:
        self._new = None
        return self._take(value)


def _sparse(blank: bytes) -> Frame:
    """The same frame, without chunks, with these as values of their own."""
    size = parse_header(blank).header_len
    frame = parse_ends(blank[:size], blank[size:])
    contents = {name: layer.content for name, layer in frame.layers.items()}
    header = frame.header._replace(sparse=True)
    ends = pack_ends(header, frame.meta, contents, frame.trailer.layers, frame.offsets, 0)
    return parse_sparse(b"".join(ends))
