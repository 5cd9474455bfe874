"""
The seal of a frame: checksums in a metalayer, of which there are none elsewhere in the format.

The metalayer is the last one in the header. It holds a CRC32C of the head (all of the frame before
the checksums, the header of the chunk, and the table of where its blocks begin) and one of each
compressed block, so that a reader of single blocks can verify what it has read. All that follows
the chunk is the same in every sealed frame. Other software ignores the metalayer.

That a frame is sealed stands in it twice, in the name of the metalayer and in its first bytes:
damage to either is not taken for a frame without checksums. See
docs/decisions/0003-b2nd-chunk-frames.md.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from operator import lt
from typing import NamedTuple

import google_crc32c
import numpy as np

from storekit.errors import ChecksumError, CorruptFrameError
from storekit.frames.chunk import BLOSC2_HEADER, MEMCPYED, parse_chunk
from storekit.frames.layout import TRAILER, ZEROS, FrameHeader, Metalayer, pack_index
from storekit.typing import Value

__all__ = [
    "SEAL",
    "TAIL",
    "TAIL_OF_ZEROS",
    "Head",
    "check_seal",
    "check_tail",
    "empty_seal",
    "find_seal",
    "open_head",
    "pack_seal",
]

SEAL = "storekit"
"""The name of the metalayer."""

TAIL = pack_index(0) + TRAILER
"""What follows the chunk."""

TAIL_OF_ZEROS = pack_index(ZEROS) + TRAILER
"""What follows the header if the chunk is all zeros, and not stored."""

_MARK = b"crc32c\x01"
"""What the content begins with. The last byte is the version of the content."""


class Head(NamedTuple):
    """
    What must be known of a frame to read its blocks.

    Args:
        base: Where in the frame the chunk begins.

        chunk: The header of the chunk.

        starts: Where in the chunk each block begins, and where the last one ends.

        sums: The checksum of each block.
    """

    base: int
    chunk: bytes
    starts: Sequence[int]
    sums: Sequence[int]

    @property
    def memcpyed(self) -> bool:
        """Whether blocks are stored as they are."""
        return bool(self.chunk[2] & MEMCPYED)

    def runs(self, numbers: Sequence[int]) -> list[tuple[int, int]]:
        """Blocks, whose numbers ascend, as the first and the end of each run of neighbours."""
        runs: list[tuple[int, int]] = []
        for number in numbers:
            if runs and runs[-1][1] == number:
                runs[-1] = (runs[-1][0], number + 1)
            else:
                runs.append((number, number + 1))
        return runs

    def verify(self, data: Value, first: int, end: int) -> None:
        """
        Compare blocks with their checksums.

        Args:
            data: The bytes of the blocks from `first` to `end`.

        Raises:
            ChecksumError: If they are others than were written.
        """
        starts, sums, base = self.starts, self.sums, self.starts[first]
        view = np.frombuffer(data, np.uint8)
        for i in range(first, end):
            if google_crc32c.value(view[starts[i] - base : starts[i + 1] - base]) != sums[i]:
                raise ChecksumError(f"block {i} does not match its checksum")

    def excerpt(self, runs: Sequence[tuple[int, int]], pieces: Sequence[Value]) -> bytes:
        """
        A chunk of only some blocks; of a `memcpyed` chunk, these blocks themselves.

        Args:
            runs: The blocks.

            pieces: The bytes of each run.
        """
        if self.memcpyed:
            return b"".join(pieces)
        count = sum(end - first for first, end in runs)
        place = BLOSC2_HEADER + 4 * count
        table: list[int] = []
        for first, end in runs:
            base = place - self.starts[first]
            table += [base + start for start in self.starts[first:end]]
            place = base + self.starts[end]
        header = bytearray(self.chunk)
        blocksize = int.from_bytes(header[8:12], "little")
        struct.pack_into("<i", header, 4, count * blocksize)
        struct.pack_into("<i", header, 12, place)
        return b"".join((header, struct.pack(f"<{count}i", *table), *pieces))


def empty_seal(nblocks: int) -> bytes:
    """The content of the metalayer, before there are checksums."""
    return _MARK + bytes(4 + 4 * nblocks)


def pack_seal(prefix: bytes, chunk: bytes, nblocks: int) -> bytes:
    """
    The checksums of a frame.

    Args:
        prefix: All of the frame before them.

        chunk: Just compressed by blosc2; empty if it is not stored.

        nblocks: Of the chunk.
    """
    head_sum = google_crc32c.value(prefix)
    if not chunk:
        return struct.pack("<I", head_sum) + bytes(4 * nblocks)
    starts = _starts(chunk, 0, len(chunk), nblocks)
    head_sum = google_crc32c.extend(head_sum, chunk[: starts[0]])
    view = np.frombuffer(chunk, np.uint8)
    sums = [google_crc32c.value(view[starts[i] : starts[i + 1]]) for i in range(nblocks)]
    return struct.pack(f"<{nblocks + 1}I", head_sum, *sums)


def open_head(data: Value, sums_at: int, cbytes: int, nblocks: int) -> Head:
    """
    Read and verify the head of a sealed frame that stores a chunk.

    Args:
        data: The frame, or as much of it as the head takes.

        sums_at: Where the checksums are.

        cbytes: Bytes of the chunk.

        nblocks: Of the chunk.

    Raises:
        CorruptFrameError: If `data` is too short.

        ChecksumError: If the head is not what was written.
    """
    base = sums_at + 4 + 4 * nblocks
    if len(data) < base + BLOSC2_HEADER:
        raise CorruptFrameError(f"the frame is cut off after {len(data)} bytes")
    starts = _starts(data, base, cbytes, nblocks)
    head_sum, *sums = struct.unpack_from(f"<{nblocks + 1}I", data, sums_at)
    found = google_crc32c.value(bytes(data[:sums_at]))
    if google_crc32c.extend(found, bytes(data[base : base + starts[0]])) != head_sum:
        raise ChecksumError("the head of the frame does not match its checksum")
    return Head(base, bytes(data[base : base + BLOSC2_HEADER]), starts, sums)


def check_tail(data: Value, tail: bytes) -> None:
    """
    Compare what follows the chunk with what must follow it.

    Raises:
        ChecksumError: If it is something else.
    """
    if bytes(data[len(data) - len(tail) :]) != tail:
        raise ChecksumError("the end of the frame is damaged")


def find_seal(layers: Mapping[str, Metalayer]) -> Metalayer | None:
    """
    The metalayer of the seal, if a frame has it.

    Raises:
        CorruptFrameError: If it half looks like one, or is of a version that is not known.
    """
    for name, layer in layers.items():
        marked = layer.content.startswith(_MARK)
        if name == SEAL and layer.content[: len(_MARK) - 1] == _MARK[:-1] and not marked:
            raise CorruptFrameError(f"checksums of unknown version {layer.content[6:7]!r}")
        if marked != (name == SEAL):
            raise CorruptFrameError("the metalayer of the checksums is damaged")
    return layers.get(SEAL)


def check_seal(data: Value, header: FrameHeader, layer: Metalayer) -> None:
    """
    Compare a whole frame with the checksums in it.

    Args:
        data: The frame.

        header: Its header.

        layer: The metalayer.

    Raises:
        CorruptFrameError: If the seal cannot be the one of this frame.

        ChecksumError: If the frame is not what was written.
    """
    nblocks, rest = divmod(len(layer.content) - len(_MARK) - 4, 4)
    sums_at = layer.start + len(_MARK)
    if nblocks < 0 or rest or layer.start + len(layer.content) != header.header_len:
        raise CorruptFrameError("the metalayer of the checksums is damaged")
    if not header.cbytes:
        seal = pack_seal(bytes(data[:sums_at]), b"", nblocks)
        if bytes(data[sums_at:]) != seal + TAIL_OF_ZEROS:
            raise ChecksumError("the frame of zeros is damaged")
        return
    chunk = memoryview(data)[header.header_len : header.header_len + header.cbytes]
    if parse_chunk(chunk).nblocks != nblocks:
        raise CorruptFrameError(f"a chunk of other than {nblocks} blocks")
    head = open_head(data, sums_at, header.cbytes, nblocks)
    head.verify(chunk[head.starts[0] :], 0, nblocks)
    check_tail(data, TAIL)


def _starts(data: Value, base: int, cbytes: int, nblocks: int) -> Sequence[int]:
    """Where the blocks of a chunk begin, and where the last one ends."""
    first = BLOSC2_HEADER + 4 * nblocks
    if data[base + 2] & MEMCPYED:
        blocksize = int.from_bytes(data[base + 8 : base + 12], "little")
        return range(BLOSC2_HEADER, BLOSC2_HEADER + nblocks * blocksize + 1, max(blocksize, 1))
    if len(data) < base + first:
        raise CorruptFrameError(f"the frame is cut off after {len(data)} bytes")
    starts = (*struct.unpack_from(f"<{nblocks}i", data, base + BLOSC2_HEADER), cbytes)
    if starts[0] != first or not all(map(lt, starts, starts[1:])):
        raise CorruptFrameError("the blocks of the chunk are not in order")
    return starts
