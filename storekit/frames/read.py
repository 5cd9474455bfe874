"""
Whole frames of any origin, read by what they say about themselves.

Nothing that a frame says is believed before it is compared with what is expected and with what is
there.

Source: C-Blosc2, README_CFRAME_FORMAT.rst and README_B2ND_METALAYER.rst.
"""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from storekit.errors import CodecError, CorruptFrameError
from storekit.frames.b2nd import B2ND, B2ndMeta, parse_b2nd
from storekit.frames.chunk import BLOSC2_HEADER, MAX_CHUNK, decompress_into
from storekit.frames.grid import BlockGrid
from storekit.frames.index import parse_offsets
from storekit.frames.layout import (
    MIN_HEADER,
    NANS,
    UNINIT,
    ZEROS,
    FrameHeader,
    parse_header,
    parse_metalayers,
)
from storekit.frames.seal import check_seal, find_seal
from storekit.frames.trailer import trailer_size
from storekit.selection.part import take
from storekit.typing import AnyArray, DType, Shape, Value

__all__ = ["read_frame"]

ROOM = 64 << 20
"""Chunks larger than their array are decoded up to this many bytes."""


def read_frame(data: Value, shape: Shape, dtype: DType) -> AnyArray:
    """
    The array in a frame.

    Args:
        data: The whole frame, not to be trusted.

        shape: That the array must have.

        dtype: That it must have, in either byte order. A type of raw bytes of the right size will
            do, too.

    Returns:
        An array in the byte order of the frame.

    Raises:
        ChecksumError: If the frame has checksums, and one does not match.

        CorruptFrameError: If the frame is damaged, or of a kind that storekit does not read.

        CodecError: If it holds another array than expected, or a chunk in it is damaged.
    """
    header, index, meta = _open(memoryview(data))
    if meta.shape != shape:
        raise CodecError(f"expected an array of shape {shape}, the frame holds one of {meta.shape}")
    out: AnyArray = np.empty(shape, _stored_type(meta.dtype, dtype))
    if not out.size:
        return out
    grid = _grid(header, meta, out.dtype)
    counts = [-(-n // c) for n, c in zip(shape, meta.chunks, strict=True)]
    offsets = parse_offsets(index, prod(counts)).tolist()
    chunks = memoryview(data)[header.header_len :][: header.cbytes]
    buffer = np.empty(grid.nbytes, np.uint8)
    for offset, place in zip(offsets, product(*map(range, counts)), strict=True):
        _decode_chunk(chunks, offset, header.typesize, buffer)
        corner = zip(place, meta.chunks, strict=True)
        target = take(out, tuple(slice(i * c, i * c + c) for i, c in corner))
        target[...] = take(grid.unpack(buffer), tuple(slice(0, n) for n in target.shape))
    return out


def _open(data: memoryview) -> tuple[FrameHeader, memoryview, B2ndMeta]:
    """The header of a frame, its index, and what it holds; verified to the last bit if sealed."""
    header = parse_header(data)
    trailer = trailer_size(data, header)
    layers = parse_metalayers(bytes(data[MIN_HEADER : header.header_len]))
    seal = find_seal(layers)
    if seal is not None:
        check_seal(data, header, seal)
    if B2ND not in layers:
        raise CorruptFrameError(f"a frame that holds no array, but {', '.join(layers) or 'bytes'}")
    index = data[header.index_start : header.frame_len - trailer]
    return header, index, parse_b2nd(layers[B2ND].content)


def _stored_type(stored: DType, dtype: DType) -> DType:
    """The type of the elements in the frame, if it is the one that is expected."""
    raw = stored
    while raw.names and len(raw.names) == 1:  # what blosc2 makes of raw bytes
        raw = raw[0]
    if raw.kind == "V" and raw.names is None and raw.itemsize == dtype.itemsize:
        return dtype
    if stored.newbyteorder("=") != dtype.newbyteorder("="):
        raise CodecError(f"expected elements of type {dtype}, the frame holds {stored}")
    if _is_misread(stored):
        raise CodecError(f"numpy does not read times without a unit in this byte order: {stored}")
    return stored


def _is_misread(dtype: DType) -> bool:
    if dtype.names:
        return any(_is_misread(dtype[name]) for name in dtype.names)
    dtype = dtype.base
    return dtype.kind in "mM" and not dtype.isnative and np.datetime_data(dtype)[0] == "generic"


def _grid(header: FrameHeader, meta: B2ndMeta, dtype: DType) -> BlockGrid:
    """How the chunks are laid out, if header and metalayer agree."""
    grid = BlockGrid(meta.chunks, meta.blocks, dtype)
    if (header.chunksize, header.blocksize) != (grid.nbytes, grid.blocksize):
        raise CorruptFrameError("header and b2nd metalayer disagree")
    room = max(ROOM, prod(meta.shape) * dtype.itemsize << len(meta.shape))
    if grid.nbytes > min(room, MAX_CHUNK):
        raise CorruptFrameError(f"chunks of {grid.nbytes} bytes in an array of shape {meta.shape}")
    return grid


def _decode_chunk(chunks: memoryview, offset: int, typesize: int, out: AnyArray) -> None:
    """Decode the chunk that begins at `offset`, or is special."""
    if offset in (ZEROS, UNINIT):
        out[:] = 0
    elif offset == NANS and typesize in (4, 8):
        out.view(f"f{typesize}")[:] = np.nan
    elif 0 <= offset <= len(chunks) - BLOSC2_HEADER:
        size = int.from_bytes(chunks[offset + 12 : offset + 16], "little")
        decompress_into(chunks[offset : offset + size], out.data)
    else:
        raise CorruptFrameError(f"a chunk that begins at {offset}, of {len(chunks)} bytes")
