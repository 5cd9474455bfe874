"""
Frames, read from wherever they are.

Every number in a frame is compared with the others and with what is there: where chunks begin, how
many there must be, what each decodes to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TypeAlias

from storekit.errors import CodecError, CorruptFrameError
from storekit.frames.b2nd import B2ndMeta, parse_array_meta
from storekit.frames.chunk import BLOSC2_HEADER, MAX_CHUNK
from storekit.frames.frame import STATES, Frame, grid_counts, is_plain, plain_meta, shapes_of
from storekit.frames.index import MAX_CHUNKS, check_offsets, parse_offsets
from storekit.frames.layout import (
    MIN_HEADER,
    FrameHeader,
    Metalayer,
    parse_header,
    parse_metalayers,
)
from storekit.frames.seal import SealedEnds, find_seal
from storekit.frames.trailer import THREADS, check_fingerprint, parse_trailer, tail_size
from storekit.typing import ByteRange, Value

__all__ = ["Read", "load_frame", "parse_ends", "parse_sparse"]

Read: TypeAlias = Callable[[Sequence[ByteRange]], list[Value]]
"""From ranges of a frame, as start and length, to their bytes."""

FIRST_READ = 4096
LAST_READ = 1 << 16
MAX_NAME = 1 << 62

MAX_HEADER = 1 << 24
"""A header has sixteen metalayers at most; nobody puts more than this into them."""


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
    except CodecError:
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
    noted = check_fingerprint(head, shapes_of(layers), index, tail[end:])
    count = _count(header, meta, not is_plain(layers))
    offsets = parse_offsets(index, count)
    check_offsets(offsets, MAX_NAME if names else header.cbytes - BLOSC2_HEADER + 1)
    state, dead = divmod(noted or 0, STATES)
    sealed = noted is not None
    ends = None if sealed or names else _sealed_ends(head, tail, header, layers, count)
    return Frame(header, layers, meta, trailer, offsets, dead, sealed, state, ends=ends)


def _sealed_ends(
    head: bytes, tail: bytes, header: FrameHeader, layers: Mapping[str, Metalayer], count: int
) -> SealedEnds | None:
    """
    What stands around the chunk of a frame that has a seal in its header, and no fingerprint. If
    blosc2 has written the header since, the seal is of another frame: it copies metalayers.
    """
    layer = None if any(head[THREADS]) else find_seal(layers)
    if layer is None:
        return None
    if count != 1:
        raise CorruptFrameError(f"a seal of one chunk in a frame of {count}")
    ends = SealedEnds(head, tail, header, layer)
    ends.check_tail()
    return ends


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


def _meta(layers: Mapping[str, Metalayer], header: FrameHeader) -> B2ndMeta:
    """The array in a frame; of one that only has bytes or records, one dimension of these."""
    found = parse_array_meta(layers, header.typesize)
    if found is None:
        return plain_meta(header)
    # Of an array without elements blosc2 says that chunks are as long as it is: nothing.
    chunks, blocks = (tuple(max(n, 1) for n in side) for side in (found.chunks, found.blocks))
    return found._replace(chunks=chunks, blocks=blocks)


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
