"""
What is known of a frame before any of its chunks is read.

Every number in it has been compared with the others and with what is there: where chunks begin,
how many there must be, what each decodes to.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TypeAlias

import numpy as np

from storekit.errors import CorruptFrameError
from storekit.frames.b2nd import (
    B2ND,
    CATERVA,
    B2ndMeta,
    pack_array_meta,
    parse_array_meta,
)
from storekit.frames.chunk import BLOSC2_HEADER, MAX_CHUNK
from storekit.frames.index import MAX_CHUNKS, check_offsets, pack_offsets, parse_offsets
from storekit.frames.layout import (
    MAX_TYPESIZE,
    MIN_HEADER,
    ZEROS,
    FrameHeader,
    Metalayer,
    pack_header,
    pack_metalayers,
    parse_header,
    parse_metalayers,
)
from storekit.frames.params import CParams
from storekit.frames.trailer import (
    FINGERPRINT,
    Layers,
    Trailer,
    check_fingerprint,
    pack_trailer,
    parse_trailer,
    seal_fingerprint,
    tail_size,
)
from storekit.typing import AnyArray, ByteRange, Shape, Value

__all__ = [
    "Frame",
    "Read",
    "grid_counts",
    "load_frame",
    "new_ends",
    "pack_ends",
    "parse_ends",
    "parse_sparse",
    "plain_meta",
    "trimmed",
]

Read: TypeAlias = Callable[[Sequence[ByteRange]], list[Value]]
"""From ranges of a frame, as start and length, to their bytes."""

FIRST_READ = 4096
LAST_READ = 1 << 16
MAX_NAME = 1 << 62
_STATES = 1 << 40
"""The fingerprint has one number, which is so many times the state, and the unused bytes."""

MAX_HEADER = 1 << 24
"""A header has sixteen metalayers at most; nobody puts more than this into them."""


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

    @property
    def plain(self) -> bool:
        """Whether it is a super-chunk of blosc2: of bytes or records, and no array."""
        return _is_plain(self.layers)

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

    def extent(self, offset: int) -> tuple[int, int]:
        """
        Where in the frame the chunk at an offset begins, and where it ends at most: there is room
        that is not used any more, between chunks that were written anew.
        """
        base = self.header.header_len
        end = self._ends[bisect_right(self._ends, offset)]
        return base + offset, base + end


def load_frame(read: Read, *, far: bool = False, offset: int = 0) -> Frame:
    """
    Read what is known of a frame before its chunks.

    Args:
        read: Reads ranges of the value that holds the frame; clamps them to what there is.

        far: Whether a round trip costs more than some bytes. Then header and trailer are read at
            once, the trailer from where it is if the frame is all of the value.

        offset: Where the frame begins in the value.

    Raises:
        CorruptFrameError: If there is no frame, or it is damaged.
    """
    asked: list[ByteRange] = [(offset, FIRST_READ)]
    if far and not offset:
        asked.append((-LAST_READ, None))
    first, *last = read(asked)
    header = parse_header(first)
    if header.header_len > MAX_HEADER:
        raise CorruptFrameError(f"a header of {header.header_len} bytes")
    if len(first) < header.header_len:
        (first,) = read([(offset, header.header_len)])
        if len(first) < header.header_len:
            raise CorruptFrameError("the header is cut off")
    head = bytes(first[: header.header_len])
    if last and (frame := _try(head, header, last[0])) is not None:
        return frame
    start = header.header_len + header.cbytes
    room = header.frame_len - start
    if header.frame_len <= len(first):
        tail: Value = first[start : header.frame_len]
    else:
        (tail,) = read([(offset + start, room)])
    if len(tail) != room:
        raise CorruptFrameError(f"the frame states {header.frame_len} bytes, there are fewer")
    return _parse(head, header, bytes(tail))


def _try(head: bytes, header: FrameHeader, last: Value) -> Frame | None:
    """The frame, if the last bytes of the value are the last of it; they may be of an older one."""
    room = header.frame_len - header.header_len - header.cbytes
    if not 0 < room <= len(last):
        return None
    try:
        return _parse(head, header, bytes(last[-room:]))
    except CorruptFrameError:
        return None


def _parse(head: bytes, header: FrameHeader, tail: bytes, *, names: bool = False) -> Frame:
    """
    Args:
        head: The whole header.

        header: Its fixed part.

        tail: What follows the chunks: index and trailer.

        names: Whether the offsets are names of chunks, which are elsewhere.
    """
    layers = parse_metalayers(head[MIN_HEADER:])
    meta = _meta(layers, header)
    end = len(tail) - tail_size(tail, header)
    index, trailer = tail[:end], parse_trailer(tail[end:])
    noted = check_fingerprint(head, _shapes(layers), index, tail[end:])
    count = _count(header, meta, not _is_plain(layers))
    offsets = parse_offsets(index, count)
    check_offsets(offsets, MAX_NAME if names else header.cbytes - BLOSC2_HEADER + 1)
    state, dead = divmod(noted or 0, _STATES)
    return Frame(header, layers, meta, trailer, offsets, dead, noted is not None, state)


def parse_ends(head: bytes, tail: bytes, *, names: bool = False) -> Frame:
    """
    The frame of which this stands before and behind the chunks.

    Args:
        head: The header.

        tail: Index and trailer.

        names: Whether the offsets are names of chunks, which are elsewhere.
    """
    return _parse(head, parse_header(head), tail, names=names)


def parse_sparse(data: bytes) -> Frame:
    """
    The sparse frame of which this is the file beside the chunks.

    Raises:
        CorruptFrameError: If it is damaged, or something else.
    """
    header = parse_header(data, sparse=True)
    if header.frame_len != len(data):
        raise CorruptFrameError(f"{len(data)} bytes, the frame states {header.frame_len}")
    size = header.header_len
    frame = _parse(data[:size], header, data[size:], names=True)
    # Nothing in it is unused: the place where other frames say how much is has the number.
    return replace(frame, dead=0, next_name=frame.dead)


def pack_ends(
    header: FrameHeader,
    meta: B2ndMeta,
    layers: Mapping[str, bytes],
    vlmeta: Layers,
    offsets: AnyArray,
    cbytes: int,
    dead: int = 0,
    state: int = 0,
) -> tuple[bytes, bytes]:
    """
    What stands before and behind the chunks of a frame.

    Args:
        header: The settings of the codec are taken from it.

        meta: Shape, chunks, blocks and type. Written over the metalayer that has them.

        layers: The contents of the metalayers of fixed length, in order.

        vlmeta: Those of variable length.

        offsets: As in `Frame`.

        cbytes: Bytes of all chunks, and of what lies between them.

        dead: How many of these are not used.

        state: As in `Frame`.

    Returns:
        The header; and index and trailer.
    """
    contents = {
        name: pack_array_meta(name, meta) if name in (B2ND, CATERVA) else content
        for name, content in layers.items()
    }
    itemsize = meta.dtype.itemsize
    typesize = itemsize
    if _is_plain(contents):
        _, _, _, _, typesize, blocksize, chunksize, *_ = header
        nbytes = prod(meta.shape) * itemsize
    else:
        blocksize = prod(meta.blocks) * itemsize
        chunksize = prod(grid_counts(meta.chunks, meta.blocks)) * blocksize
        nbytes = chunksize * len(offsets)
    section = pack_metalayers(contents)
    index, trailer = pack_offsets(offsets), pack_trailer(vlmeta)
    shapes = contents.get(B2ND, contents.get(CATERVA, b""))
    header_len = MIN_HEADER + len(section)
    new = header._replace(
        header_len=header_len,
        frame_len=header_len + (0 if header.sparse else cbytes) + len(index) + len(trailer),
        nbytes=nbytes,
        cbytes=cbytes,
        typesize=typesize,
        blocksize=blocksize,
        chunksize=chunksize,
        has_vlmeta=bool(vlmeta),
    )
    head = pack_header(new, section)
    noted = state % (1 << 24) * _STATES + dead
    seal = seal_fingerprint(head, shapes, index, trailer, noted)
    return head, index + trailer[: -len(seal)] + seal


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


def _shapes(layers: Mapping[str, Metalayer]) -> bytes:
    """The content of the metalayer of the array."""
    layer = layers.get(B2ND) or layers.get(CATERVA)
    return layer.content if layer else b""


def _is_plain(layers: Collection[str]) -> bool:
    """Whether these are the metalayers of a super-chunk: of bytes or records, and no array."""
    return not (B2ND in layers or CATERVA in layers)


def _meta(layers: Mapping[str, Metalayer], header: FrameHeader) -> B2ndMeta:
    """The array in a frame; of one that only has bytes or records, one dimension of these."""
    found = parse_array_meta(layers, header.typesize)
    if found is None:
        return plain_meta(header)
    # Of an array without elements blosc2 says that chunks are as long as it is: nothing.
    chunks, blocks = (tuple(max(n, 1) for n in side) for side in (found.chunks, found.blocks))
    return found._replace(chunks=chunks, blocks=blocks)


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


def _count(header: FrameHeader, meta: B2ndMeta, arrays: bool) -> int:
    """How many chunks there must be, if header and metalayer agree about them."""
    if not prod(meta.shape):
        return 0
    blocksize = prod(meta.blocks) * meta.dtype.itemsize
    chunksize = prod(grid_counts(meta.chunks, meta.blocks)) * blocksize
    expected = (chunksize, blocksize) if arrays else (chunksize, header.blocksize)
    if (header.chunksize, header.blocksize) != expected or chunksize > MAX_CHUNK:
        raise CorruptFrameError(
            f"header and metalayer disagree: chunks of {header.chunksize} bytes in blocks of"
            f" {header.blocksize}, and of {chunksize} in blocks of {blocksize}"
        )
    count = prod(grid_counts(meta.shape, meta.chunks))
    if count > MAX_CHUNKS:
        raise CorruptFrameError(f"a frame of {count} chunks")
    return count


def new_ends(
    meta: B2ndMeta,
    cparams: CParams,
    layers: Mapping[str, bytes] | None = None,
    *,
    special: int = ZEROS,
) -> tuple[bytes, bytes]:
    """
    What stands before and behind the chunks of a frame that has none yet.

    Args:
        meta: Shape, chunks, blocks and type.

        cparams: How chunks are compressed.

        layers: The user's metalayers of fixed length. One called ``caterva`` among them, with any
            content, makes it a frame of caterva's: without a data type.

        special: What all elements are: `ZEROS`, `NANS` or `UNINIT`.
    """
    typesize = meta.dtype.itemsize
    fields = cparams.header_fields(typesize if typesize <= MAX_TYPESIZE else 1)
    header = FrameHeader(0, 0, 0, 0, typesize, 0, 0, *fields)
    count = prod(grid_counts(meta.shape, meta.chunks))
    offsets = np.full(count, special, np.int64)
    contents = dict(layers or {})
    if CATERVA not in contents:
        contents = {B2ND: b"", **contents}
    return pack_ends(header, meta, contents, Layers(), offsets, 0)
