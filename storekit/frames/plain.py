"""
Super-chunks: frames of bytes or records without the shapes of an array.

Their chunks are of one size, but for the last one, which ends where the content does.
"""

from __future__ import annotations

import numpy as np

from storekit.errors import CodecError, CorruptFrameError
from storekit.frames.chunk import MAX_CHUNK, backend, decompress_into, parse_chunk
from storekit.frames.chunkseal import seal_chunk
from storekit.frames.ends import pack_ends
from storekit.frames.frame import Frame, plain_meta
from storekit.frames.grid import BLOCK_BYTES
from storekit.frames.layout import ZEROS, FrameHeader, chunk_typesize
from storekit.frames.params import CParams
from storekit.frames.trailer import Layers
from storekit.typing import Value

__all__ = ["check_length", "plain_ends", "shortened"]

CHUNK_BYTES = 4 << 20
"""Bytes of a chunk, unless told otherwise."""


def plain_ends(
    nbytes: int,
    typesize: int,
    cparams: CParams,
    layers: Layers,
    chunksize: int | None = None,
) -> tuple[bytes, bytes]:
    """
    What stands before and behind the chunks of a super-chunk of zeros.

    Args:
        nbytes: Bytes of the content.

        typesize: Bytes of an element; those of more than 255 are bytes.

        cparams: How chunks are compressed.

        layers: The metalayers of variable length.

        chunksize: Bytes of a chunk, from 1 to 2 GiB. Elements are not cut.

    Raises:
        CodecError: If the size of the chunks is impossible.
    """
    typesize = chunk_typesize(typesize)
    asked = CHUNK_BYTES if chunksize is None else chunksize
    if not 0 < asked <= MAX_CHUNK:
        raise CodecError(f"chunks of {asked} bytes; blosc2 has them of 1 to {MAX_CHUNK}")
    size = min(_multiple(asked, typesize), nbytes)
    blocksize = min(_multiple(BLOCK_BYTES, typesize), size)
    fields = cparams.header_fields(typesize)
    header = FrameHeader(0, 0, nbytes, 0, typesize, blocksize, size, *fields)
    offsets = np.full(-(-nbytes // size) if size else 0, ZEROS, np.int64)
    return pack_ends(header, plain_meta(header), {}, layers, offsets, 0)


def _multiple(size: int, typesize: int) -> int:
    return max(size // typesize, 1) * typesize


def check_length(frame: Frame, number: int, chunk: Value) -> None:
    """
    See that a chunk holds as much as its place has.

    Raises:
        CorruptFrameError: If it does not.
    """
    expected, found = length(frame, number), parse_chunk(chunk).nbytes
    if found != expected:
        raise CorruptFrameError(f"expected {expected} bytes, the chunk states {found}")


def length(frame: Frame, number: int) -> int:
    """Bytes of the content of a chunk."""
    header = frame.header
    return min(header.chunksize, header.nbytes - number * header.chunksize)


def shortened(frame: Frame, number: int, chunk: Value) -> Value:
    """A chunk whose content ends where that of the frame does."""
    header, size = frame.header, length(frame, number)
    if size == header.chunksize:
        return chunk
    content = np.empty(header.chunksize, np.uint8)
    decompress_into(chunk, content.data)
    settings = CParams.from_header(header).compress_args(
        header.typesize, min(header.blocksize, size)
    )
    compressed: bytes = backend().compress2(content[:size], **settings)
    return seal_chunk(compressed)
