"""
What is known of a frame before any of its chunks is read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from storekit.errors import CorruptFrameError
from storekit.frames.b2nd import B2ND, CATERVA, B2ndMeta
from storekit.frames.chunk import BLOSC2_HEADER
from storekit.frames.layout import (
    MAX_TYPESIZE,
    MIN_HEADER,
    FrameHeader,
    Metalayer,
    chunk_typesize,
    parse_header,
)
from storekit.frames.params import CParams
from storekit.frames.seal import SealedEnds
from storekit.frames.trailer import FINGERPRINT, Trailer
from storekit.keys import resolve_range
from storekit.typing import AnyArray, ByteRange, Shape, Value

__all__ = [
    "STATES",
    "Frame",
    "chunk_size",
    "grid_counts",
    "is_plain",
    "plain_meta",
    "shapes_of",
    "trimmed",
]

STATES = 1 << 40
"""The fingerprint has one number, which is so many times the state, and the unused bytes."""


@dataclass(frozen=True)
class Frame:
    """
    A frame as it was at one time.

    Attributes:
        header: Its fixed part.

        layers: The metalayers of fixed length, in their order.

        meta: Shape, chunks, blocks and data type of the array in it.

        trailer: The metalayers of variable length.

        offsets: Where each chunk begins, counted from the end of the header; negative for chunks
            that are special, and not stored.

        dead: Bytes among the chunks that are not used any more, as far as that is known.

        sealed: Whether header, index and trailer were verified by a checksum.

        state: A number that each change makes one more; the 24 lowest bits of it.

        next_name: Of a sparse frame, the least number that no chunk has had, as far as is known.

        ends: What stands around the chunk of a frame with a seal in its header, which is a chunk of
            a Zarr array (see `storekit.frames.seal`).
    """

    header: FrameHeader
    layers: Mapping[str, Metalayer]
    meta: B2ndMeta
    trailer: Trailer
    offsets: AnyArray
    dead: int = 0
    sealed: bool = False
    state: int = 0
    next_name: int = 0
    ends: SealedEnds | None = None

    @property
    def plain(self) -> bool:
        """Whether it is a super-chunk of blosc2: of bytes or records, and no array."""
        return is_plain(self.layers)

    @cached_property
    def _ends(self) -> list[int]:
        """Where chunks begin and the last one ends, sorted."""
        starts = np.unique(self.offsets[self.offsets >= 0]).tolist()
        return [*starts, self.header.cbytes]

    @property
    def mark(self) -> ByteRange:
        """Where in the frame that stands which tells it from other states: see `has_mark`."""
        if self.sealed:
            return self.header.frame_len - FINGERPRINT, FINGERPRINT
        return 0, MIN_HEADER

    def has_mark(self, data: Value) -> bool:
        """Whether the bytes of a frame at `mark` are those of this one."""
        if self.sealed:
            return data == self.trailer.fingerprint
        try:
            return parse_header(data) == self.header
        except CorruptFrameError:
            return False

    def compressed(self, cparams: CParams) -> Frame:
        """The same, with other settings for chunks that are written from now on."""
        typesize = chunk_typesize(self.header.typesize)
        codec, splitmode, filters = cparams.header_fields(typesize)
        header = self.header._replace(codec=codec, splitmode=splitmode, filters=filters)
        return replace(self, header=header)

    def exact(self, value: Value) -> Value:
        """
        A chunk of the frame, of one that may come with bytes behind it that are not used any more.

        Raises:
            CorruptFrameError: If it is cut off.

            ChecksumError: If the header of the frame has checksums, and they do not match.
        """
        chunk = trimmed(value)
        if self.ends is not None:
            self.ends.check(chunk)
        return chunk

    def extent(self, offset: int) -> tuple[int, int]:
        """
        Where in the frame the chunk at an offset begins, and where it ends at most: there is room
        that is not used any more, between chunks that were written anew.
        """
        base = self.header.header_len
        end = self._ends[bisect_right(self._ends, offset)]
        return base + offset, base + end

    def span(self, offset: int, byte_range: ByteRange) -> tuple[int, int]:
        """Where in the frame a range of the chunk at an offset begins and ends, clamped to it."""
        begin, end = self.extent(offset)
        first, last = resolve_range(*byte_range, end - begin)
        return begin + first, begin + last


def trimmed(value: Value) -> Value:
    """
    A chunk without the unused bytes that may lie behind it.

    Raises:
        CorruptFrameError: If it is cut off.
    """
    size = chunk_size(value)
    if not BLOSC2_HEADER <= size <= len(value):
        raise CorruptFrameError(f"a chunk that states {size} bytes, in {len(value)}")
    return value if size == len(value) else memoryview(value)[:size]


def chunk_size(head: Value) -> int:
    """The size that a chunk states in its first sixteen bytes."""
    return int.from_bytes(head[12:16], "little")


def grid_counts(shape: Shape, cells: Shape) -> Shape:
    """How many cells there are along each dimension; none in an empty one."""
    return tuple(-(-n // c) if c else 0 for n, c in zip(shape, cells, strict=True))


def shapes_of(layers: Mapping[str, Metalayer]) -> bytes:
    """The content of the metalayer of the array."""
    layer = layers.get(B2ND) or layers.get(CATERVA)
    return layer.content if layer else b""


def is_plain(layers: Collection[str]) -> bool:
    """Whether these are the metalayers of a super-chunk: of bytes or records, and no array."""
    return not (B2ND in layers or CATERVA in layers)


def plain_meta(header: FrameHeader) -> B2ndMeta:
    """A super-chunk as an array of one dimension, of bytes or records."""
    sizes = header.nbytes, header.chunksize
    size = header.typesize
    if size > MAX_TYPESIZE or any(n % size for n in sizes):
        size = 1
    if header.chunksize <= 0 < header.nbytes:
        raise CorruptFrameError(f"{header.nbytes} bytes in chunks of {header.chunksize}")
    length, chunk = (n // size for n in sizes)
    dtype = np.dtype("u1" if size == 1 else f"V{size}")
    chunks = (max(chunk, 1),)
    return B2ndMeta((length,), chunks, chunks, dtype)
