"""
``bytes``: the elements of a chunk one after the other, in C order, with a stated byte order.

Source: Zarr v3, codec ``bytes``: ``endian`` is required unless elements are single bytes; the
fields of a struct are each stored in that byte order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, Literal, Self

import numpy as np

from storekit.codecs.base import ArrayBytesCodec, check_keys
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.config import get_choice
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError, MetadataError
from storekit.selection.box import bounding_box, box_shape, inside
from storekit.selection.part import Box, Part, Points, take
from storekit.typing import JSON, AnyArray, DType, Fetch, Shape, Value

__all__ = ["BytesCodec"]

GAP = 4096
"""Runs of a part that are closer than this many bytes are read as one."""

MAX_RUNS = 256
"""More runs than this of one part are not asked for."""


class BytesCodec(ArrayBytesCodec):
    """
    Store elements as they are.

    Args:
        endian: ``"little"`` or ``"big"``; None for elements of single bytes, and to let `evolved`
            choose.
    """

    name = "bytes"

    def __init__(self, endian: str | None = None) -> None:
        if endian not in (None, "little", "big"):
            raise MetadataError(field="endian", expected="little or big", found=endian)
        self.endian = endian

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a metadata document."""
        check_keys(configuration, optional=("endian",))
        return cls(get_choice(configuration, "endian", ("little", "big"), None))

    def to_config(self) -> dict[str, JSON]:
        """``endian``, or nothing."""
        return {} if self.endian is None else {"endian": self.endian}

    def evolved(self, spec: ChunkSpec) -> Self:
        """Little-endian if bytes have an order and none is stated."""
        if self.endian is None and not spec.variable and _has_order(spec.dtype):
            return type(self)("little")
        return self

    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """The coder for chunks of any type of fixed size."""
        if spec.variable:
            raise MetadataError(f"cannot store elements of variable size ({spec.dtype})")
        if self.endian is None and _has_order(spec.dtype):
            raise MetadataError(
                field="configuration.endian", expected=f"little or big for {spec.dtype}", found=None
            )
        return _BytesCoder(spec, ">" if self.endian == "big" else "<")


def _has_order(dtype: DType) -> bool:
    return dtype.newbyteorder(">") != dtype.newbyteorder("<")


def _counts(dtype: DType) -> DType:
    """The dtype with integers for times: numpy does not swap the bytes of those without a unit."""
    if dtype.names:
        return np.dtype([(name, _counts(dtype[name])) for name in dtype.names])
    return np.dtype("i8") if dtype.kind in "mM" else dtype


class _BytesCoder(ChunkCoder):
    ranges = True

    def __init__(self, spec: ChunkSpec, order: Literal["<", ">"]) -> None:
        self.spec = spec
        self.encoded_size: int = spec.nbytes
        self._stored = spec.dtype.newbyteorder(order)
        self.plain = self._stored == spec.dtype
        counts = _counts(spec.dtype)
        self._counts = None if self.plain or counts == spec.dtype else counts
        if self._counts is not None:
            self._stored = self._counts.newbyteorder(order)
        itemsize = self._stored.itemsize
        self._strides = tuple(itemsize * prod(spec.shape[i + 1 :]) for i in range(len(spec.shape)))

    def _native(self, stored: AnyArray) -> AnyArray:
        """An array that numpy assigns to one of the chunk's dtype as it should."""
        return stored if self._counts is None else stored.astype(self._counts).view(self.spec.dtype)

    def encode(self, chunk: AnyArray) -> Value:
        if chunk.shape != self.spec.shape:
            raise _misfit(f"a chunk of shape {self.spec.shape}", chunk.shape)
        if self._counts is not None:
            chunk = chunk.view(self._counts)
        if chunk.dtype == self._stored and not chunk.flags.c_contiguous:
            return chunk.tobytes()  # one copy, which stores may keep as it is
        array = np.ascontiguousarray(chunk, self._stored)
        return array.reshape(-1).view(np.uint8).data.toreadonly()

    def decode(self, data: Value) -> AnyArray:
        if len(data) != self.encoded_size:
            raise _misfit(f"{self.encoded_size} bytes", len(data))
        chunk: AnyArray = np.ndarray(self.spec.shape, self._stored, data)
        return chunk if self.plain else self._native(chunk).astype(self.spec.dtype, copy=False)

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        if len(data) != self.encoded_size:
            raise _misfit(f"{self.encoded_size} bytes", len(data))
        chunk: AnyArray = np.ndarray(self.spec.shape, self._stored, data)
        out[...] = self._native(chunk if part is None else take(chunk, part))

    def reach(self, spans: Sequence[int]) -> int:
        runs = sum((n - 1) * s for n, s in zip(spans, self._strides, strict=True))
        return runs + self._stored.itemsize

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        if isinstance(part, Points) and not part.rest and len(part.coords[0]) <= MAX_RUNS:
            self._read_points(fetch, out, part)
            return
        if isinstance(part, tuple):
            if out.size:
                self._read_box(fetch, out, part)
            return
        box = bounding_box(part)
        if box is not None:
            around = np.empty(box_shape(box), self.spec.dtype)
            self._read_box(fetch, around, box)
            out[...] = take(around, inside(part, box))

    def _read_points(self, fetch: Fetch, out: AnyArray, part: Points) -> None:
        """Read single elements, neighbours together."""
        size = self._stored.itemsize
        places = np.zeros(len(part.coords[0]), np.int64)
        for axis, coords in zip(part.axes, part.coords, strict=True):
            places += coords * self._strides[axis]
        if not len(places):
            return
        order = np.argsort(places, kind="stable")
        places = places[order]
        cuts = np.flatnonzero(np.diff(places) > GAP) + 1
        first = places[np.concatenate(([0], cuts))]
        last = places[np.concatenate((cuts, [len(places)])) - 1] + size
        lengths = (last - first).tolist()
        data = b"".join(self._fetched(fetch, list(zip(first.tolist(), lengths, strict=True))))
        # Where each run begins in `data`, less where it begins in the chunk.
        shift = np.concatenate(([0], np.cumsum(lengths)[:-1])) - first
        run = np.searchsorted(cuts, np.arange(len(places)), side="right")
        items = np.ndarray((len(data),), np.uint8, data)
        picked = items[(places + shift[run])[:, None] + np.arange(size)]
        out[order] = self._native(picked.view(self._stored)[:, 0])

    def _read_box(self, fetch: Fetch, out: AnyArray, box: Box) -> None:
        """Read a box as runs of bytes, each of which covers the axes from `split` on."""
        strides = [s * (axis.step or 1) for axis, s in zip(box, self._strides, strict=True)]
        lengths = out.shape
        split = self._split(lengths, strides)
        tail = sum((n - 1) * s for n, s in zip(lengths[split:], strides[split:], strict=True))
        tail += self._stored.itemsize
        base = sum(axis.start * s for axis, s in zip(box, self._strides, strict=True))
        heads = list(product(*(range(n) for n in lengths[:split])))
        ranges: list[tuple[int, int | None]] = [
            (base + sum(i * s for i, s in zip(head, strides, strict=False)), tail) for head in heads
        ]
        for head, data in zip(heads, self._fetched(fetch, ranges), strict=True):
            run: AnyArray = np.ndarray(lengths[split:], self._stored, data, 0, strides[split:])
            place: Any = (*head, ...)  # the ellipsis keeps a 0-d array an array
            out[place] = self._native(run)

    def _split(self, lengths: Shape, strides: Sequence[int]) -> int:
        """The first axis that a run covers: runs must be neither too many nor too close."""
        span = self._stored.itemsize
        for split in range(len(lengths), 0, -1):
            length, stride = lengths[split - 1], strides[split - 1]
            if length > 1 and stride - span > GAP and prod(lengths[:split]) <= MAX_RUNS:
                return split
            span += (length - 1) * stride
        return 0

    def _fetched(self, fetch: Fetch, ranges: list[tuple[int, int | None]]) -> Iterator[Value]:
        for (start, length), data in zip(ranges, fetch(ranges), strict=True):
            if len(data) != length:
                raise _misfit(f"{length} bytes at {start}", len(data))
            yield data


def _misfit(expected: str, found: object) -> CodecError:
    return CodecError(f"expected {expected}, found {found}", codec=BytesCodec.name)
