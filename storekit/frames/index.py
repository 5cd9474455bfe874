"""
The index of a frame: a chunk of 64-bit integers, which say where the chunks are.

In a contiguous frame each is where a chunk begins, counted from the end of the header; in a sparse
one, the number of the chunk's file. A chunk that need not be stored has `ZEROS`, `NANS` or
`UNINIT`. A frame without chunks has no index.

Source: C-Blosc2, README_CFRAME_FORMAT.rst, README_SFRAME_FORMAT.rst. Where they and C-Blosc2
differ, this is what C-Blosc2 does.
"""

from __future__ import annotations

import numpy as np

from storekit.errors import CodecError, CorruptFrameError
from storekit.frames.chunk import (
    BLOSC2_HEADER,
    backend,
    check_chunk,
    unchecked_decompress_into,
)
from storekit.frames.layout import NANS, UNINIT, ZEROS, pack_plain
from storekit.frames.params import CParams
from storekit.typing import AnyArray, Value

__all__ = ["MAX_CHUNKS", "check_offsets", "pack_offsets", "parse_offsets"]

MAX_CHUNKS = 1 << 24
"""The most chunks of one frame. An index of so many takes 128 MiB."""

PLAIN = 64
"""Up to so many offsets are stored as they are: 512 bytes, which compress to about 200."""

_PARAMS = CParams()


def pack_offsets(offsets: AnyArray) -> bytes:
    """
    The index of a frame.

    Args:
        offsets: int64, one-dimensional: an offset or a special value for each chunk.

    Raises:
        CodecError: If there are more than `MAX_CHUNKS`.
    """
    if offsets.size > MAX_CHUNKS:
        raise CodecError(f"{offsets.size} chunks; a frame has at most {MAX_CHUNKS}")
    if not offsets.size:
        return b""
    content = offsets.astype("<i8")
    if offsets.size <= PLAIN:
        return pack_plain(content.tobytes())
    chunk: bytes = backend().compress2(content, **_PARAMS.compress_args(8, 0))
    return chunk


def parse_offsets(data: Value, count: int) -> AnyArray:
    """
    The offsets in an index.

    Args:
        data: From the beginning of the index; what follows it is read past.

        count: How many offsets there must be.

    Returns:
        int64, one-dimensional. They may be any numbers: see `check_offsets`.

    Raises:
        CorruptFrameError: If it is not an index of so many chunks; before there is memory for them.
    """
    if not 0 <= count <= MAX_CHUNKS:
        raise CorruptFrameError(f"{count} chunks; a frame has at most {MAX_CHUNKS}")
    if not count:
        return np.empty(0, np.int64)
    if len(data) < BLOSC2_HEADER:
        raise CorruptFrameError("the frame has no index")
    index = memoryview(data)[: int.from_bytes(data[12:16], "little")]
    try:
        check_chunk(index, 8 * count)
        offsets = np.empty(count, "<i8")
        unchecked_decompress_into(index, offsets)
    except CodecError as error:
        raise CorruptFrameError(f"the index is damaged: {error.reason}") from error
    return offsets.astype(np.int64, copy=False)


def check_offsets(offsets: AnyArray, end: int) -> None:
    """
    See that each offset is one of the special values, or at least 0 and less than `end`.

    Raises:
        CorruptFrameError: If one is not.
    """
    special = (offsets == ZEROS) | (offsets == NANS) | (offsets == UNINIT)
    bad = np.flatnonzero(~(special | ((offsets >= 0) & (offsets < end))))
    if bad.size:
        raise CorruptFrameError(f"chunk {bad[0]} at {offsets[bad[0]]}, of {end}")
