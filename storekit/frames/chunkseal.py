"""
Checksums in blosc2 chunks.

blosc2 finds the blocks of a chunk by the table behind the header, and does not mind a gap before
the first of them. There storekit puts a seal: a mark, the checksum of all other bytes before the
blocks, and a checksum for each block; all little-endian, of 4 bytes. So any part of the chunk can
be verified by itself, and blosc2 decodes the chunk as ever. What blosc2 writes anew has no seal,
and is read without one.

A chunk that is stored as it is (`memcpyed`) has no table. storekit writes it as blocks that are
each stored as they are.
"""

from __future__ import annotations

import struct

import google_crc32c
import numpy as np

from storekit.errors import ChecksumError, CodecError, CorruptFrameError
from storekit.frames.chunk import (
    BLOSC2_HEADER,
    DICT,
    MEMCPYED,
    ChunkHeader,
    parse_chunk,
    unchecked_decompress_into,
)
from storekit.frames.chunkvalue import check_value
from storekit.frames.head import Head, check_blocks, ends_of
from storekit.frames.join import MARK, join_blocks, seal_size
from storekit.typing import AnyArray, DType, Value

__all__ = [
    "read_head",
    "repeated",
    "seal_chunk",
    "verify_chunk",
]

_DELTA, _NOT_SPLIT = 0x8, 0x10
_SPECIAL = 0x70
_ZERO, _NAN, _VALUE, _UNINIT = 1, 2, 3, 4
_NANS = {4: np.float32(np.nan).tobytes(), 8: np.float64(np.nan).tobytes()}

_SIZES = struct.Struct("<3i")
_U32 = struct.Struct("<I")


def seal_chunk(chunk: bytes) -> bytes:
    """
    Put checksums into a chunk.

    Args:
        chunk: That blosc2 has just compressed.

    Returns:
        The chunk itself if it has no blocks, since all of its elements are the same: frames need
        not store it.
    """
    if chunk[31] & _SPECIAL:
        return chunk
    nbytes, blocksize, cbytes = _SIZES.unpack_from(chunk, 4)
    count = -(-nbytes // blocksize)
    # A sealed chunk must not be taken for one stored as it is, should just that flag be damaged.
    if chunk[2] & MEMCPYED or cbytes + seal_size(count) == BLOSC2_HEADER + nbytes:
        return _seal_stored(chunk, nbytes, blocksize)
    table_end = BLOSC2_HEADER + 4 * count
    starts = struct.unpack_from(f"<{count}i", chunk, BLOSC2_HEADER)
    first = min(starts)
    body = np.frombuffer(chunk, np.uint8, -1, first)
    places = tuple([start - first for start in starts])
    return _seal(chunk[:BLOSC2_HEADER], places, chunk[table_end:first], body)


def _seal_stored(chunk: bytes, nbytes: int, blocksize: int) -> bytes:
    """A sealed chunk with the content of another, in blocks that are stored as they are."""
    if chunk[2] & MEMCPYED:  # blosc2 does not decode these if they should have had a dictionary
        content = np.frombuffer(chunk, np.uint8, nbytes, BLOSC2_HEADER)
    else:
        content = np.empty(nbytes, np.uint8)
        unchecked_decompress_into(chunk, content)
    header = bytearray(chunk[:BLOSC2_HEADER])
    header[2] = header[2] & ~(MEMCPYED | _DELTA) | _NOT_SPLIT
    header[16:22] = header[24:30] = bytes(6)  # no filters
    header[31] &= ~DICT
    blocks = [content[i : i + blocksize] for i in range(0, nbytes, blocksize)]
    pieces = [piece for block in blocks for piece in (struct.pack("<i", len(block)), block.data)]
    body = np.frombuffer(b"".join(pieces), np.uint8)
    return _seal(header, tuple(range(0, len(body), 4 + blocksize)), b"", body)


def _seal(
    header: bytes | bytearray, places: tuple[int, ...], dictionary: bytes, body: AnyArray
) -> bytes:
    """A chunk of blocks that begin at `places` of `body`."""
    ends = ends_of(places, len(body))
    sums = [google_crc32c.value(body[a:b]) for a, b in zip(places, ends, strict=True)]
    return join_blocks(header, places, dictionary, sums, (body.data,))


def verify_chunk(data: Value, nbytes: int, blocksize: int) -> None:
    """
    Check that blosc2 can be trusted with a whole chunk that has blocks, and compare all of it with
    the checksums if it has any.

    Args:
        data: The chunk.

        nbytes: Bytes of its content.

        blocksize: Bytes of every block but the last.

    Raises:
        ChecksumError: If the chunk is not what was written.

        CorruptFrameError: If it is damaged, or not one of these sizes.
    """
    head = read_head(data, nbytes, blocksize, len(data))
    if head is None:
        raise CorruptFrameError("the chunk has no blocks, or they begin beyond its end")
    if head.sums is not None:
        view = np.frombuffer(data, np.uint8)
        check_blocks(view, range(len(head.sums)), head.starts, head.ends, head.sums)


def read_head(data: Value, nbytes: int, blocksize: int, size: int | None = None) -> Head | None:
    """
    Where the blocks of a chunk are; verified if there are checksums.

    Args:
        data: The chunk, or the first `head_size` bytes of it, not to be trusted.

        nbytes: Bytes of its content.

        blocksize: Bytes of every block but the last.

        size: Bytes of the chunk; None if they are not known.

    Returns:
        None if that takes more bytes (of a chunk with a large dictionary), or if there are no
        blocks because all elements are the same.

    Raises:
        ChecksumError: If the head is not what was written.

        CorruptFrameError: If it is damaged, or not one of a chunk of these sizes.
    """
    header = _parse(data, nbytes, size)
    if header.special:
        return None
    if header.blocksize != blocksize:
        raise CorruptFrameError(f"expected blocks of {blocksize} bytes, found {header.blocksize}")
    chunk = bytes(data[:BLOSC2_HEADER])
    if header.memcpyed:
        if header.cbytes != BLOSC2_HEADER + nbytes:
            raise CorruptFrameError(f"a chunk of {header.cbytes} bytes, stored as it is")
        starts = tuple(range(BLOSC2_HEADER, header.cbytes, blocksize))
        return Head(0, chunk, starts, (*starts[1:], header.cbytes), None)
    table_end = BLOSC2_HEADER + 4 * header.nblocks
    if len(data) < table_end:
        if size is None:
            return None
        raise CorruptFrameError("the chunk is too small for its blocks")
    starts = struct.unpack_from(f"<{header.nblocks}i", data, BLOSC2_HEADER)
    first = min(starts)
    if first < table_end or max(starts) >= header.cbytes:
        raise CorruptFrameError("blocks begin outside of the chunk")
    if first > len(data):
        return None
    sums, dictionary = _between(data, header, first)
    return Head(0, chunk, starts, ends_of(starts, header.cbytes), sums, dictionary)


def repeated(data: Value, nbytes: int, dtype: DType) -> AnyArray | None:
    """
    The element that a chunk without blocks consists of; zero if it may be any.

    Args:
        data: The whole chunk, not to be trusted.

        nbytes: Bytes of its content.

        dtype: Of the elements.

    Returns:
        An array of no dimensions; None if the chunk has blocks.

    Raises:
        CorruptFrameError: If the chunk is damaged.
    """
    if len(data) >= BLOSC2_HEADER and not data[31] & _SPECIAL:
        return None
    header = _parse(data, nbytes, len(data))
    value = bytes(data[BLOSC2_HEADER:])
    mark_at = 4 * header.nblocks
    stored = header.typesize if header.special == _VALUE else 0
    if len(value) != stored or value[mark_at : mark_at + len(MARK)] == MARK:
        raise CorruptFrameError("a chunk without blocks of impossible size")
    if header.special == _VALUE:
        check_value(data)
    if header.special in (_ZERO, _UNINIT):
        value = bytes(dtype.itemsize)
    elif header.special == _NAN:
        value = _NANS.get(header.typesize, b"")
    count, rest = divmod(dtype.itemsize, len(value)) if value else (0, 1)
    if rest:
        raise CorruptFrameError(f"elements of {header.typesize} bytes, expected {dtype}")
    element: AnyArray = np.ndarray((), dtype, value * count)
    return element


def _parse(data: Value, nbytes: int, size: int | None) -> ChunkHeader:
    """The header of a chunk, as long as it can be the one that is expected."""
    try:
        header = parse_chunk(data)
    except CodecError as error:
        raise CorruptFrameError(error.reason) from error
    if header.size != BLOSC2_HEADER or header.special > _UNINIT:
        raise CorruptFrameError("a chunk of an unknown kind")
    if header.nbytes != nbytes:
        raise CorruptFrameError(f"expected {nbytes} bytes, the chunk states {header.nbytes}")
    if size is not None and header.cbytes != size:
        raise CorruptFrameError(f"{size} bytes, the chunk states {header.cbytes}")
    return header


def _between(data: Value, header: ChunkHeader, first: int) -> tuple[tuple[int, ...] | None, bytes]:
    """
    What stands between the table and the first block: the checksums of the blocks, and the
    dictionary with its size.

    A seal is expected where the dictionary ends, and must end where the blocks begin: so none is
    overlooked of which one byte has changed.
    """
    count = header.nblocks
    start = end = BLOSC2_HEADER + 4 * count
    if header.use_dict:
        size = int.from_bytes(data[start : start + 4], "little", signed=True)
        end += 4 + size
        if size <= 0 or end > first:
            raise CorruptFrameError("the dictionary of the chunk is damaged")
    dictionary = bytes(data[start:end])
    place = first - seal_size(count)
    marked = [i >= start and data[i : i + len(MARK)] == MARK for i in (place, end)]
    if place != end and not any(marked):
        return None, dictionary
    if place != end or not marked[0] or _head_sum(data, place, first) != _sum_at(data, place):
        raise ChecksumError("the head of the chunk does not match its checksum")
    return struct.unpack_from(f"<{count}I", data, place + 8), dictionary


def _sum_at(data: Value, place: int) -> int:
    check: int = _U32.unpack_from(data, place + len(MARK))[0]
    return check


def _head_sum(data: Value, place: int, first: int) -> int:
    """The checksum of all before the seal at `place`, and of the checksums of the blocks."""
    view = np.frombuffer(data, np.uint8)
    check: int = google_crc32c.extend(google_crc32c.value(view[:place]), view[place + 8 : first])
    return check
