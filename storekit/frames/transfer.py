"""
Chunks between frames of many chunks and frames of one, which Zarr arrays consist of.

The compressed blocks stay what they are; only what stands around them is made anew, and every
checksum that there is, is compared with them.
"""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from storekit.errors import CorruptFrameError
from storekit.frames.b2nd import B2ND, B2ndMeta, pack_b2nd
from storekit.frames.chunk import BLOSC2_HEADER, DICT, MEMCPYED
from storekit.frames.chunkseal import read_head, repeated, seal_chunk
from storekit.frames.frame import grid_counts, trimmed
from storekit.frames.head import check_blocks
from storekit.frames.layout import FrameHeader, chunk_typesize, pack_header, pack_metalayers
from storekit.frames.loading import load_frame
from storekit.frames.seal import SEAL, TAIL, check_seal, empty_seal, find_seal, pack_seal
from storekit.stores.values import parts_of
from storekit.typing import DType, Shape, Value

__all__ = ["bare_chunk", "chunk_sizes", "kept_chunk", "unwrap_chunk", "wrap_chunk"]

_VERSION = 5
_SPLIT_AUTO = 2
_FILTERS, _METAS = slice(16, 22), slice(24, 30)


def chunk_sizes(chunks: Shape, blocks: Shape, dtype: DType) -> tuple[int, int]:
    """Bytes of the content of a chunk, and of each of its blocks."""
    blocksize = prod(blocks) * dtype.itemsize
    return prod(grid_counts(chunks, blocks)) * blocksize, blocksize


def bare_chunk(data: Value, nbytes: int, blocksize: int) -> bytes | None:
    """
    A chunk without checksums, and with its blocks in order.

    Args:
        data: The chunk, not to be trusted.

        nbytes: Bytes of its content.

        blocksize: Bytes of each block.

    Returns:
        None if it has no blocks, because all elements are the same.

    Raises:
        ChecksumError: If the chunk is not what was written.

        CorruptFrameError: If it is damaged, or not one of these sizes.
    """
    head = read_head(data, nbytes, blocksize, len(data))
    if head is None:
        return None
    numbers = range(len(head.starts))
    view = memoryview(data)
    content = head.excerpt(numbers, [view[a:b] for a, b in head.ranges(numbers)])
    if not head.memcpyed:
        return content
    # blosc2 (4.14.1) marks such chunks as ones with a dictionary, and then cannot decode them.
    return head.chunk[:31] + bytes((head.chunk[31] & ~DICT,)) + content


def kept_chunk(data: Value, meta: B2ndMeta) -> Value:
    """
    A chunk for another frame, with its blocks as they are: verified if there are checksums, which
    it gets if there are none.

    Args:
        data: The chunk, not to be trusted.

        meta: Of both frames.

    Raises:
        ChecksumError: If the chunk is not what was written.

        CorruptFrameError: If it is damaged, or not one of such a frame.
    """
    nbytes, blocksize = chunk_sizes(*meta[1:])
    head = read_head(data, nbytes, blocksize, len(data))
    if head is None:
        repeated(data, nbytes, meta.dtype)  # or it is refused
        return data
    if head.sums is not None:
        numbers = range(len(head.sums))
        check_blocks(np.frombuffer(data, np.uint8), numbers, head.starts, head.ends, head.sums)
        return data
    table_end = BLOSC2_HEADER + 4 * len(head.starts)
    if not head.memcpyed and min(head.starts) != table_end + len(head.dictionary):
        return data  # what stands in the gap is not known, and leaves no room for a seal
    return seal_chunk(bytes(data))


def wrap_chunk(chunk: bytes, meta: B2ndMeta, clevel: int) -> bytes | None:
    """
    The frame of a chunk, as `storekit.b2nd` writes it.

    Args:
        chunk: From `bare_chunk`.

        meta: Of the frame: its shape is that of the chunk.

        clevel: What the header states as the level of the compressor.

    Returns:
        None if there can be no such frame: blocks share a dictionary, or the chunk is of an old
        version, or of elements of another size.
    """
    itemsize = meta.dtype.itemsize
    if chunk[31] & DICT or (chunk[0], chunk[3]) != (_VERSION, chunk_typesize(itemsize)):
        return None
    chunk = _filters_first(chunk)
    nbytes, blocksize = chunk_sizes(meta.chunks, meta.blocks, meta.dtype)
    count = nbytes // blocksize
    layers = pack_metalayers({B2ND: pack_b2nd(meta), SEAL: empty_seal(count)})
    codec, filters = clevel << 4 | chunk[22], chunk[16:BLOSC2_HEADER]
    sizes = (itemsize, blocksize, nbytes)
    fields = FrameHeader(0, 0, nbytes, len(chunk), *sizes, codec, _SPLIT_AUTO, filters)
    size = len(pack_header(fields, layers)) + len(chunk) + len(TAIL)
    header = pack_header(fields._replace(frame_len=size), layers)
    prefix = header[: -4 - 4 * count]
    if chunk[2] & MEMCPYED:
        first, end = BLOSC2_HEADER, BLOSC2_HEADER + nbytes
        starts = [*range(first, end, blocksize), end]
    else:
        table = np.frombuffer(chunk, "<i4", count, BLOSC2_HEADER)
        starts = [*table.tolist(), len(chunk)]
    sums = pack_seal(prefix, np.frombuffer(chunk, np.uint8), starts)
    return b"".join((prefix, sums, chunk, TAIL))


def _filters_first(chunk: bytes) -> bytes:
    """
    The chunk with its filters in the first places. In which they stand means nothing, but their
    order does; blosc2 puts a single one last, and storekit first.
    """
    pairs = [(f, m) for f, m in zip(chunk[_FILTERS], chunk[_METAS], strict=True) if f]
    pairs += [(0, 0)] * (6 - len(pairs))
    header = bytearray(chunk[:BLOSC2_HEADER])
    header[_FILTERS] = bytes(f for f, _ in pairs)
    header[_METAS] = bytes(m for _, m in pairs)
    return bytes(header) + chunk[BLOSC2_HEADER:]


def unwrap_chunk(data: Value, meta: B2ndMeta) -> bytes | int | None:
    """
    The chunk in a frame of one.

    Args:
        data: The whole frame, not to be trusted.

        meta: What the frame should state, with the shape of the chunk.

    Returns:
        A chunk as from `bare_chunk`, or what an index states in place of it. None if the frame is
        another one, of more chunks or of other blocks, so that it must be decoded.

    Raises:
        ChecksumError: If the frame has checksums, and one does not match.

        CorruptFrameError: If it is damaged.
    """
    view = memoryview(data)
    frame = load_frame(partial(parts_of, view))
    if frame.header.frame_len != len(data):
        raise CorruptFrameError(f"{len(data)} bytes, the frame states {frame.header.frame_len}")
    seal = find_seal(frame.layers)
    if seal is not None:
        check_seal(data, frame.header, seal)
    if frame.meta != meta or len(frame.offsets) != 1:
        return None
    offset = int(frame.offsets[0])
    if offset < 0:
        return offset
    first, last = frame.extent(offset)
    return bare_chunk(trimmed(view[first:last]), *chunk_sizes(*meta[1:]))
