"""
The `sharding_indexed` codec: many inner chunks in one stored value, and an index of where they lie.

How shards are read and written is in `storekit.codecs.shards`.

Source: Zarr v3, sharding codec, version 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from storekit.codecs.base import ArrayBytesCodec, Codec, check_keys
from storekit.codecs.bytes import BytesCodec
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.crc32c import Crc32cCodec
from storekit.codecs.growing import EMPTY
from storekit.codecs.pipeline import Pipeline
from storekit.codecs.shards import ShardCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError
from storekit.typing import JSON, Shape

__all__ = ["ShardingCodec"]


class ShardingCodec(ArrayBytesCodec):
    """
    Split a chunk (the shard) into inner chunks that are encoded, stored and read one by one.

    Args:
        chunk_shape: Of the inner chunks; divides the shape of the shard.

        codecs: What encodes an inner chunk.

        index_codecs: What encodes the index, into a size that is always the same. Defaults to
            little-endian bytes with a CRC32C.

        index_location: ``"end"`` or ``"start"``.
    """

    name = "sharding_indexed"

    def __init__(
        self,
        chunk_shape: Shape,
        codecs: Sequence[Codec],
        index_codecs: Sequence[Codec] | None = None,
        index_location: str = "end",
    ) -> None:
        if index_codecs is None:
            index_codecs = BytesCodec("little"), Crc32cCodec()
        self.chunk_shape, self.index_location = tuple(chunk_shape), index_location
        self._inner = Pipeline(codecs)
        self._index = Pipeline(index_codecs, field="index_codecs")

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """What encodes an inner chunk."""
        return self._inner.codecs

    @property
    def index_codecs(self) -> tuple[Codec, ...]:
        """What encodes the index."""
        return self._index.codecs

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a configuration; `index_location` may be absent."""
        check_keys(
            configuration,
            required=("chunk_shape", "codecs", "index_codecs"),
            optional=("index_location",),
        )
        shape = configuration["chunk_shape"]
        if not isinstance(shape, list) or not all(type(n) is int and 0 < n < 2**63 for n in shape):
            raise MetadataError(
                field="chunk_shape", expected="a list of positive ints", found=shape
            )
        location = configuration.get("index_location", "end")
        if location not in ("start", "end"):
            raise MetadataError(field="index_location", expected="'start' or 'end'", found=location)
        return cls(
            tuple(shape),
            Pipeline.from_json(configuration["codecs"]).codecs,
            Pipeline.from_json(configuration["index_codecs"], field="index_codecs").codecs,
            location,
        )

    def to_config(self) -> dict[str, JSON]:
        """All four keys, as the strictest reader wants them."""
        return {
            "chunk_shape": list(self.chunk_shape),
            "codecs": self._inner.to_json(),
            "index_codecs": self._index.to_json(),
            "index_location": self.index_location,
        }

    def evolved(self, spec: ChunkSpec) -> Self:
        """The codec with its inner codecs evolved for the inner chunk."""
        inner = ChunkSpec(self.chunk_shape, spec.dtype, spec.fill_value)
        index = ChunkSpec((2,), np.dtype("u8"), np.uint64(EMPTY))
        return type(self)(
            self.chunk_shape,
            self._inner.evolved(inner).codecs,
            self._index.evolved(index).codecs,
            self.index_location,
        )

    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """The coder for shards of this shape."""
        divides = len(self.chunk_shape) == len(spec.shape) and not any(
            size % chunk for size, chunk in zip(spec.shape, self.chunk_shape, strict=True)
        )
        if not divides:
            raise MetadataError(
                field="chunk_shape",
                expected=f"a shape that divides the shard's, {list(spec.shape)}",
                found=list(self.chunk_shape),
            )
        inner = ChunkSpec(self.chunk_shape, spec.dtype, spec.fill_value)
        grid = tuple(n // c for n, c in zip(spec.shape, self.chunk_shape, strict=True))
        index = ChunkSpec((*grid, 2), np.dtype("u8"), np.uint64(EMPTY))
        return ShardCoder(
            spec, self._inner.bind(inner), self._index.bind(index), self.index_location == "start"
        )
