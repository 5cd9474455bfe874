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

from collections.abc import Mapping
from math import prod
from typing import Self

import numpy as np

from storekit.codecs.base import ArrayBytesCodec, check_keys
from storekit.codecs.blocks import BlockCoder, fits
from storekit.codecs.blosc import blosc_rate
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.config import get_choice, get_int, get_shape
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError
from storekit.frames.grid import default_blocks
from storekit.frames.head import Head
from storekit.frames.read import read_frame
from storekit.frames.sealed import SealedFrames
from storekit.selection.part import Part, take
from storekit.typing import JSON, AnyArray, Shape, Value

__all__ = ["CNAMES", "SHUFFLES", "B2ndCodec", "FrameCoder"]

CNAMES = {"blosclz": 0, "lz4": 1, "lz4hc": 2, "zlib": 4, "zstd": 5}
_NAMES = {number: name for name, number in CNAMES.items()}
SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}

MAX_BLOCKS = 1 << 16


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


class FrameCoder(BlockCoder):
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

    def __init__(
        self, spec: ChunkSpec, blocks: Shape, codec: int, clevel: int, filter_id: int
    ) -> None:
        _check(spec, blocks)
        super().__init__(spec, blocks)
        self._frames = SealedFrames(self._grid, codec, clevel, filter_id)
        self._head_size = self._frames.head_size
        self.rate = blosc_rate(_NAMES[codec])
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
        return self._frames.seal(self._compress(chunk, self._settings))

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """Decode a chunk, or the blocks that a part of it needs."""
        if self._decode_part(data, out, part):
            return
        chunk = self._frames.chunk(data)
        if chunk is not None:
            self._decode_whole(chunk, out, part)
        elif data == self._frames.zeros:
            out[...] = np.zeros((), self.spec.dtype)
        else:
            array = read_frame(data, self.spec.shape, self.spec.dtype)
            out[...] = array if part is None else take(array, part)

    def _head(self, data: Value) -> Head | None:
        return self._frames.head(data)


def _check(spec: ChunkSpec, blocks: Shape) -> None:
    pairs = zip(spec.shape, blocks, strict=True)
    if not fits(spec.shape, blocks) or prod(-(-n // b) for n, b in pairs) > MAX_BLOCKS:
        raise MetadataError(
            field="configuration.blocks",
            expected=f"a shape within {spec.shape}, in at most {MAX_BLOCKS} blocks",
            found=list(blocks),
        )
