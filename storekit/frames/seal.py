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
from itertools import pairwise
from operator import lt
from typing import NamedTuple

import google_crc32c
import numpy as np

from storekit.errors import ChecksumError, CorruptFrameError
from storekit.frames.chunk import BLOSC2_HEADER, parse_chunk
from storekit.frames.layout import TRAILER, ZEROS, FrameHeader, Metalayer, pack_index
from storekit.typing import AnyArray, Value

__all__ = [
    "SEAL",
    "TAIL",
    "TAIL_OF_ZEROS",
    "SealedEnds",
    "check_seal",
    "check_starts",
    "empty_seal",
    "find_seal",
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


class SealedEnds(NamedTuple):
    """
    What stands around the chunk of a sealed frame.

    Args:
        head: The header.

        tail: Index and trailer.

        header: The fixed part of the header.

        layer: The metalayer of the seal.
    """

    head: bytes
    tail: bytes
    header: FrameHeader
    layer: Metalayer

    def check_tail(self) -> None:
        """
        See that the frame says of its chunk what it said when it was written.

        Raises:
            ChecksumError: If it does not.
        """
        if not self.header.cbytes:
            self.check(b"")
        elif self.tail != TAIL:
            raise ChecksumError("the end of the frame is damaged")

    def check(self, chunk: Value) -> None:
        """As `check_seal`, of the frame with this chunk."""
        check_seal(b"".join((self.head, chunk, self.tail)), self.header, self.layer)


def empty_seal(nblocks: int) -> bytes:
    """The content of the metalayer, before there are checksums."""
    return _MARK + bytes(4 + 4 * nblocks)


def pack_seal(prefix: bytes, chunk: AnyArray, starts: Sequence[int]) -> bytes:
    """
    The checksums of a frame.

    Args:
        prefix: All of the frame before them.

        chunk: Its bytes; none if it is not stored, in which case its blocks have the checksum 0.

        starts: Where in the chunk its blocks begin, and where the last one ends.
    """
    head_sum = google_crc32c.extend(google_crc32c.value(prefix), chunk[: starts[0]])
    sums = [google_crc32c.value(chunk[a:b]) for a, b in pairwise(starts)]
    return struct.pack(f">{len(starts)}I", head_sum, *sums)


def check_starts(starts: Sequence[int], first: int) -> None:
    """
    Check that blocks follow each other without gaps from `first` on.

    Raises:
        CorruptFrameError: If they do not.
    """
    if starts[0] != first or not (
        starts[1] > first if len(starts) == 2 else all(map(lt, starts, starts[1:]))
    ):
        raise CorruptFrameError("the blocks of the chunk are not in order")


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
    sums_at, base = layer.start + len(_MARK), header.header_len
    count, rest = divmod(len(layer.content) - len(_MARK), 4)
    if count < 1 or rest or layer.start + len(layer.content) != base:
        raise CorruptFrameError("the metalayer of the checksums is damaged")
    view = np.frombuffer(data, np.uint8)
    chunk = view[base : base + header.cbytes]
    starts: Sequence[int] = (0,) * count
    tail = TAIL_OF_ZEROS
    if header.cbytes:
        starts, tail = _starts(chunk), TAIL
    if len(starts) != count:
        raise CorruptFrameError(f"{count - 1} checksums of {len(starts) - 1} blocks")
    if pack_seal(bytes(data[:sums_at]), chunk, starts) != layer.content[len(_MARK) :]:
        raise ChecksumError("the chunk or its head does not match the checksums")
    if bytes(data[base + header.cbytes :]) != tail:
        raise ChecksumError("the end of the frame is damaged")


def _starts(chunk: AnyArray) -> Sequence[int]:
    """Where the blocks of a chunk begin, and where the last one ends."""
    header = parse_chunk(chunk.data)
    first = BLOSC2_HEADER + 4 * header.nblocks
    if header.memcpyed:
        return range(BLOSC2_HEADER, BLOSC2_HEADER + header.nbytes + 1, header.blocksize)
    if header.special or len(chunk) < first:
        raise CorruptFrameError("a chunk without blocks")
    table = struct.unpack_from(f"<{header.nblocks}i", chunk.data, BLOSC2_HEADER)
    starts = (*table, len(chunk))
    check_starts(starts, first)
    return starts
