"""Sealed frames of one chunk: what storekit writes. Each is a genuine ``.b2nd`` file."""

from __future__ import annotations

import struct

from storekit.errors import ChecksumError, CorruptFrameError
from storekit.frames.b2nd import B2ND, B2ndMeta, pack_b2nd
from storekit.frames.chunk import BLOSC2_HEADER
from storekit.frames.grid import BlockGrid
from storekit.frames.layout import FrameHeader, pack_header, pack_metalayers
from storekit.frames.seal import (
    SEAL,
    TAIL,
    TAIL_OF_ZEROS,
    Head,
    check_tail,
    empty_seal,
    open_head,
    pack_seal,
)
from storekit.typing import Value

__all__ = ["SealedFrames"]

_CHUNK = struct.Struct("<4B3i16s")
_CHUNK_VERSION = 5
_SPECIAL = 0x70  # of the last byte of a chunk's header
_SPLIT_AUTO = 2


class SealedFrames:
    """
    Builds and reads the frames of an array's chunks, which are alike in all but a few bytes.

    Args:
        grid: The blocks of each chunk.

        codec: The number of the compressor in blosc2.

        clevel: Its level.

        filter_id: The number of the filter in blosc2.

    Threads: safe.
    """

    def __init__(self, grid: BlockGrid, codec: int, clevel: int, filter_id: int) -> None:
        self._nblocks = grid.nblocks
        itemsize = grid.dtype.itemsize
        self.typesize = itemsize if itemsize < 256 else 1
        """Bytes of an element, as far as blosc2 can count."""
        meta = B2ndMeta(grid.shape, grid.shape, grid.blocks, grid.dtype)
        layers = pack_metalayers({B2ND: pack_b2nd(meta), SEAL: empty_seal(grid.nblocks)})
        filters = bytes((filter_id, 0, 0, 0, 0, 0, codec, *(0,) * 9))
        sizes = (self.typesize, grid.blocksize, grid.nbytes)
        header = pack_header(
            FrameHeader(0, 0, grid.nbytes, 0, *sizes, clevel << 4 | codec, _SPLIT_AUTO, filters),
            layers,
        )
        self._base = len(header)
        self._sums_at = self._base - 4 - 4 * grid.nblocks
        # All frames begin alike, but for their length, that of the chunk, and the checksums.
        self._prefix = struct.Struct(f">16sQ15sq{self._sums_at - 47}s")
        self._same = (header[:16], header[24:39], header[47 : self._sums_at])
        self._chunk = (_CHUNK_VERSION, self.typesize, grid.nbytes, grid.blocksize, filters)
        self.zeros = self._frame(b"", TAIL_OF_ZEROS)
        """The frame of a chunk of zeros, which is not stored in it."""
        self.head_size = max(self._base + BLOSC2_HEADER + 4 * grid.nblocks, len(self.zeros))
        """How many bytes from the beginning of a frame `head` needs."""

    def seal(self, chunk: bytes) -> bytes:
        """The frame of a chunk that blosc2 has just compressed."""
        return self.zeros if chunk[31] & _SPECIAL else self._frame(chunk, TAIL)

    def _frame(self, chunk: bytes, tail: bytes) -> bytes:
        size = self._base + len(chunk) + len(tail)
        first, second, third = self._same
        prefix = self._prefix.pack(first, size, second, len(chunk), third)
        return b"".join((prefix, pack_seal(prefix, chunk, self._nblocks), chunk, tail))

    def head(self, data: Value) -> Head | bytes | None:
        """
        Read and verify the head of a frame.

        Args:
            data: The frame, or `head_size` bytes of it.

        Returns:
            `zeros` if the frame is that; None if it is not such a frame as `seal` would make.

        Raises:
            CodecError: If it is, but damaged.
        """
        if len(data) < self._base:
            return None
        first, _, second, cbytes, third = self._prefix.unpack_from(data)
        if (first, second, third) != self._same:
            return None
        if not cbytes:
            if data != self.zeros:
                raise ChecksumError("the frame of zeros is damaged")
            return self.zeros
        head = open_head(data, self._sums_at, cbytes, self._nblocks)
        version, _, _, typesize, nbytes, blocksize, size, filters = _CHUNK.unpack(head.chunk)
        if size != cbytes or (version, typesize, nbytes, blocksize, filters) != self._chunk:
            # Its checksum is right, so somebody means to have blosc2 write where it must not.
            raise CorruptFrameError("the chunk is not the one that the frame describes")
        return head

    def whole(self, data: Value, head: Head) -> memoryview:
        """
        The chunk of a frame, verified to the last bit.

        Raises:
            ChecksumError: If the frame is not what was written.
        """
        end = head.base + head.starts[-1]
        size = int.from_bytes(data[16:24], "big")
        if len(data) != size or end + len(TAIL) != size:
            raise CorruptFrameError(f"{len(data)} bytes, the frame states {size}")
        chunk = memoryview(data)[head.base : end]
        head.verify(chunk[head.starts[0] :], 0, self._nblocks)
        check_tail(data, TAIL)
        return chunk
