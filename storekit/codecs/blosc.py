"""
``blosc``: Blosc1 buffers.

They are read by blosc2, which is always there, and written by numcodecs, which is optional: see
docs/decisions/0004-blosc1-writing.md.

Source: Zarr v3, codec ``blosc``; C-Blosc, "Blosc header format" (a header of 16 bytes which states
the size of the content, of a block, and of the buffer).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from storekit.codecs.base import BytesBytesCodec, check_keys
from storekit.codecs.config import get_choice, get_int
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError, MissingExtraError
from storekit.frames.chunk import check_chunk, decompress_into
from storekit.typing import JSON, Value

__all__ = ["BloscChunks", "BloscCodec", "blosc_rate"]

CNAMES = ("blosclz", "lz4", "lz4hc", "zlib", "zstd", "snappy")
SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
MAX_SIZE = (1 << 31) - 1


def blosc_rate(cname: str) -> int:
    """The rate at which Blosc decodes what a compressor has made."""
    return {"zlib": 500, "zstd": 2_000}.get(cname, 8_000)


class BloscChunks(BytesBytesCodec):
    """What reads Blosc chunks, of either version."""

    def decode(self, data: Value, size: int | None) -> Value:
        """The content."""
        content = np.empty(check_chunk(data, size).nbytes, np.uint8)
        self.decode_into(data, content.data)
        return content.data.toreadonly()

    def decode_into(self, data: Value, out: memoryview) -> None:
        """The content, decoded in place."""
        decompress_into(data, out)


class BloscCodec(BloscChunks):
    """
    Compress with Blosc (version 1).

    Args:
        cname: The compressor: blosclz, lz4, lz4hc, zlib, zstd or snappy.

        clevel: From 0 (store) to 9 (smallest).

        shuffle: noshuffle, shuffle or bitshuffle; None lets `evolved` choose by the data type.

        typesize: Bytes of an element, for shuffling; None lets `evolved` take it from the data
            type.

        blocksize: Bytes of a block; 0 lets Blosc choose.
    """

    name = "blosc"

    def __init__(
        self,
        cname: str = "lz4",
        clevel: int = 5,
        shuffle: str | None = None,
        typesize: int | None = None,
        blocksize: int = 0,
    ) -> None:
        self.cname, self.clevel, self.shuffle = cname, clevel, shuffle
        self.typesize, self.blocksize = typesize, blocksize
        self.rate = blosc_rate(cname)

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a metadata document."""
        check_keys(configuration, optional=("cname", "clevel", "shuffle", "typesize", "blocksize"))
        codec = cls(
            get_choice(configuration, "cname", CNAMES, "lz4"),
            get_int(configuration, "clevel", 0, 9, 5),
            get_choice(configuration, "shuffle", SHUFFLES, None),
            get_int(configuration, "typesize", 1, MAX_SIZE, None),
            get_int(configuration, "blocksize", 0, MAX_SIZE, 0),
        )
        if codec.typesize is None and codec.shuffle not in (None, "noshuffle"):
            raise MetadataError(field="typesize", expected="to be present", found="nothing")
        return codec

    def to_config(self) -> dict[str, JSON]:
        """Every setting."""
        shuffle = self.shuffle or "noshuffle"
        config: dict[str, JSON] = {
            "cname": self.cname,
            "clevel": self.clevel,
            "shuffle": shuffle,
            "blocksize": self.blocksize,
        }
        if self.typesize is not None:
            config["typesize"] = self.typesize
        return config

    def evolved(self, spec: ChunkSpec) -> Self:
        """
        With the size of an element; shuffling by bytes, or by bits where elements are single bytes.
        """
        typesize = self.typesize
        if typesize is None:
            typesize = 1 if spec.variable else spec.dtype.itemsize
        shuffle = self.shuffle
        if shuffle is None:
            shuffle = "shuffle" if typesize > 1 else "bitshuffle"
        return type(self)(self.cname, self.clevel, shuffle, typesize, self.blocksize)

    def encode(self, data: Value) -> Value:
        """One buffer."""
        shuffle = SHUFFLES.index(self.shuffle or "noshuffle")
        compressed: bytes = _numcodecs().compress(
            data, self.cname.encode(), self.clevel, shuffle, self.blocksize, self.typesize or 1
        )
        return compressed


def _numcodecs() -> Any:
    try:
        from numcodecs import blosc
    except ImportError as error:
        raise MissingExtraError(
            "writing blosc buffers needs numcodecs: pip install 'storekit[blosc]'"
        ) from error
    return blosc
