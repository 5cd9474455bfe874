"""
The `sharding_indexed` codec: many inner chunks in one stored value, and an index of where they lie.

The index is an array of unsigned 64-bit integers of shape ``(*inner chunks per shard, 2)``, in C
order: for each inner chunk its offset from the start of the shard and its size, or the largest
integer twice if it is empty. Inner chunks that hold nothing but the fill value are not stored, and
a shard without any is not, either.

Source: Zarr v3, sharding codec, version 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from storekit.codecs.base import ArrayBytesCodec, ChunkCoder, ChunkSpec, Codec, check_keys
from storekit.codecs.bytes import BytesCodec
from storekit.codecs.crc32c import Crc32cCodec
from storekit.codecs.pipeline import Pipeline
from storekit.errors import CodecError, MetadataError
from storekit.keys import resolve_range
from storekit.selection.part import Part, part_axes, put, take, view
from storekit.selection.plan import PARTIAL, WHOLE, GridPlan
from storekit.typing import JSON, AnyArray, ByteRange, Fetch, Shape, Value

__all__ = ["ShardingCodec"]

_EMPTY = 2**64 - 1

_SUB_READ = 1 << 20
"""From this size on an inner chunk that can itself be read in parts (a nested shard) is."""


class ShardingCodec(ArrayBytesCodec):
    """
    Split a chunk (the shard) into inner chunks that are encoded, stored and read one by one.

    Args:
        chunk_shape: Of the inner chunks; divides the shape of the shard.

        codecs: What encodes an inner chunk.

        index_codecs: What encodes the index, into a size that is always the same. Defaults to
            little-endian bytes with a CRC32C.

        index_location: ``"end"`` or ``"start"``.
    """

    name = "sharding_indexed"

    def __init__(
        self,
        chunk_shape: Shape,
        codecs: Sequence[Codec],
        index_codecs: Sequence[Codec] | None = None,
        index_location: str = "end",
    ) -> None:
        if index_codecs is None:
            index_codecs = BytesCodec("little"), Crc32cCodec()
        self.chunk_shape, self.index_location = tuple(chunk_shape), index_location
        self._inner = Pipeline(codecs)
        self._index = Pipeline(index_codecs, field="index_codecs")

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """What encodes an inner chunk."""
        return self._inner.codecs

    @property
    def index_codecs(self) -> tuple[Codec, ...]:
        """What encodes the index."""
        return self._index.codecs

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a configuration; `index_location` may be absent."""
        check_keys(
            configuration,
            required=("chunk_shape", "codecs", "index_codecs"),
            optional=("index_location",),
        )
        shape = configuration["chunk_shape"]
        if not isinstance(shape, list) or not all(type(n) is int and 0 < n < 2**63 for n in shape):
            raise MetadataError(
                field="chunk_shape", expected="a list of positive ints", found=shape
            )
        location = configuration.get("index_location", "end")
        if location not in ("start", "end"):
            raise MetadataError(field="index_location", expected="'start' or 'end'", found=location)
        return cls(
            tuple(shape),
            Pipeline.from_json(configuration["codecs"]).codecs,
            Pipeline.from_json(configuration["index_codecs"], field="index_codecs").codecs,
            location,
        )

    def to_config(self) -> dict[str, JSON]:
        """All four keys, as the strictest reader wants them."""
        return {
            "chunk_shape": list(self.chunk_shape),
            "codecs": self._inner.to_json(),
            "index_codecs": self._index.to_json(),
            "index_location": self.index_location,
        }

    def evolved(self, spec: ChunkSpec) -> Self:
        """The codec with its inner codecs evolved for the inner chunk."""
        inner = ChunkSpec(self.chunk_shape, spec.dtype, spec.fill_value)
        index = ChunkSpec((2,), np.dtype("u8"), np.uint64(_EMPTY))
        return type(self)(
            self.chunk_shape,
            self._inner.evolved(inner).codecs,
            self._index.evolved(index).codecs,
            self.index_location,
        )

    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """The coder for shards of this shape."""
        divides = len(self.chunk_shape) == len(spec.shape) and not any(
            size % chunk for size, chunk in zip(spec.shape, self.chunk_shape, strict=True)
        )
        if not divides:
            raise MetadataError(
                field="chunk_shape",
                expected=f"a shape that divides the shard's, {list(spec.shape)}",
                found=list(self.chunk_shape),
            )
        inner = ChunkSpec(self.chunk_shape, spec.dtype, spec.fill_value)
        grid = tuple(n // c for n, c in zip(spec.shape, self.chunk_shape, strict=True))
        index = ChunkSpec((*grid, 2), np.dtype("u8"), np.uint64(_EMPTY))
        return _ShardCoder(
            spec, self._inner.bind(inner), self._index.bind(index), self.index_location == "start"
        )


class _ShardCoder(ChunkCoder):
    """Shards of one spec."""

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
        self._index_size = index.encoded_size
        grid = index.spec.shape[:-1]
        # The number of an inner chunk is the sum of its grid indices times these.
        self._strides = tuple(int(np.prod(grid[i + 1 :], dtype=object)) for i in range(len(grid)))

    @cached_property
    def _all(self) -> Part:
        return tuple(slice(0, size, 1) for size in self.spec.shape)

    def encode(self, chunk: AnyArray) -> Value | None:
        entries: dict[int, Value] = {}
        for number, where, _, _ in self._plan(self._all):
            inner = take(chunk, where)
            if not self._inner.spec.is_fill(inner):
                self._keep(entries, number, self._inner.encode(inner))
        return self._assemble(entries)

    def update(self, data: Value | None, part: Part, values: AnyArray) -> Value | None:
        entries: dict[int, Value] = {} if data is None else dict(self._entries(memoryview(data)))
        plan = self._plan(part)
        values = np.broadcast_to(values, plan.shape)
        for number, where, inner_part, extent in plan:
            inner = take(values, where)
            if extent == WHOLE:
                inner = inner.astype(self.spec.dtype, copy=False)
                empty = self._inner.spec.is_fill(inner)
                self._keep(entries, number, None if empty else self._inner.encode(inner))
            else:
                old = entries.get(number)
                self._keep(entries, number, self._inner.update(old, inner_part, inner))
        return self._assemble(entries)

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        shard = memoryview(data)
        index = self._decode_index(shard)
        for number, where, inner_part, extent in self._plan(self._all if part is None else part):
            entry = index[number].tolist()
            if entry[0] == _EMPTY == entry[1]:
                put(out, where, self.spec.fill_value)
            else:
                inner = self._slice(shard, number, *entry)
                self._inner.decode_step(inner, out, where, inner_part, extent)

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        span = (0, self._index_size) if self._at_start else (-self._index_size, None)
        index = self._decode_index(memoryview(fetch([span])[0]))
        steps, spans = [], []
        for step in self._plan(part):
            offset, size = index[step[0]].tolist()
            if offset == _EMPTY == size:
                put(out, step[1], self.spec.fill_value)
                continue
            self._check_entry(step[0], offset, size)
            if (
                self._inner.ranges
                and step[3] == PARTIAL
                and size >= _SUB_READ
                and isinstance(step[1], tuple)
            ):
                self._inner.read_part(_Window(fetch, offset, size), view(out, step[1]), step[2])
            else:
                steps.append(step)
                spans.append((offset, size))
        if not spans:
            return
        for step, (offset, size), data in zip(steps, spans, fetch(spans), strict=True):
            if len(data) != size:
                raise self._error(
                    f"inner chunk {step[0]} at {offset} should have {size} bytes, found {len(data)}"
                )
            self._inner.decode_step(data, out, *step[1:])

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
            raise self._error(
                f"a shard has at least {self._index_size} bytes (its index), found {len(data)}"
            )
        place = slice(self._index_size) if self._at_start else slice(-self._index_size, None)
        return self._index.decode(data[place]).reshape(-1, 2)

    def _entries(self, shard: memoryview) -> Iterator[tuple[int, Value]]:
        """All inner chunks that a shard stores, by number."""
        index = self._decode_index(shard)
        for number in np.flatnonzero((index != _EMPTY).any(axis=1)).tolist():
            yield number, self._slice(shard, number, *index[number].tolist())

    def _slice(self, shard: memoryview, number: int, offset: int, size: int) -> memoryview:
        self._check_entry(number, offset, size)
        end = len(shard) if self._at_start else len(shard) - self._index_size
        if offset + size > end:
            raise self._error(
                f"inner chunk {number} should end at byte {offset + size}, chunks end at {end}"
            )
        return shard[offset : offset + size]

    def _check_entry(self, number: int, offset: int, size: int) -> None:
        if offset >= 2**63 or size >= 2**63 or (self._at_start and offset < self._index_size):
            raise self._error(
                f"inner chunk {number} has an absurd place in the index: {offset}, {size}"
            )
        fixed = self._inner.encoded_size
        if fixed is not None and size != fixed:
            raise self._error(f"inner chunk {number} should have {fixed} bytes, found {size}")

    def _keep(self, entries: dict[int, Value], number: int, data: Value | None) -> None:
        if data is None:
            entries.pop(number, None)
        else:
            entries[number] = data

    def _assemble(self, entries: dict[int, Value]) -> Value | None:
        if not entries:
            return None
        index = np.full(self._index.spec.shape, _EMPTY, np.uint64)
        flat = index.reshape(-1, 2)
        offset = self._index_size if self._at_start else 0
        pieces: list[Value] = []
        for number in sorted(entries):
            data = entries[number]
            flat[number] = offset, len(data)
            offset += len(data)
            pieces.append(data)
        encoded: Any = self._index.encode(index)
        pieces.insert(0, encoded) if self._at_start else pieces.append(encoded)
        return b"".join(pieces)

    def _error(self, message: str) -> CodecError:
        return CodecError(message, codec=ShardingCodec.name)


class _Window:
    """Byte ranges within a span of a value, as if the span were the value."""

    def __init__(self, fetch: Fetch, offset: int, size: int) -> None:
        self._fetch, self._offset, self._size = fetch, offset, size

    def __call__(self, ranges: Sequence[ByteRange]) -> list[Value]:
        spans = (resolve_range(start, length, self._size) for start, length in ranges)
        return self._fetch([(self._offset + first, last - first) for first, last in spans])
