"""
Chunks on their way into a store.

A chunk that is covered in full is encoded and stored; one that is not is read, changed and written
back: under the chunk's lock, and under compare-and-set where the store has it, so that no update is
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import TypeAlias

from storekit.codecs.coder import ChunkCoder
from storekit.errors import (
    CodecError,
    ConflictError,
    InvalidRangeError,
    KeyNotFoundError,
    ReadOnlyError,
)
from storekit.nodes.locks import value_lock
from storekit.selection.part import Part, put, take, view
from storekit.selection.plan import COVERS, PARTIAL, WHOLE
from storekit.stores.base import ConditionalStore, Latency, ReadableStore, WritableStore
from storekit.typing import AnyArray, Value

__all__ = ["ChunkWriter"]

_TOGETHER = 1 << 20
"""Encoded bytes that are held back to be stored together; one chunk may be more."""

_Change: TypeAlias = Callable[[Value | None], Value | None]
"""From the bytes that a chunk has to those that it shall have; None where it is absent."""


class ChunkWriter:
    """
    What changes the chunks of one array.

    Args:
        store: Where the chunks are.

        coder: The codecs, bound to the chunks.

    Raises:
        ReadOnlyError: If the store cannot be written.

    Threads: safe.
    """

    def __init__(self, store: ReadableStore, coder: ChunkCoder) -> None:
        # Compare-and-set notices a chunk written in between; otherwise the lock must.
        self._conditional = store if isinstance(store, ConditionalStore) else None
        if not isinstance(store, WritableStore):
            raise ReadOnlyError("the store cannot be written", store=store, op="set")
        self._store: WritableStore = store
        self._read = store.get
        self._coder, self._spec = coder, coder.spec

    def write_steps(
        self, work: AnyArray, check_empty: bool, steps: Iterable[tuple[str, Part, Part, int]]
    ) -> None:
        """
        Write what steps of a plan ask for.

        Args:
            work: The working array of the plan.

            check_empty: Whether chunks that hold nothing but the fill value are removed, not
                stored.

            steps: With keys for names. Small chunks that are whole are stored together.

        Raises:
            CodecError: With the key of the chunk.
        """
        spec, encode = self._spec, self._coder.encode
        fresh: list[tuple[str, Value]] = []
        empty: list[str] = []
        size = 0
        for key, where, part, extent in steps:
            try:
                values = take(work, where)
                if extent == PARTIAL:
                    self._write_part(key, part, values)
                    continue
                if extent == WHOLE:
                    chunk = values.astype(spec.dtype, copy=False)
                else:
                    chunk = spec.full()
                    put(chunk, part, values)
                data = None if check_empty and spec.is_fill(chunk) else encode(chunk)
                if extent == COVERS:
                    self._cover(key, data, part, values)
                elif data is None:
                    empty.append(key)
                else:
                    fresh.append((key, data))
                    size += len(data)
            except CodecError as error:
                raise error.located(key) from error
            if size >= _TOGETHER:
                self._store_all(fresh)
                fresh, size = [], 0
        self._store_all(fresh)
        self._erase_all(empty)

    def _store_all(self, values: list[tuple[str, Value]]) -> None:
        if self._conditional is not None and len(values) > 1:
            self._store.set_values(values)
            return
        for key, data in values:
            with self._alone(key):
                self._store.set(key, data)

    def _erase_all(self, keys: list[str]) -> None:
        if self._conditional is not None and len(keys) > 1:
            self._store.erase_values(keys)
            return
        for key in keys:
            with self._alone(key):
                self._store.erase(key)

    def _alone(self, key: str) -> AbstractContextManager[object]:
        return nullcontext() if self._conditional is not None else value_lock(self._store, key)

    def _write_part(self, key: str, part: Part, values: AnyArray) -> None:
        store = self._conditional
        start = None if store is None else self._place(part)
        if store is not None and start is not None:
            element = _once(values).astype(self._spec.dtype)
            with suppress(KeyNotFoundError, InvalidRangeError):
                # The usual way makes chunks, says what is wrong with them, removes empty ones.
                if store.getsize(key) == self._spec.nbytes and not self._spec.is_fill(element):
                    store.set_partial_values([(key, start, element.tobytes())])
                    return
        self._update(key, partial(self._changed, part, values))

    def _place(self, part: Part) -> int | None:
        """
        Where in the bytes of its chunk a lone element lies, if it can be written there: 30 us where
        a chunk of 1 MiB written anew takes 600. From a network that would be a request more.
        """
        near = self._store.latency <= Latency.DISK
        if not (near and self._coder.plain and isinstance(part, tuple)):
            return None
        place = 0
        for axis, length in zip(part, self._spec.shape, strict=True):
            if axis.stop - axis.start > 1:
                return None
            place = place * length + axis.start
        return place * self._spec.dtype.itemsize

    def _changed(self, part: Part, values: AnyArray, old: Value | None) -> Value | None:
        """The bytes of a chunk with a part written over; None if nothing needs to be stored."""
        # What is absent is fill value already, and the chunk may be larger than memory.
        if old is None and self._spec.is_fill(_once(values).astype(self._spec.dtype, copy=False)):
            return None
        return self._coder.update(old, part, values)

    def _cover(self, key: str, fresh: Value | None, part: Part, values: AnyArray) -> None:
        """
        Write all of a chunk that lies within the array, as far as this object knows its shape.

        Others may have made the array longer and written what lies beyond; that must stay.
        """

        def change(old: Value | None) -> Value | None:
            if old is None:
                return fresh
            try:
                data = self._coder.update(old, part, values)
            except CodecError:
                return fresh  # nothing else can be read of it, either
            return fresh if data is None else data

        if fresh is not None and self._conditional is not None:
            with suppress(ConflictError):  # in a new array, one request is enough
                self._conditional.compare_and_set(key, fresh, None)
                return
        self._update(key, change)

    def _update(self, key: str, change: _Change) -> None:
        store = self._store
        with value_lock(store, key):
            if self._conditional is not None:
                while not _try_update(self._conditional, key, change):
                    pass
                return
            try:
                old = self._read(key)
            except KeyNotFoundError:
                old = None
            data = change(old)
            if data is not None:
                store.set(key, data)
            elif old is not None:
                store.erase(key)


def _try_update(store: ConditionalStore, key: str, change: _Change) -> bool:
    """Whether nobody else has changed the chunk meanwhile."""
    old: Value | None
    version: str | None
    try:
        old, version = store.get_versioned(key)
    except KeyNotFoundError:
        old, version = None, None
    data = change(old)
    if data is None and old is None:
        return True
    try:
        store.compare_and_set(key, data, version)
    except ConflictError:
        return False
    return True


def _once(values: AnyArray) -> AnyArray:
    """The values without the repetitions that broadcasting has made."""
    return view(values, (slice(0, 1) if step == 0 else slice(None) for step in values.strides))
