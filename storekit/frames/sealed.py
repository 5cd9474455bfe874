"""
Sealed frames of one chunk: what storekit writes. Each is a genuine ``.b2nd`` file.

All frames of an array are alike but for a few fields, so most of a frame is verified by comparing
it with what it must be.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import google_crc32c
import numpy as np

from storekit.errors import ChecksumError, CorruptFrameError
from storekit.frames.b2nd import B2ND, B2ndMeta, pack_b2nd
from storekit.frames.chunk import BLOSC2_HEADER, MEMCPYED
from storekit.frames.grid import BlockGrid
from storekit.frames.head import Head, check_blocks
from storekit.frames.layout import FrameHeader, chunk_typesize, pack_header, pack_metalayers
from storekit.frames.seal import (
    SEAL,
    TAIL,
    TAIL_OF_ZEROS,
    check_starts,
    empty_seal,
    pack_seal,
)
from storekit.typing import AnyArray, Value

__all__ = ["SealedFrames"]

_CHUNK_VERSION = 5
_SPECIAL = 0x70  # of the last byte of a chunk's header
_SPLIT_AUTO = 2


class SealedFrames:
    """
    Builds and reads the frames of an array's chunks.

    Args:
        grid: The blocks of each chunk.

        codec: The number of the compressor in blosc2.

        clevel: Its level.

        filter_id: The number of the filter in blosc2.

    Threads: safe.
    """

    def __init__(self, grid: BlockGrid, codec: int, clevel: int, filter_id: int) -> None:
        n = self._nblocks = grid.nblocks
        itemsize = grid.dtype.itemsize
        self.typesize = chunk_typesize(itemsize)
        """What the chunk states as the bytes of an element; the header has the real number."""
        meta = B2ndMeta(grid.shape, grid.shape, grid.blocks, grid.dtype)
        layers = pack_metalayers({B2ND: pack_b2nd(meta), SEAL: empty_seal(n)})
        filters = bytes((filter_id, 0, 0, 0, 0, 0, codec, *(0,) * 9))
        sizes = (itemsize, grid.blocksize, grid.nbytes)
        header = pack_header(
            FrameHeader(0, 0, grid.nbytes, 0, *sizes, clevel << 4 | codec, _SPLIT_AUTO, filters),
            layers,
        )
        self._base = len(header)
        self._sums_at = self._base - 4 - 4 * n
        # The header up to the checksums, with the sizes of frame and chunk; then that of the chunk.
        prefix = f">16sQ15sq{self._sums_at - 47}s"
        self._prefix = struct.Struct(prefix)
        self._head = struct.Struct(f"{prefix}{4 + 4 * n}x4B8s4s16s")
        self._sums = struct.Struct(f">{1 + n}I")
        self._table = struct.Struct(f"<{n}i")
        self._same = (header[:16], header[24:39], header[47 : self._sums_at])
        lengths = struct.pack("<2i", grid.nbytes, grid.blocksize)
        self._same_chunk = (_CHUNK_VERSION, self.typesize, lengths, filters)
        self._first = BLOSC2_HEADER + 4 * n
        self._raw = range(BLOSC2_HEADER, BLOSC2_HEADER + grid.nbytes + 1, grid.blocksize)
        self.zeros = self._frame(b"", TAIL_OF_ZEROS)
        """The frame of a chunk of zeros, which is not stored in it."""
        self.head_size = max(self._base + self._first, len(self.zeros))
        """How many bytes from the beginning of a frame `head` needs."""

    def seal(self, chunk: bytes) -> bytes:
        """The frame of a chunk that blosc2 has just compressed."""
        return self.zeros if chunk[31] & _SPECIAL else self._frame(chunk, TAIL)

    def _frame(self, chunk: bytes, tail: bytes) -> bytes:
        size = self._base + len(chunk) + len(tail)
        first, second, third = self._same
        prefix = self._prefix.pack(first, size, second, len(chunk), third)
        if chunk:
            starts = self._starts(chunk, 0, chunk[2], len(chunk))
            seal = pack_seal(prefix, np.frombuffer(chunk, np.uint8), starts)
        else:
            seal = pack_seal(prefix, np.empty(0, np.uint8), (0,) * (1 + self._nblocks))
        return b"".join((prefix, seal, chunk, tail))

    def chunk(self, data: Value) -> AnyArray | None:
        """
        The chunk of a frame, verified to the last bit.

        Args:
            data: The whole frame.

        Returns:
            None if it is not such a frame as `seal` would make.

        Raises:
            CodecError: If it is, but damaged.
        """
        view = np.frombuffer(data, np.uint8)
        opened = self._open(data, view)
        if opened is None:
            return None
        size, starts, sums = opened
        base = self._base
        end = base + starts[-1]
        if len(data) != size or end + len(TAIL) != size:
            raise CorruptFrameError(f"{len(data)} bytes, the frame states {size}")
        if data[end:] != TAIL:
            raise ChecksumError("the end of the frame is damaged")
        chunk = view[base:end]
        check_blocks(chunk, range(self._nblocks), starts, starts[1:], sums[1:])
        return chunk

    def head(self, data: Value) -> Head | None:
        """
        The head of a frame, verified.

        Args:
            data: The frame, or the first `head_size` of them.

        Returns:
            None if it is not the head of such a frame as `seal` would make of a chunk.

        Raises:
            CodecError: If it is, but damaged.
        """
        opened = self._open(data, np.frombuffer(data, np.uint8))
        if opened is None:
            return None
        (_, starts, sums), base = opened, self._base
        chunk = bytes(data[base : base + BLOSC2_HEADER])
        return Head(base, chunk, starts[:-1], starts[1:], sums[1:])

    def _open(
        self, data: Value, view: AnyArray
    ) -> tuple[int, Sequence[int], tuple[int, ...]] | None:
        """What the head states as the size of the frame and the places of blocks; the checksums."""
        base, sums_at = self._base, self._sums_at
        if len(data) < base + BLOSC2_HEADER:
            return None
        fields = self._head.unpack_from(data)
        first, size, second, cbytes, third, *chunk, lengths, found, filters = fields
        version, _, flags, typesize = chunk
        if (first, second, third) != self._same or not cbytes:
            return None
        starts = self._starts(data, base, flags, cbytes)
        sums = self._sums.unpack_from(data, sums_at)
        head_sum = google_crc32c.value(view[:sums_at])
        if google_crc32c.extend(head_sum, view[base : base + starts[0]]) != sums[0]:
            raise ChecksumError("the head of the frame does not match its checksum")
        stated = int.from_bytes(found, "little")
        if stated != cbytes or (version, typesize, lengths, filters) != self._same_chunk:
            # The checksum is right: somebody means to have blosc2 write where it must not.
            raise CorruptFrameError("the chunk is not the one that the frame describes")
        return size, starts, sums

    def _starts(self, data: Value, base: int, flags: int, cbytes: int) -> Sequence[int]:
        """
        Where in the chunk that begins at `base` the blocks begin, and where the last one ends.
        """
        if flags & MEMCPYED:
            if cbytes != self._raw[-1]:
                raise CorruptFrameError(f"a chunk of {cbytes} bytes, stored as it is")
            return self._raw
        if len(data) < base + self._first:
            raise CorruptFrameError(f"the frame is cut off after {len(data)} bytes")
        starts = (*self._table.unpack_from(data, base + BLOSC2_HEADER), cbytes)
        check_starts(starts, self._first)
        return starts
