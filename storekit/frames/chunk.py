"""
Blosc chunks: what their header says, whether it can be true, and their content.

blosc2 trusts what it decodes in places where it must not: `decompress2` fills as many bytes as the
chunk states, whatever the size of the output. So nothing in storekit calls it but
`decompress_into`, which first compares all that the header states with what there is.

Source: C-Blosc2, README_CHUNK_FORMAT.rst; C-Blosc, README_CHUNK_FORMAT.rst (the shorter header of
Blosc1).
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from storekit.errors import CodecError
from storekit.typing import AnyArray, Value

__all__ = [
    "BLOSC1_HEADER",
    "BLOSC2_HEADER",
    "ChunkHeader",
    "backend",
    "check_chunk",
    "decompress_into",
    "special_chunk",
]

BLOSC1_HEADER = 16
BLOSC2_HEADER = 32
MAX_CHUNK = (1 << 31) - 1 - BLOSC2_HEADER
"""The most bytes that blosc2 makes one chunk of."""

SHUFFLED, MEMCPYED, BITSHUFFLED = 0x1, 0x2, 0x4
EXTENDED = SHUFFLED | BITSHUFFLED  # no Blosc1 buffer is shuffled both ways
DICT, LAZY = 0x1, 0x8
ZEROS, NANS = 1, 2

LAST_VERSION = 5
CODECS = {0: "blosclz", 1: "lz4", 3: "zlib", 4: "zstd"}
FILTERS = frozenset((0, 1, 2, 3, 4, 35))
"""
none, shuffle, bitshuffle, delta, truncated precision, bytedelta; others are plugins, which blosc2
loads.
"""

FEW_BLOCKS = 256

_BLOSC1 = struct.Struct("<4B3i")
_EXTENSION = struct.Struct("<6B2B6B2B")


class ChunkHeader(NamedTuple):
    """
    The header of a chunk.

    Args:
        typesize: Bytes of an element; 1 for elements too large to say.

        nbytes: Bytes of the content.

        blocksize: Bytes of every block but the last.

        cbytes: Bytes of the chunk.

        flags: The flags that Blosc1 has, too; bits 5 to 7 are the codec.

        filters: The filters of the pipeline; empty for Blosc1.

        special: The value that all elements have: 1 zero, 2 NaN, 3 one stored after the header, 4
            any; else 0.

        use_dict: Whether blocks share a dictionary.

        size: Bytes of the header.
    """

    typesize: int
    nbytes: int
    blocksize: int
    cbytes: int
    flags: int
    filters: tuple[int, ...]
    special: int
    use_dict: bool
    size: int

    @property
    def nblocks(self) -> int:
        """The number of blocks."""
        return -(-self.nbytes // self.blocksize) if self.nbytes else 0

    @property
    def memcpyed(self) -> bool:
        """Whether the content is stored as it is."""
        return bool(self.flags & MEMCPYED)


@cache
def backend() -> Any:
    """
    The module blosc2, which takes long to import, set up to let other threads run while it works.
    """
    import blosc2

    blosc2.set_releasegil(True)
    return blosc2


def parse_chunk(data: Value) -> ChunkHeader:
    """
    Read the header of a chunk, of which no more than the header need be there.

    Raises:
        CodecError: If there is no header that storekit can trust blosc2 with.
    """
    if len(data) < BLOSC1_HEADER:
        raise CodecError(f"{len(data)} bytes are no blosc chunk")
    version, _, flags, typesize, nbytes, blocksize, cbytes = _BLOSC1.unpack_from(data)
    filters: tuple[int, ...] = ()
    special, use_dict, size = 0, False, BLOSC1_HEADER
    if flags & EXTENDED == EXTENDED:
        if len(data) < BLOSC2_HEADER:
            raise CodecError(f"{len(data)} bytes are no blosc2 chunk")
        extension = _EXTENSION.unpack_from(data, BLOSC1_HEADER)
        filters, blosc2_flags = extension[:6], extension[15]
        special, use_dict, size = blosc2_flags >> 4 & 7, bool(blosc2_flags & DICT), BLOSC2_HEADER
        if blosc2_flags & LAZY or extension[14]:
            raise CodecError("a lazy chunk, or one with blocks of variable size")
        if not FILTERS.issuperset(filters):
            raise CodecError(f"unknown filters {filters}")
    header = ChunkHeader(
        typesize, nbytes, blocksize, cbytes, flags, filters, special, use_dict, size
    )
    if not 1 <= version <= LAST_VERSION or not typesize:
        raise CodecError("not a blosc chunk")
    if nbytes < 0 or blocksize <= 0 or blocksize > max(nbytes, 1) or cbytes < size:
        raise CodecError(f"impossible sizes: {header}")
    if flags >> 5 not in CODECS and not special and not flags & MEMCPYED:
        raise CodecError(f"unknown compressor {flags >> 5}")
    return header


def special_chunk(typesize: int, nbytes: int, blocksize: int) -> bytes:
    """The chunk of nothing but NaN, of which a frame stores no more than that it is one."""
    head = _BLOSC1.pack(LAST_VERSION, 1, EXTENDED, typesize, nbytes, blocksize, BLOSC2_HEADER)
    return head + _EXTENSION.pack(*(0,) * 15, NANS << 4)


def check_chunk(data: Value, size: int | None) -> ChunkHeader:
    """
    Read the header of a whole chunk, and compare it with what is there.

    Args:
        data: The chunk.

        size: Bytes that its content must have; None if any number is right.

    Raises:
        CodecError: If the header cannot be true.
    """
    header = parse_chunk(data)
    _, nbytes, blocksize, cbytes, flags, _, special, _, place = header
    if size is not None and nbytes != size:
        raise CodecError(f"expected {size} bytes, the chunk states {nbytes}")
    if cbytes != len(data):
        raise CodecError(f"{len(data)} bytes, the chunk states {cbytes}")
    if flags & MEMCPYED:
        if cbytes != place + nbytes:
            raise CodecError(f"impossible sizes: {header}")
    elif nbytes and not special:
        count = -(-nbytes // blocksize)
        first = place + 4 * count
        if first > cbytes:
            raise CodecError("too small for its blocks")
        if not _within(data, place, count, first, cbytes):
            raise CodecError("blocks begin outside of the chunk")
    return header


def _within(data: Value, place: int, count: int, first: int, end: int) -> bool:
    """Whether all of the numbers in the table at `place` are at least `first`, and below `end`."""
    if count <= FEW_BLOCKS:  # 0.3 us, of which numpy needs 1.6; but 40 bytes a number
        table: tuple[int, ...] = struct.unpack_from(f"<{count}i", data, place)
        return first <= min(table) and max(table) < end
    starts = np.frombuffer(data, "<i4", count, place)
    return first <= int(starts.min()) and int(starts.max()) < end


def decompress_into(data: Value, out: memoryview) -> None:
    """
    Decode a chunk.

    Args:
        data: Not to be trusted.

        out: Writable bytes, as many as the content has.

    Raises:
        CodecError: If the chunk is damaged. `out` may then hold anything.
    """
    header = check_chunk(data, len(out))
    if not header.nbytes:
        return
    unchecked_decompress_into(data, out)
    if header.size == BLOSC1_HEADER and header.flags & BITSHUFFLED and not header.memcpyed:
        _mend(data, header, out)


def unchecked_decompress_into(
    data: Value | bytearray | AnyArray, out: memoryview | AnyArray
) -> None:
    """`decompress_into` for a chunk whose header is known to be right, and which is not empty."""
    if data[2] & MEMCPYED:
        _copy_into(data, out)
        return
    try:
        backend().decompress2(data, out, nthreads=1)
    except (RuntimeError, ValueError) as error:
        raise CodecError(f"blosc2 cannot decode the chunk: {error}") from error


def _copy_into(data: Value | bytearray | AnyArray, out: memoryview | AnyArray) -> None:
    """
    Copy what is stored as it is. blosc2 (4.14.1) refuses to, if it should have had a dictionary.
    """
    first = BLOSC2_HEADER if data[2] & EXTENDED == EXTENDED else BLOSC1_HEADER
    np.asarray(out).reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8, offset=first)


def _mend(data: Value, header: ChunkHeader, out: memoryview) -> None:
    """
    Put in the bytes that blosc2 forgets when it decodes bitshuffled Blosc1 buffers.

    A block may end with less than an element. Blosc1 does not shuffle these bytes; blosc2 leaves
    the output as it was where they belong, if the number of elements before them is a multiple of
    eight.
    """
    nbytes, blocksize, typesize = header.nbytes, header.blocksize, header.typesize
    if nbytes % typesize == 0 and blocksize % typesize == 0:
        return
    forgotten = []
    for start in range(0, nbytes, blocksize):
        end = min(start + blocksize, nbytes)
        elements, rest = divmod(end - start, typesize)
        if rest and elements % 8 == 0:
            forgotten.append(slice(end - rest, end))
    if forgotten:
        unshuffled = bytearray(data)
        unshuffled[2] &= ~BITSHUFFLED
        content = np.empty(nbytes, np.uint8)
        unchecked_decompress_into(unshuffled, content)
        for place in forgotten:
            out[place] = content[place].data
