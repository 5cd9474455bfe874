"""
Coders of chunks that blosc2 has cut into blocks, of which parts are read block by block.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from storekit.codecs.coder import ChunkCoder, cells_around
from storekit.codecs.scratch import borrow, give_back
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError, MetadataError
from storekit.frames.b2nd import MAX_NDIM
from storekit.frames.chunk import MAX_CHUNK, backend, unchecked_decompress_into
from storekit.frames.grid import BlockGrid, Picked
from storekit.frames.head import Head
from storekit.selection.part import Part, take
from storekit.typing import AnyArray, Fetch, Shape, Value

__all__ = ["BlockCoder", "fits"]

FIRST_READ = 4096
"""Bytes that are read of a chunk at first, as long as they hold its head."""


class BlockCoder(ChunkCoder):
    """
    What coders have in common whose chunks are cut into blocks.

    Args:
        spec: The chunks.

        blocks: The shape of their blocks.

    Raises:
        MetadataError: If blosc2 does not take such chunks.
    """

    ranges = True

    def __init__(self, spec: ChunkSpec, blocks: Shape) -> None:
        dtype = spec.dtype
        padded = dtype.names is not None and str(dtype).startswith("{")
        if spec.variable or not dtype.itemsize or padded:
            raise MetadataError(f"cannot store elements of type {dtype}")
        if len(spec.shape) > MAX_NDIM:
            raise MetadataError(f"cannot store chunks of more than {MAX_NDIM} dimensions")
        self.spec = spec
        self._grid = BlockGrid(spec.shape, blocks, spec.dtype)
        if self._grid.nbytes > MAX_CHUNK:
            raise MetadataError(f"a chunk of {self._grid.nbytes} bytes is too large for blosc2")
        self._buffers = spec.dtype.kind in "?biufc"
        self._head_size = 0

    @abstractmethod
    def _head(self, data: Value) -> Head | None:
        """
        Where the blocks of a chunk are; None if that cannot be said without all of it.

        Args:
            data: The chunk, or at least the first `_head_size` bytes of it.
        """

    def reach(self, spans: Sequence[int]) -> int:
        """Of the blocks around."""
        grid = self._grid
        return cells_around(spans, grid.blocks, grid.counts) * grid.blocksize

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        """Read the head of a chunk, then the blocks that a part needs."""
        self.read_known(fetch, out, part)

    def read_known(
        self, fetch: Fetch, out: AnyArray, part: Part, head: Head | None = None
    ) -> Head | None:
        """
        As `read_part`, of a chunk of which the head may be known.

        Args:
            fetch: Reads byte ranges of the chunk's value.

            out: As for `decode_into`.

            part: Which part.

            head: As an earlier call has returned it. Then it is not read again.

        Returns:
            The head, if it is known now.
        """
        picked = self._grid.pick(part)
        if picked is None:
            self.decode_into(fetch([(0, None)])[0], out, part)
            return head
        if head is None:
            size = max(FIRST_READ, self._head_size)
            first = fetch([(0, size)])[0]
            if len(first) < size:  # that was all of it
                self.decode_into(first, out, part)
                return None
            head = self._head(first)
            if head is None:
                self.decode_into(fetch([(0, None)])[0], out, part)
                return None
        numbers = head.needed(picked.numbers)
        pieces = fetch([(a, b - a) for a, b in head.ranges(numbers)]) if numbers else []
        self._decode_blocks(head, numbers, pieces, out, picked)
        return head

    def _compress(self, chunk: AnyArray, settings: dict[str, Any]) -> bytes:
        """A chunk of blosc2's."""
        if chunk.shape != self.spec.shape:
            raise CodecError(f"expected a chunk of shape {self.spec.shape}, found {chunk.shape}")
        return self._compress_blocks(self._grid.pack(chunk), settings)

    def _compress_blocks(self, blocks: AnyArray, settings: dict[str, Any]) -> bytes:
        """A chunk of blosc2's, of blocks one after the other."""
        content = self._memory(blocks)
        try:
            compressed: bytes = backend().compress2(content, **settings)
        except (RuntimeError, ValueError) as error:  # settings of a frame from outside
            raise CodecError(f"blosc2 cannot encode the chunk: {error}") from error
        return compressed

    def _decode_part(self, data: Value, out: AnyArray, part: Part | None) -> bool:
        """Decode the blocks that a part needs; false if it needs all of them."""
        picked = None if part is None else self._grid.pick(part)
        head = None if picked is None else self._head(data)
        if picked is None or head is None:
            return False
        view = memoryview(data)
        numbers = head.needed(picked.numbers)
        pieces = [view[a:b] for a, b in head.ranges(numbers)]
        self._decode_blocks(head, numbers, pieces, out, picked)
        return True

    def _decode_whole(self, chunk: Value | AnyArray, out: AnyArray, part: Part | None) -> None:
        """Decode a chunk that is known to be right; all of it, or what a part of it needs."""
        grid = self._grid
        if part is None and grid.exact and out.flags.carray and out.dtype == grid.dtype:
            unchecked_decompress_into(chunk, self._memory(out))
            return
        buffer = borrow(grid.nbytes)
        unchecked_decompress_into(chunk, buffer)
        array = grid.unpack(buffer)
        out[...] = array if part is None else take(array, part)
        give_back(buffer)

    def _decode_blocks(
        self,
        head: Head,
        numbers: Sequence[int],
        pieces: Sequence[Value],
        out: AnyArray,
        picked: Picked,
    ) -> None:
        """
        Decode some blocks of a chunk.

        Args:
            head: Of the chunk.

            numbers: Those that must be decoded: the last of them are those that were picked.

            pieces: The bytes of each run of them.

            out: Where to.

            picked: What is asked for.
        """
        if not numbers:
            return
        blocksize = self._grid.blocksize
        buffer = borrow(len(numbers) * blocksize)
        self._decode_excerpt(head, numbers, pieces, buffer)
        content = buffer[(len(numbers) - len(picked.numbers)) * blocksize :]
        out[...] = take(self._grid.unpack(content, picked.counts), picked.part)
        give_back(buffer)

    def _decode_excerpt(
        self, head: Head, numbers: Sequence[int], pieces: Sequence[Value], buffer: AnyArray
    ) -> None:
        """Decode some blocks to a buffer of their size."""
        excerpt = head.excerpt(numbers, pieces)
        if head.memcpyed:
            buffer[:] = np.frombuffer(excerpt, np.uint8)
        else:
            unchecked_decompress_into(excerpt, buffer)

    def _memory(self, array: AnyArray) -> AnyArray:
        """The array, or its bytes if its type is one that has no buffers."""
        return array if self._buffers else array.reshape(-1).view(np.uint8)


def fits(shape: Shape, blocks: Shape) -> bool:
    """Whether chunks of a shape can be cut into such blocks."""
    return len(blocks) == len(shape) and all(map(int.__le__, blocks, shape))
