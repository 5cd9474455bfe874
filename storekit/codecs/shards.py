"""
Shards: reading inner chunks by the index, and writing them one after the other.

The index is an array of unsigned 64-bit integers of shape ``(*inner chunks per shard, 2)``, in C
order: for each inner chunk its offset from the start of the shard and its size, or the largest
integer twice if it is empty. Inner chunks that hold nothing but the fill value are not stored, and
a shard without any is not, either.

The inner chunks of a shard are shared with workers of the plan that have nothing left to do.

Source: Zarr v3, sharding codec, version 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeAlias, TypeVar

import numpy as np

from storekit.codecs.bound import Bound
from storekit.codecs.coder import ChunkCoder, cells_around
from storekit.codecs.growing import EMPTY, GrowingShard
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError, MetadataError
from storekit.keys import resolve_range
from storekit.pool import share, threads_pay
from storekit.selection.part import Part, part_axes, put, take, view
from storekit.selection.plan import PARTIAL, WHOLE, GridPlan
from storekit.typing import AnyArray, ByteRange, Fetch, Value

__all__ = ["ShardCoder"]

T = TypeVar("T")
_Step: TypeAlias = tuple[int, Part, Part, int]

_NAME = "sharding_indexed"

_SUB_READ = 1 << 20
"""From this size on an inner chunk that can itself be read in parts (a nested shard) is."""

_WORTH = 100
"""Microseconds of native code below which all is done by the time that a helper is awake."""

_BATCH = 50
"""Microseconds of native code that a worker takes at a time."""


class ShardCoder(ChunkCoder):
    """
    Shards of one spec.

    Args:
        spec: Of the shards.

        inner: The coder of inner chunks.

        index: The coder of the index.

        at_start: Whether the index comes before the inner chunks.

    Raises:
        MetadataError: If indices have no fixed size.
    """

    ranges = True

    def __init__(
        self, spec: ChunkSpec, inner: ChunkCoder, index: ChunkCoder, at_start: bool
    ) -> None:
        if index.encoded_size is None:
            raise MetadataError(
                field="index_codecs", expected="codecs whose output has a fixed size"
            )
        self.spec, self._inner, self._index, self._at_start = spec, inner, index, at_start
        self.rate = inner.rate
        self._native = inner.spec.nbytes / inner.rate
        self._index_size = index.encoded_size
        grid = index.spec.shape[:-1]
        # The number of an inner chunk is the sum of its grid indices times these.
        self._strides = tuple(int(np.prod(grid[i + 1 :], dtype=object)) for i in range(len(grid)))

    @cached_property
    def _all(self) -> Part:
        return tuple(slice(0, size, 1) for size in self.spec.shape)

    def encode(self, chunk: AnyArray) -> Value | None:
        """The bytes of a shard; None if all of its inner chunks are empty."""
        places = {number: where for number, where, _, _ in self._plan(self._all)}

        def encode(number: int) -> Value | None:
            inner = take(chunk, places[number])
            return None if self._inner.spec.is_fill(inner) else self._inner.encode(inner)

        return self._assemble(list(places), encode, {})

    def update(self, data: Value | None, part: Part, values: AnyArray) -> Value | None:
        """The bytes of a shard of which a part is written over; others are copied, not decoded."""
        old: dict[int, Value | None] = {} if data is None else self._entries(memoryview(data))
        plan = self._plan(part)
        values = np.broadcast_to(values, plan.shape)
        steps = {step[0]: step for step in plan}

        def encode(number: int) -> Value | None:
            _, where, inner_part, extent = steps[number]
            inner = take(values, where)
            if extent != WHOLE:
                return self._inner.update(old.get(number), inner_part, inner)
            inner = inner.astype(self.spec.dtype, copy=False)
            return None if self._inner.spec.is_fill(inner) else self._inner.encode(inner)

        copied = {number: value for number, value in old.items() if number not in steps}
        return self._assemble(list(steps), encode, copied)

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """Decode a shard, or the inner chunks that a part of it needs."""
        shard = memoryview(data)
        index = self._decode_index(shard)
        end = len(shard) if self._at_start else len(shard) - self._index_size
        stored = self._stored(index, self._all if part is None else part, out, end)
        self._decode([(shard[start : start + size], step) for step, start, size in stored], out)

    def reach(self, spans: Sequence[int]) -> int:
        """Of the inner chunks around."""
        inner = self._inner.spec
        return cells_around(spans, inner.shape, self._index.spec.shape[:-1]) * inner.nbytes

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        """Read the index of a shard, then all inner chunks that a part needs, at once."""
        span = (0, self._index_size) if self._at_start else (-self._index_size, None)
        index = self._decode_index(memoryview(fetch([span])[0]))
        steps: list[_Step] = []
        spans: list[tuple[int, int]] = []
        for step, offset, size in self._stored(index, part, out, None):
            _, where, inner_part, extent = step
            if (
                self._inner.ranges
                and extent == PARTIAL
                and size >= _SUB_READ
                and isinstance(where, tuple)
            ):
                window = Bound(_Window(fetch, offset, size))
                self._inner.read_part(window, view(out, where), inner_part)
            else:
                steps.append(step)
                spans.append((offset, size))
        if not spans:
            return
        pieces = fetch(spans)
        for (number, *_), (offset, size), data in zip(steps, spans, pieces, strict=True):
            if len(data) != size:
                raise _error(
                    f"inner chunk {number} at {offset} should have {size} bytes, found {len(data)}"
                )
        self._decode(list(zip(pieces, steps, strict=True)), out)

    def _decode(self, pieces: list[tuple[Value, _Step]], out: AnyArray) -> None:
        """Decode inner chunks to their places."""
        decode_step = self._inner.decode_step

        def work(items: Iterable[tuple[Value, _Step]]) -> None:
            for data, (_, where, part, extent) in items:
                decode_step(data, out, where, part, extent)

        self._share(pieces, work)

    def _share(self, items: Sequence[T], work: Callable[[Iterable[T]], None]) -> None:
        """Work on inner chunks, together with others where it pays."""
        native = self._native
        if native * len(items) < _WORTH or not threads_pay(native):
            work(items)
        else:
            share(items, work, batch=max(1, int(_BATCH // native)))

    def _plan(self, part: Part) -> GridPlan[int, int]:
        strides = self._strides
        axes, points = part_axes(part)
        return GridPlan(
            axes,
            points,
            self.spec.shape,
            self._inner.spec.shape,
            lambda axis, i: i * strides[axis],
            sum,
        )

    def _decode_index(self, data: memoryview) -> AnyArray:
        """The index, from a shard or from the end of it that holds the index."""
        if len(data) < self._index_size:
            raise _error(
                f"a shard has at least {self._index_size} bytes (its index), found {len(data)}"
            )
        place = slice(self._index_size) if self._at_start else slice(-self._index_size, None)
        return self._index.decode(data[place]).reshape(-1, 2)

    def _stored(
        self, index: AnyArray, part: Part, out: AnyArray, end: int | None
    ) -> Iterator[tuple[_Step, int, int]]:
        """
        The steps for a part whose inner chunks are stored, with their offsets and sizes; the places
        of others are filled.
        """
        steps = list(self._plan(part))
        entries = index[[step[0] for step in steps]].tolist()
        for step, (offset, size) in zip(steps, entries, strict=True):
            if offset == EMPTY == size:
                put(out, step[1], self.spec.fill_value)
            else:
                self._check_entry(step[0], offset, size, end)
                yield step, offset, size

    def _entries(self, shard: memoryview) -> dict[int, Value | None]:
        """All inner chunks that a shard stores, by number."""
        index = self._decode_index(shard)
        end = len(shard) if self._at_start else len(shard) - self._index_size
        numbers = np.flatnonzero((index != EMPTY).any(axis=1))
        entries: dict[int, Value | None] = {}
        for number, (offset, size) in zip(numbers.tolist(), index[numbers].tolist(), strict=True):
            self._check_entry(number, offset, size, end)
            entries[number] = shard[offset : offset + size]
        return entries

    def _check_entry(self, number: int, offset: int, size: int, end: int | None) -> None:
        if offset >= 2**63 or size >= 2**63 or (self._at_start and offset < self._index_size):
            raise _error(f"inner chunk {number} has an absurd place in the index: {offset}, {size}")
        fixed = self._inner.encoded_size
        if fixed is not None and size != fixed:
            raise _error(f"inner chunk {number} should have {fixed} bytes, found {size}")
        if end is not None and offset + size > end:
            raise _error(
                f"inner chunk {number} should end at byte {offset + size}, chunks end at {end}"
            )

    def _assemble(
        self,
        numbers: Sequence[int],
        encode: Callable[[int], Value | None],
        copied: dict[int, Value | None],
    ) -> Value | None:
        """
        The bytes of a shard; None if all of its inner chunks are empty.

        Args:
            numbers: Of inner chunks.

            encode: Makes one of them; None if it is empty.

            copied: The others that the shard stores, by number.
        """
        start = self._index_size if self._at_start else 0
        growing = GrowingShard(self._index.spec, start, numbers, copied)

        def work(items: Iterable[int]) -> None:
            for number in items:
                growing.add(number, encode(number))

        self._share(numbers, work)
        index = growing.index()
        encoded = None if index is None else self._index.encode(index)
        return None if encoded is None else growing.finish(encoded)


def _error(message: str) -> CodecError:
    return CodecError(message, codec=_NAME)


class _Window:
    """Byte ranges within a span of a value, as if the span were the value."""

    def __init__(self, fetch: Fetch, offset: int, size: int) -> None:
        self._fetch, self._offset, self._size = fetch, offset, size

    def __call__(self, ranges: Sequence[ByteRange]) -> list[Value]:
        spans = (resolve_range(start, length, self._size) for start, length in ranges)
        return self._fetch([(self._offset + first, last - first) for first, last in spans])
