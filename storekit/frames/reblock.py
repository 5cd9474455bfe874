"""
Sealed chunks of which some blocks are written anew.

To change one element of a chunk of 1 MiB in four blocks, one block is decoded and encoded, which
takes 90 us with lz4; of the whole chunk it would be 350.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate

import google_crc32c
import numpy as np

from storekit.frames.chunk import BLOSC2_HEADER
from storekit.frames.head import DELTA, Head, ends_of
from storekit.frames.join import head_size, join_blocks
from storekit.typing import Value

__all__ = ["can_replace", "replace_blocks"]

_SIZES = struct.Struct("<2i")


def can_replace(head: Head) -> bool:
    """
    Whether the blocks of a chunk do not depend on each other, and those that stay will be found out
    if they are damaged.
    """
    return head.sums is not None and not head.dictionary and DELTA not in head.chunk[16:22]


def replace_blocks(data: Value, head: Head, numbers: Sequence[int], fresh: bytes) -> bytes | None:
    """
    Put other blocks into a chunk.

    Args:
        data: The chunk.

        head: Its head, as `can_replace` takes it.

        numbers: Of the blocks, ascending.

        fresh: A chunk of just these blocks, that blosc2 has just compressed.

    Returns:
        The chunk. The checksums of blocks that stay are those that it had. None if the new blocks
        cannot stand beside them: if they are of another codec or other filters, all elements of
        theirs are the same, or they are so long that blosc2 would store the chunk as it is.
    """
    nbytes, blocksize = _SIZES.unpack_from(head.chunk, 4)
    sizes = len(numbers) * blocksize, blocksize
    alike = fresh[:4] == head.chunk[:4] and fresh[16:BLOSC2_HEADER] == head.chunk[16:]
    if not alike or _SIZES.unpack_from(fresh, 4) != sizes:
        return None
    old, new = memoryview(data), np.frombuffer(fresh, np.uint8)
    blocks: list[Value] = [old[a:b] for a, b in zip(head.starts, head.ends, strict=True)]
    sums = list(head.sums or ())
    starts = struct.unpack_from(f"<{len(numbers)}i", fresh, BLOSC2_HEADER)
    for number, a, b in zip(numbers, starts, ends_of(starts, len(fresh)), strict=True):
        blocks[number], sums[number] = new[a:b].data, google_crc32c.value(new[a:b])
    places = list(accumulate(map(len, blocks), initial=0))
    if head_size(len(sums)) + places[-1] >= BLOSC2_HEADER + nbytes:
        return None
    return join_blocks(head.chunk, places[:-1], b"", sums, blocks)
