"""
Chunks between a store and a working array: selection -> plan -> store bytes -> coder -> array, and
back.

A step of the plan is one chunk. Reading fills the chunk's place in the working array; how chunks
are written is in `storekit.nodes.chunkwrite`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from functools import cached_property, partial
from math import inf, prod
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

from storekit.codecs.bound import Bound
from storekit.codecs.coder import ChunkCoder
from storekit.errors import CodecError, KeyNotFoundError
from storekit.nodes.chunkwrite import ChunkWriter
from storekit.nodes.dtypes.base import unshared
from storekit.nodes.kept import Kept
from storekit.pool import run, threads_pay
from storekit.selection.parse import Selection
from storekit.selection.part import Part, part_shape, put, view
from storekit.selection.plan import PARTIAL, GridPlan
from storekit.stopping import unless_stopped
from storekit.stores.base import Latency, ReadableStore
from storekit.stores.states import ChangedError
from storekit.typing import AnyArray, ByteRange, Shape, Value

__all__ = ["ChunkIO", "Step"]

Step: TypeAlias = tuple[str, Part, Part, int]
"""The key of a chunk, its place in the working array, the part of it, and how much that is."""

_Steps: TypeAlias = Iterable[Step]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_WAKE = 50
"""Work of fewer microseconds than this is done before a second thread has woken up."""

_REQUEST = (1, 8)
"""
Microseconds that a request takes, about, where it is no use to wait for several at once: from
memory, and from a disk. (By place: to look up a member of an enumeration takes half of one.)
"""

_BATCH = 1 << 20
"""
A worker takes about this many decoded bytes at a time, so that taking costs little beside the work.
"""

_ENCODING = 3
"""
How many times as long as decoding a chunk encoding it takes, about. To files of 16 KiB, none or
little compressed (lz4: 6 us of native code), one thread writes in 29 to 36 us, two in 36 to 48;
zstd takes 40 us, and one thread 90 where two take 52.
"""

_IN_FLIGHT = 256 << 20
"""
Decoded bytes of the chunks that are on their way at once from a store on a network; with large
chunks that limits the requests, though not to fewer than `_FEWEST`.
"""

_FEWEST = 4

_TRIES = 5
"""How often a part is read by ranges of a value that others replace meanwhile."""

_MIN_SAVED = (inf, 1 << 17)
"""
Bytes that a read by ranges must save to pay for its further request, from memory and from a disk:
about latency times bandwidth, which a network store says itself. In memory it never pays, since
whole values are handed out without a copy.
"""


class _Items(Sized, Iterable[T_co], Protocol[T_co]):
    """A number of things, one after the other."""


class ChunkIO:
    """
    The chunks of one array: everything that is the same for all of them, resolved once.

    Args:
        store: Where the chunks are.

        shape: Of the array.

        coder: The codecs, bound to the chunks of the grid (shards, if there are any).

        name_of: From the labels of a chunk's grid indices to its key.

        label: Makes of an axis and a grid index along it the label; the index as a text if None.

    Threads: safe.
    """

    def __init__(
        self,
        store: ReadableStore,
        shape: Shape,
        coder: ChunkCoder,
        name_of: Callable[[tuple[Any, ...]], str],
        label: Callable[[int, int], Any] | None = None,
    ) -> None:
        self._store, self._shape, self._coder = store, shape, coder
        self._name_of, self._label = name_of, label or _index
        self._spec = coder.spec
        self._kept = Kept()
        # Who has asked whether it is brief reads it next, and need not plan it twice: 3 us.
        self._planned: tuple[Selection, GridPlan[Any, str]] | None = None

    def read(self, selection: Selection) -> AnyArray:
        """
        A new array with the selected elements; the fill value where chunks are absent.

        Raises:
            StoreError: Of the store, as it is. Only absence becomes fill values.

            CodecError: With the key of the chunk.
        """
        result, work = selection.result(unshared(self._spec.dtype))
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
        write_steps = self._writer.write_steps
        plan = self._plan(selection)
        work = selection.arrange(values)
        size = self._spec.nbytes
        threads = self._store.durable or threads_pay(_ENCODING * size / self._coder.rate)
        self._run(plan, partial(write_steps, work, check_empty), size, threads=threads)

    @cached_property
    def _writer(self) -> ChunkWriter:
        return ChunkWriter(self._store, self._coder)

    def is_brief(self, selection: Selection) -> bool:
        """Whether reading takes less time than to wake a thread for it."""
        plan = self._plan(selection)
        self._planned = selection, plan
        return self._is_brief(plan, self._decoded(plan))

    def _fill(self, selection: Selection, work: AnyArray) -> None:
        self._fill_from(self._plan(selection), selection, work)

    def _fill_from(self, plan: GridPlan[Any, str], selection: Selection, work: AnyArray) -> None:
        size = self._decoded(plan)
        threads = threads_pay(size / self._coder.rate)
        held = self._held(selection, plan) if self._store.latency >= Latency.NETWORK else size
        self._run(plan, partial(self._read_steps, work), size, held=held, threads=threads)

    def _held(self, selection: Selection, plan: Sized) -> int:
        """How many bytes are held for each chunk that is read, about."""
        if not self._coder.ranges or not (count := len(plan)):
            return self._spec.nbytes
        spans, points = [], 1
        for i, (axis, chunk) in enumerate(zip(selection.axes, self._spec.shape, strict=True)):
            if i in selection.points:
                points = -(-len(axis) // count)
                spans.append(1)
            else:
                first, last = axis[0], axis[-1]
                if isinstance(axis, np.ndarray):
                    first, last = axis.min(), axis.max()
                spans.append(min(int(last) - int(first) + 1, chunk))
        # What lies between two ranges that are near to each other is read, too.
        least = int(self._store.request_cost)
        return min(points * max(self._coder.reach(spans), least), self._spec.nbytes)

    def _decoded(self, plan: GridPlan[Any, str]) -> int:
        """How many bytes are decoded, about, for each chunk of a plan that is read."""
        size = self._spec.nbytes
        if self._coder.ranges and (count := len(plan)):
            size = min(size, prod(plan.shape) * self._spec.dtype.itemsize // count)
        return size

    def _is_brief(self, plan: Sized, size: int) -> bool:
        latency = self._store.latency
        if latency >= Latency.NETWORK:
            return False
        return len(plan) * (size / self._coder.rate + _REQUEST[latency]) < _WAKE

    def _plan(self, selection: Selection) -> GridPlan[Any, str]:
        planned, self._planned = self._planned, None
        if planned is not None and planned[0] is selection:
            return planned[1]
        return GridPlan(
            selection.axes,
            selection.points,
            self._shape,
            self._spec.shape,
            self._label,
            self._name_of,
        )

    def _run(
        self,
        plan: _Items[T],
        work: Callable[[Iterable[T]], None],
        size: int,
        *,
        held: int | None = None,
        threads: bool = True,
    ) -> None:
        """
        Choose who works on a plan: the one place where latency and chunk size decide about threads.

        Args:
            plan: What is to be done.

            work: What does it.

            size: Bytes that are decoded or encoded for each item of the plan.

            held: Bytes that are held for it; `size` if None.

            threads: Whether threads pay for chunks like these, if there is enough to do.
        """
        store, count = self._store, len(plan)
        if store.latency >= Latency.NETWORK:
            most = store.concurrency
            workers, batch = min(most, count, max(_IN_FLIGHT // max(held or size, 1), _FEWEST)), 1
        elif not threads or self._is_brief(plan, size):
            work(unless_stopped(plan))
            return
        else:
            most = store.concurrency
            batch = max(_BATCH // max(size, 1), 1)
            workers = min(most, -(-count // batch))
        run(plan, work, clock=store.clock, workers=workers, crew=most, batch=batch)

    def _read_steps(
        self, work: AnyArray, steps: _Steps, get: Callable[[str], Value] | None = None
    ) -> None:
        get, coder = get or self._store.get, self._coder
        for key, where, part, extent in steps:
            try:
                if self._by_ranges(part, extent):
                    self._read_ranges(key, work, where, part)
                else:
                    coder.decode_step(get(key), work, where, part, extent)
            except KeyNotFoundError:
                put(work, where, self._spec.fill_value)
            except CodecError as error:
                raise error.located(key) from error

    def _by_ranges(self, part: Part, extent: int) -> bool:
        """Whether a part of a chunk is read by ranges of what is stored."""
        return extent == PARTIAL and self._coder.ranges and self._ranges_pay(part)

    def _ranges_pay(self, part: Part) -> bool:
        store = self._store
        far = store.latency >= Latency.NETWORK
        least = store.request_cost if far else _MIN_SAVED[store.latency]
        whole = self._coder.encoded_size or self._spec.nbytes
        return whole - prod(part_shape(part)) * self._spec.dtype.itemsize >= least

    def _read_ranges(self, key: str, work: AnyArray, where: Part, part: Part) -> None:
        if isinstance(where, tuple):
            self._read_part(key, view(work, where), part)
        else:
            out = np.empty(part_shape(part), self._spec.dtype)
            self._read_part(key, out, part)
            put(work, where, out)

    def _read_part(self, key: str, out: AnyArray, part: Part) -> None:
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

        for attempt in range(_TRIES):
            bound = Bound(fetch, self._kept.get(key), together=attempt > 0)
            try:
                self._coder.read_part(bound, out, part)
                bound.confirm()
            except ChangedError:
                pass
            except CodecError:
                if not bound.assumed:  # else of another state that passed for the one known
                    raise
            else:
                self._kept.put(key, bound.first)
                return
            self._kept.put(key, None)
        # a value that is written over and over
        self._coder.decode_into(fetch([(0, None)])[0], out, part)


def _index(_: int, index: int) -> str:
    return str(index)
