"""
The chunks of a `storekit.frames` array: blosc2 chunks as they are in its frame.

storekit writes them with checksums (see `storekit.frames.chunkseal`); those of others are read as
well, by blocks or as a whole.

Source: C-Blosc2, README_CHUNK_FORMAT.rst.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from storekit.codecs.blocks import BlockCoder, fits
from storekit.codecs.blosc import blosc_rate
from storekit.codecs.scratch import borrow, give_back
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CorruptFrameError, MetadataError
from storekit.frames.chunk import parse_chunk, unchecked_decompress_into
from storekit.frames.chunkseal import read_head, repeated, seal_chunk, verify_chunk
from storekit.frames.head import Head
from storekit.frames.join import head_size
from storekit.frames.layout import FrameHeader, chunk_typesize
from storekit.frames.params import Codec, CParams
from storekit.frames.reblock import can_replace, replace_blocks
from storekit.selection.part import Part, put, take
from storekit.typing import AnyArray, Shape, Value

__all__ = ["FrameChunkCoder", "PlainChunkCoder"]

_RATES: dict[int, str] = {Codec.ZLIB: "zlib", Codec.ZSTD: "zstd"}


class FrameChunkCoder(BlockCoder):
    """
    The coder of the chunks of a frame.

    Args:
        spec: The chunks.

        blocks: The shape of their blocks, as long in each axis as the chunks at most.

        cparams: How they are compressed. Reading does not depend on it.

    Raises:
        MetadataError: If blosc2 does not take such chunks.
    """

    def __init__(self, spec: ChunkSpec, blocks: Shape, cparams: CParams) -> None:
        if not fits(spec.shape, blocks):
            raise MetadataError(
                field="blocks", expected=f"a shape within {spec.shape}", found=list(blocks)
            )
        super().__init__(spec, blocks)
        self.blocks, self.cparams = blocks, cparams
        self._head_size = head_size(self._grid.nblocks)
        self.rate = blosc_rate(_RATES.get(cparams.codec, ""))

    @cached_property
    def _settings(self) -> dict[str, Any]:
        # Not before something is written: what cannot be written may well be read.
        typesize = chunk_typesize(self.spec.dtype.itemsize)
        return self.cparams.compress_args(typesize, self._grid.blocksize)

    def encode(self, chunk: AnyArray) -> Value:
        """
        The chunk with checksums; 32 bytes that say so if all of it is zero.

        Raises:
            MetadataError: If the compressor or a filter is a plugin, or they do not fit the
                elements.
        """
        return seal_chunk(self._compress(chunk, self._settings))

    def update(self, data: Value | None, part: Part, values: AnyArray) -> Value | None:
        """Only blocks that the part touches are decoded and encoded, where the others can stay."""
        changed = None if data is None else self._update_blocks(data, part, values)
        return super().update(data, part, values) if changed is None else changed

    def _update_blocks(self, data: Value, part: Part, values: AnyArray) -> Value | None:
        grid, picked = self._grid, self._grid.pick(part)
        if picked is None or not picked.numbers:
            return None
        head = read_head(data, grid.nbytes, grid.blocksize, len(data))
        if head is None or not can_replace(head):
            return None
        view = memoryview(data)
        pieces = [view[a:b] for a, b in head.ranges(picked.numbers)]
        buffer = borrow(len(picked.numbers) * grid.blocksize)
        self._decode_excerpt(head, picked.numbers, pieces, buffer)
        blocks = grid.unpack(buffer, picked.counts)
        put(blocks, picked.part, values)
        fresh = self._compress_blocks(grid.pack(blocks, picked.counts), self._settings)
        give_back(buffer)
        return replace_blocks(data, head, picked.numbers, fresh)

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """Decode a chunk, or the blocks that a part of it needs."""
        if self._decode_part(data, out, part):
            return
        grid = self._grid
        element = repeated(data, grid.nbytes, grid.dtype)
        if element is not None:
            out[...] = element
            return
        verify_chunk(data, grid.nbytes, grid.blocksize)
        self._decode_whole(data, out, part)

    def _head(self, data: Value) -> Head | None:
        return read_head(data, self._grid.nbytes, self._grid.blocksize)


class PlainChunkCoder(FrameChunkCoder):
    """
    The coder of the chunks of a super-chunk: of one dimension, in blocks of any size. The last of
    them may be shorter than the others.

    Args:
        spec: The chunks.

        header: Of the frame.
    """

    ranges = False

    def __init__(self, spec: ChunkSpec, header: FrameHeader) -> None:
        super().__init__(spec, spec.shape, CParams.from_header(header))
        self._header = header

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return self.cparams.compress_args(self._header.typesize, self._header.blocksize)

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """Decode all of a chunk; behind a short one there are zeros."""
        grid = self._grid
        chunk = np.zeros(grid.nbytes, np.uint8)
        nbytes, blocksize = self._sizes(data)
        content = chunk[:nbytes]
        element = repeated(data, nbytes, grid.dtype)
        if element is not None:
            content.view(grid.dtype)[...] = element
        else:
            verify_chunk(data, nbytes, blocksize)
            unchecked_decompress_into(data, content)
        array = chunk.view(grid.dtype)
        out[...] = array if part is None else take(array, part)

    def _sizes(self, data: Value) -> tuple[int, int]:
        """Bytes of the content of a chunk, and of its blocks."""
        header = parse_chunk(data)
        if not 0 < header.nbytes <= self._grid.nbytes or header.nbytes % self.spec.dtype.itemsize:
            raise CorruptFrameError(
                f"expected {self._grid.nbytes} bytes at most, the chunk states {header.nbytes}"
            )
        return header.nbytes, header.blocksize
