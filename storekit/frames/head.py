"""
What must be known of a chunk to read some of its blocks, and what is made of them.

Blocks need not lie in the order of their numbers: threads store theirs as they come.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import lt
from typing import NamedTuple

import google_crc32c
import numpy as np

from storekit.errors import ChecksumError, CorruptFrameError
from storekit.frames.chunk import BLOSC2_HEADER, MEMCPYED
from storekit.typing import AnyArray, Value

__all__ = ["Head", "check_blocks", "ends_of"]

DELTA = 3


class Head(NamedTuple):
    """
    Where the blocks of a chunk are.

    Args:
        base: Where in the value the chunk begins.

        chunk: The header of the chunk.

        starts: Where in the chunk each block begins.

        ends: Where each block ends.

        sums: The checksum of each block; None if there are none.

        dictionary: What stands between the table of the blocks and the first of them for all of
            them to use.
    """

    base: int
    chunk: bytes
    starts: Sequence[int]
    ends: Sequence[int]
    sums: Sequence[int] | None
    dictionary: bytes = b""

    @property
    def memcpyed(self) -> bool:
        """Whether blocks are stored as they are."""
        return bool(self.chunk[2] & MEMCPYED)

    def needed(self, numbers: list[int]) -> list[int]:
        """
        The blocks that must be decoded for those with ascending `numbers`, which are the last of
        them: of a chunk with the filter delta, block 0 is what the others are differences to.
        """
        delta = DELTA in self.chunk[16:22] and not self.memcpyed
        return [0, *numbers] if delta and numbers and numbers[0] else numbers

    def ranges(self, numbers: Sequence[int]) -> list[tuple[int, int]]:
        """Where in the value blocks begin and end, neighbours together."""
        ranges: list[tuple[int, int]] = []
        base, last = self.base, -1
        for number in numbers:
            start, end = base + self.starts[number], base + self.ends[number]
            if start == last:
                ranges[-1] = (ranges[-1][0], end)
            else:
                ranges.append((start, end))
            last = end
        return ranges

    def excerpt(self, numbers: Sequence[int], pieces: Sequence[Value]) -> bytes:
        """
        A chunk of only some blocks; of a `memcpyed` chunk, these blocks themselves.

        Args:
            numbers: Of the blocks, as `needed` says.

            pieces: The bytes of each of their `ranges`, not to be trusted.

        Raises:
            ChecksumError: If a block does not match its checksum.

            CorruptFrameError: If bytes are missing.
        """
        sizes = [self.ends[number] - self.starts[number] for number in numbers]
        first = 0
        if not self.memcpyed:
            first = BLOSC2_HEADER + 4 * len(numbers) + len(self.dictionary)
        places = list(accumulate(sizes, initial=first))
        found, expected = sum(map(len, pieces)), places[-1] - first
        if found != expected:
            raise CorruptFrameError(f"expected {expected} bytes, found {found}")
        head = self._head_of(places) if first else ()
        data = b"".join((*head, *pieces))
        if self.sums is not None:
            view = np.frombuffer(data, np.uint8)
            sums = [self.sums[number] for number in numbers]
            check_blocks(view, numbers, places, places[1:], sums)
        return data

    def _head_of(self, places: Sequence[int]) -> tuple[bytes | bytearray, ...]:
        """What stands before the blocks of a chunk in which they begin, and end, at `places`."""
        count = len(places) - 1
        header = bytearray(self.chunk)
        blocksize = int.from_bytes(header[8:12], "little")
        struct.pack_into("<i", header, 4, count * blocksize)
        struct.pack_into("<i", header, 12, places[-1])
        return header, struct.pack(f"<{count}i", *places[:-1]), self.dictionary


def check_blocks(
    view: AnyArray,
    numbers: Iterable[int],
    starts: Iterable[int],
    ends: Iterable[int],
    sums: Iterable[int],
) -> None:
    """
    Compare blocks with their checksums.

    Args:
        view: The bytes that they are in.

        numbers: What errors call them.

        starts: Where each begins.

        ends: Where each ends.

        sums: Their checksums.

    Raises:
        ChecksumError: If one does not match.
    """
    for number, start, end, expected in zip(numbers, starts, ends, sums, strict=False):
        if google_crc32c.value(view[start:end]) != expected:
            raise ChecksumError(f"block {number} does not match its checksum")


def ends_of(starts: Sequence[int], end: int) -> tuple[int, ...]:
    """Where blocks end: each where the next one begins, the last one at `end`."""
    if all(map(lt, starts, starts[1:])):
        return (*starts[1:], end)
    places = np.array(starts)
    borders = np.append(np.unique(places), end)
    return tuple(borders[np.searchsorted(borders, places, "right")].tolist())
