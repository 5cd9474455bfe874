"""Chunks with a seal, put together from what stands in them; see `storekit.frames.chunkseal`."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import google_crc32c

from storekit.frames.chunk import BLOSC2_HEADER
from storekit.typing import Value

__all__ = ["MARK", "head_size", "join_blocks", "seal_size"]

MARK = b"sk\x01\x9e"
"""
What a seal begins with. As the number that the first block would begin with, it is impossible.
"""


def head_size(nblocks: int) -> int:
    """How many bytes from the beginning of a chunk without a dictionary `read_head` needs."""
    return BLOSC2_HEADER + 4 * nblocks + seal_size(nblocks)


def seal_size(nblocks: int) -> int:
    """Bytes of the seal of a chunk."""
    return len(MARK) + 4 + 4 * nblocks


def join_blocks(
    header: bytes | bytearray,
    places: Sequence[int],
    dictionary: bytes,
    sums: Sequence[int],
    body: Sequence[Value],
) -> bytes:
    """
    A chunk with a seal.

    Args:
        header: Of the chunk, but for its size.

        places: Where in the body the blocks begin.

        dictionary: With its size, if there is one.

        sums: The checksums of the blocks.

        body: The pieces that the blocks are in.
    """
    count = len(places)
    first = head_size(count) + len(dictionary)
    sizes = header[4:12] + struct.pack("<i", first + sum(map(len, body)))
    table = struct.pack(f"<{count}i", *[first + place for place in places])
    head = b"".join((header[:4], sizes, header[16:], table, dictionary))
    packed = struct.pack(f"<{count}I", *sums)
    check = google_crc32c.extend(google_crc32c.value(head), packed)
    return b"".join((head, MARK, struct.pack("<I", check), packed, *body))
