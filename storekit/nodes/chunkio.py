"""
Chunks between a store and a working array: selection -> plan -> store bytes -> coder -> array, and
back.

A step of the plan is one chunk. Reading fills the chunk's place in the working array; writing
encodes a chunk that is covered in full, and reads, changes and writes back one that is not: under
the chunk's lock, and under compare-and-set where the store has it, so that no update is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from math import prod
from typing import TypeAlias

import numpy as np

from storekit.codecs.base import ChunkCoder
from storekit.errors import CodecError, ConflictError, KeyNotFoundError, ReadOnlyError
from storekit.nodes.locks import value_lock
from storekit.pool import run
from storekit.selection.parse import Selection
from storekit.selection.part import Part, part_shape, put, take, view
from storekit.selection.plan import COVERS, PARTIAL, WHOLE, GridPlan
from storekit.stores.base import ConditionalStore, Latency, ReadableStore, WritableStore
from storekit.typing import AnyArray, ByteRange, Shape, Value

__all__ = ["ChunkIO"]

_Steps: TypeAlias = Iterable[tuple[str, Part, Part, int]]

_INLINE = 1 << 18
"""Work on fewer decoded bytes than this is done before a second thread has woken up (40 us)."""

_BATCH = 1 << 20
"""
A worker takes about this many decoded bytes at a time, so that taking costs little beside the work.
"""

_MIN_SAVED = {Latency.DISK: 1 << 17, Latency.NETWORK: 1 << 20}
"""
Bytes that a read by ranges must save to pay for its further request: about latency times bandwidth.
In memory it never does, since whole values are handed out without a copy.
"""


class ChunkIO:
    """
    The chunks of one array: everything that is the same for all of them, resolved once.

    Args:
        store: Where the chunks are.

        shape: Of the array.

        coder: The codecs, bound to the chunks of the grid (shards, if there are any).

        name_of: From a chunk's grid indices as texts to its key.

    Threads: safe.
    """

    def __init__(
        self,
        store: ReadableStore,
        shape: Shape,
        coder: ChunkCoder,
        name_of: Callable[[tuple[str, ...]], str],
    ) -> None:
        self._store, self._shape, self._coder, self._name_of = store, shape, coder, name_of
        self._spec = coder.spec

    def read(self, selection: Selection) -> AnyArray:
        """
        A new array with the selected elements; the fill value where chunks are absent.

        Raises:
            StoreError: Of the store, as it is. Only absence becomes fill values.

            CodecError: With the key of the chunk.
        """
        result, work = selection.result(self._spec.dtype)
        self._fill(selection, work)
        return result

    def read_into(self, selection: Selection, out: AnyArray) -> None:
        """
        Read to an array of the selection's shape, and of any dtype that the elements can be cast
        to.
        """
        if selection.block is None and out.dtype == self._spec.dtype:
            self._fill(selection, selection.arrange(out))
        else:
            out[...] = self.read(selection)

    def write(self, selection: Selection, values: AnyArray, *, check_empty: bool = True) -> None:
        """
        Write values, which are broadcast to the selection.

        Args:
            selection: Where to.

            values: Of any dtype that can be cast to the array's.

            check_empty: Whether chunks that hold nothing but the fill value are removed, not
                stored.

        Raises:
            ReadOnlyError: If the store cannot be written.

            ShapeError: If the values cannot be broadcast to the selection.
        """
        store = self._store
        if not isinstance(store, WritableStore):
            raise ReadOnlyError("the store cannot be written", store=store, op="set")
        plan = self._plan(selection)
        work = selection.arrange(values)
        self._run(plan, partial(self._write_steps, store, work, check_empty))

    def _fill(self, selection: Selection, work: AnyArray) -> None:
        self._run(self._plan(selection), partial(self._read_steps, work))

    def _plan(self, selection: Selection) -> GridPlan[str, str]:
        return GridPlan(
            selection.axes, selection.points, self._shape, self._spec.shape, _label, self._name_of
        )

    def _run(self, plan: GridPlan[str, str], work: Callable[[_Steps], None]) -> None:
        """
        Choose who works on a plan: the one place where latency and chunk size decide about threads.
        """
        store, count = self._store, len(plan)
        per_chunk = max(
            min(self._spec.nbytes, prod(plan.shape) * self._spec.dtype.itemsize // (count or 1)), 1
        )
        if store.latency >= Latency.NETWORK:
            workers, batch = min(store.concurrency, count), 1
        elif per_chunk * count < _INLINE:
            workers, batch = 1, count
        else:
            batch = max(_BATCH // self._spec.nbytes, 1)
            workers = min(store.concurrency, -(-count // batch))
        run(plan, work, clock=store.clock, workers=workers, crew=store.concurrency, batch=batch)

    def _read_steps(self, work: AnyArray, steps: _Steps) -> None:
        get, coder = self._store.get, self._coder
        for key, where, part, extent in steps:
            try:
                if extent == PARTIAL and coder.ranges and self._ranges_pay(part):
                    self._read_ranges(key, work, where, part)
                else:
                    coder.decode_step(get(key), work, where, part, extent)
            except KeyNotFoundError:
                put(work, where, self._spec.fill_value)
            except CodecError as error:
                raise error.located(key) from error

    def _ranges_pay(self, part: Part) -> bool:
        least = _MIN_SAVED.get(self._store.latency)
        if least is None:
            return False
        whole = self._coder.encoded_size or self._spec.nbytes
        return whole - prod(part_shape(part)) * self._spec.dtype.itemsize >= least

    def _read_ranges(self, key: str, work: AnyArray, where: Part, part: Part) -> None:
        def fetch(ranges: Iterable[ByteRange]) -> list[Value]:
            values = self._store.get_partial_values(
                [(key, start, length) for start, length in ranges]
            )
            found = [value for value in values if value is not None]
            if len(found) < len(values):
                raise KeyNotFoundError(
                    f"no key {key!r}", store=self._store, op="get_partial_values", key=key
                )
            return found

        if isinstance(where, tuple):
            self._coder.read_part(fetch, view(work, where), part)
        else:
            values = np.empty(part_shape(part), self._spec.dtype)
            self._coder.read_part(fetch, values, part)
            put(work, where, values)

    def _write_steps(
        self, store: WritableStore, work: AnyArray, check_empty: bool, steps: _Steps
    ) -> None:
        spec = self._spec
        # Compare-and-set notices a whole chunk written in between; otherwise the lock must.
        conditional = isinstance(store, ConditionalStore)
        alone: Callable[[str], AbstractContextManager[object]] = (
            nullcontext if conditional else partial(value_lock, store)
        )
        for key, where, part, extent in steps:
            try:
                values = take(work, where)
                if extent == PARTIAL:
                    self._update(store, key, partial(self._changed, part, values))
                    continue
                if extent == WHOLE:
                    chunk = values.astype(spec.dtype, copy=False)
                else:
                    chunk = spec.full()
                    put(chunk, part, values)
                data = None if check_empty and spec.is_fill(chunk) else self._coder.encode(chunk)
                if extent == COVERS:
                    self._cover(store, key, data, part, values)
                    continue
                with alone(key):
                    if data is None:
                        store.erase(key)
                    else:
                        store.set(key, data)
            except CodecError as error:
                raise error.located(key) from error

    def _changed(self, part: Part, values: AnyArray, old: Value | None) -> Value | None:
        """The bytes of a chunk with a part written over; None if nothing needs to be stored."""
        # What is absent is fill value already, and the chunk may be larger than memory.
        if old is None and self._spec.is_fill(_once(values).astype(self._spec.dtype, copy=False)):
            return None
        return self._coder.update(old, part, values)

    def _cover(
        self, store: WritableStore, key: str, fresh: Value | None, part: Part, values: AnyArray
    ) -> None:
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

        if fresh is not None and isinstance(store, ConditionalStore):
            with suppress(ConflictError):  # in a new array, one request is enough
                store.compare_and_set(key, fresh, None)
                return
        self._update(store, key, change)

    def _update(
        self, store: WritableStore, key: str, change: Callable[[Value | None], Value | None]
    ) -> None:
        with value_lock(store, key):
            if isinstance(store, ConditionalStore):
                while not self._try_update(store, key, change):
                    pass
                return
            try:
                old = self._store.get(key)
            except KeyNotFoundError:
                old = None
            data = change(old)
            if data is not None:
                store.set(key, data)
            elif old is not None:
                store.erase(key)

    def _try_update(
        self, store: ConditionalStore, key: str, change: Callable[[Value | None], Value | None]
    ) -> bool:
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


def _label(_: int, index: int) -> str:
    return str(index)
