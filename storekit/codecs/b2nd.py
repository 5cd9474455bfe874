"""
``storekit.b2nd``: every chunk a ``.b2nd`` file.

A chunk is stored as a contiguous frame of blosc2 that holds one chunk of the same shape, cut into
blocks, and checksums of all of it (see `storekit.frames.seal`). blosc2, and whatever else reads
such files, opens it; parts of it are read block by block. Frames that others have written are read,
too; without checksums, if they have none.

Configuration, all of it optional: ``cname``, ``clevel``, ``shuffle``, ``blocks``. It says how
chunks are written; reading depends on nothing but the frame.

Source: C-Blosc2, README_B2ND_FORMAT.rst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

import numpy as np

from storekit.codecs.base import ArrayBytesCodec, check_keys
from storekit.codecs.blosc import blosc_rate
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.config import get_choice, get_int, get_shape
from storekit.codecs.scratch import borrow, give_back
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError, MetadataError
from storekit.frames.b2nd import MAX_NDIM
from storekit.frames.chunk import MAX_CHUNK, backend, unchecked_decompress_into
from storekit.frames.grid import BlockGrid, Picked, default_blocks
from storekit.frames.head import Head
from storekit.frames.read import read_frame
from storekit.frames.sealed import SealedFrames
from storekit.selection.part import Part, take
from storekit.typing import JSON, AnyArray, Fetch, Shape, Value

__all__ = ["CNAMES", "SHUFFLES", "B2ndCodec", "FrameCoder"]

CNAMES = {"blosclz": 0, "lz4": 1, "lz4hc": 2, "zlib": 4, "zstd": 5}
_NAMES = {number: name for name, number in CNAMES.items()}
SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}

MAX_BLOCKS = 1 << 16
FIRST_READ = 4096


class B2ndCodec(ArrayBytesCodec):
    """
    Store chunks as frames of blosc2.

    Args:
        cname: The compressor: blosclz, lz4, lz4hc, zlib or zstd.

        clevel: From 0 (store) to 9 (smallest).

        shuffle: noshuffle, shuffle or bitshuffle; None for what suits the data type: bitshuffle for
            single bytes, shuffle for others.

        blocks: The shape of the blocks that can be read by themselves; None for about 256 KiB each,
            in C order within the chunk.
    """

    name = "storekit.b2nd"

    def __init__(
        self,
        cname: str = "zstd",
        clevel: int = 1,
        shuffle: str | None = None,
        blocks: Shape | None = None,
    ) -> None:
        self.cname, self.clevel, self.shuffle, self.blocks = cname, clevel, shuffle, blocks

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a metadata document."""
        check_keys(configuration, optional=("cname", "clevel", "shuffle", "blocks"))
        return cls(
            get_choice(configuration, "cname", tuple(CNAMES), "zstd"),
            get_int(configuration, "clevel", 0, 9, 1),
            get_choice(configuration, "shuffle", tuple(SHUFFLES), None),
            get_shape(configuration, "blocks", None),
        )

    def to_config(self) -> dict[str, JSON]:
        """Every setting that is known."""
        config: dict[str, JSON] = {"cname": self.cname, "clevel": self.clevel}
        if self.shuffle is not None:
            config["shuffle"] = self.shuffle
        if self.blocks is not None:
            config["blocks"] = list(self.blocks)
        return config

    def evolved(self, spec: ChunkSpec) -> Self:
        """With the shuffle and the blocks that suit the chunk."""
        itemsize = spec.dtype.itemsize
        shuffle = self.shuffle or ("bitshuffle" if itemsize == 1 else "shuffle")
        blocks = self.blocks or default_blocks(spec.shape, itemsize)
        return type(self)(self.cname, self.clevel, shuffle, blocks)

    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """The coder for chunks of any type of fixed size, of less than 2 GiB."""
        codec = self.evolved(spec)
        filter_id = SHUFFLES[codec.shuffle or "noshuffle"]
        return FrameCoder(spec, codec.blocks or (), CNAMES[self.cname], self.clevel, filter_id)


class FrameCoder(ChunkCoder):
    """
    The coder of one frame a chunk.

    Args:
        spec: The chunks.

        blocks: The shape of their blocks.

        codec: The number of the compressor in blosc2.

        clevel: Its level.

        filter_id: The number of the filter in blosc2.

    Raises:
        MetadataError: If such chunks cannot be stored so.
    """

    ranges = True

    def __init__(
        self, spec: ChunkSpec, blocks: Shape, codec: int, clevel: int, filter_id: int
    ) -> None:
        self.spec = spec
        _check(spec, blocks)
        self._grid = BlockGrid(spec.shape, blocks, spec.dtype)
        if self._grid.nbytes > MAX_CHUNK:
            raise MetadataError(f"a chunk of {self._grid.nbytes} bytes is too large for blosc2")
        self._frames = SealedFrames(self._grid, codec, clevel, filter_id)
        self.rate = blosc_rate(_NAMES[codec])
        self._buffers = spec.dtype.kind in "?biufc"
        self._settings = {
            "codec": codec,
            "clevel": clevel,
            "filters": [filter_id],
            "typesize": self._frames.typesize,
            "blocksize": self._grid.blocksize,
            "nthreads": 1,
        }

    def encode(self, chunk: AnyArray) -> Value:
        """The frame of a chunk."""
        if chunk.shape != self.spec.shape:
            raise CodecError(f"expected a chunk of shape {self.spec.shape}, found {chunk.shape}")
        content = self._memory(self._grid.pack(chunk))
        return self._frames.seal(backend().compress2(content, **self._settings))

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """Decode a chunk, or the blocks that a part of it needs."""
        picked = None if part is None else self._grid.pick(part)
        if picked is not None:
            head = self._frames.head(data)
            if head is not None:
                view = memoryview(data)
                pieces = [view[a:b] for a, b in head.ranges(picked.numbers)]
                self._decode_blocks(head, pieces, out, picked)
                return
        chunk = self._frames.chunk(data)
        if chunk is not None:
            self._decode_whole(chunk, out, part)
        elif data == self._frames.zeros:
            out[...] = np.zeros((), self.spec.dtype)
        else:
            array = read_frame(data, self.spec.shape, self.spec.dtype)
            out[...] = array if part is None else take(array, part)

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        """Read the head of a frame, then the blocks that a part needs."""
        picked = self._grid.pick(part)
        if picked is None:
            self.decode_into(fetch([(0, None)])[0], out, part)
            return
        size = max(FIRST_READ, self._frames.head_size)
        first = fetch([(0, size)])[0]
        if len(first) < size:  # that was all of it
            self.decode_into(first, out, part)
            return
        head = self._frames.head(first)
        if head is None:
            self.decode_into(fetch([(0, None)])[0], out, part)
        else:
            ranges = [(a, b - a) for a, b in head.ranges(picked.numbers)]
            self._decode_blocks(head, fetch(ranges), out, picked)

    def _memory(self, array: AnyArray) -> AnyArray:
        """The array, or its bytes if its type is one that has no buffers."""
        return array if self._buffers else array.reshape(-1).view(np.uint8)

    def _decode_whole(self, chunk: AnyArray, out: AnyArray, part: Part | None) -> None:
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
        self, head: Head, pieces: Sequence[Value], out: AnyArray, picked: Picked
    ) -> None:
        """Decode some blocks of a chunk, given the bytes of each run of them."""
        if not picked.numbers:
            return
        excerpt = head.excerpt(picked.numbers, pieces)
        buffer = borrow(len(picked.numbers) * self._grid.blocksize)
        if head.memcpyed:
            buffer[:] = np.frombuffer(excerpt, np.uint8)
        else:
            unchecked_decompress_into(excerpt, buffer)
        out[...] = take(self._grid.unpack(buffer, picked.counts), picked.part)
        give_back(buffer)


def _check(spec: ChunkSpec, blocks: Shape) -> None:
    if spec.variable or not spec.dtype.itemsize or str(spec.dtype).startswith("{"):
        raise MetadataError(f"cannot store elements of type {spec.dtype}")
    if len(spec.shape) > MAX_NDIM:
        raise MetadataError(f"cannot store chunks of more than {MAX_NDIM} dimensions")
    fits = len(blocks) == len(spec.shape) and all(map(int.__le__, blocks, spec.shape))
    if not fits or prod(-(-n // b) for n, b in zip(spec.shape, blocks, strict=True)) > MAX_BLOCKS:
        raise MetadataError(
            field="configuration.blocks",
            expected=f"a shape within {spec.shape}, in at most {MAX_BLOCKS} blocks",
            found=list(blocks),
        )
