"""What cases are built of: codecs and chains of them, ways of sharding, shapes, chunk keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from interop_case import Case, keys
from interop_kinds import KINDS, Kind

from storekit.typing import JSON, Shape

Chain = list[Any]


def codec(name: str, **configuration: JSON) -> dict[str, Any]:
    """A codec as metadata spells it."""
    return {"name": name, "configuration": configuration} if configuration else {"name": name}


def serial(kind: Kind, endian: str = "little") -> dict[str, Any]:
    """The array->bytes codec of a data type."""
    if kind.variable:
        return codec("vlen-utf8" if kind.dtype.kind == "T" else "vlen-bytes")
    return codec("bytes", endian=endian) if kind.ordered else codec("bytes")


def gzip(level: int = 5) -> dict[str, Any]:
    """The codec ``gzip``."""
    return codec("gzip", level=level)


def zstd(level: int = 3, checksum: bool = False) -> dict[str, Any]:
    """The codec ``zstd``."""
    return codec("zstd", level=level, checksum=checksum)


def blosc(kind: Kind, cname: str = "lz4", shuffle: str = "shuffle", clevel: int = 5) -> Any:
    """The codec ``blosc``."""
    typesize = 1 if kind.variable else kind.dtype.itemsize
    return codec(
        "blosc", cname=cname, clevel=clevel, shuffle=shuffle, typesize=typesize, blocksize=0
    )


def order(ndim: int) -> list[int]:
    """A permutation that is not its own inverse, from three axes on."""
    return [*range(1, ndim), 0] if ndim else []


def transpose(ndim: int) -> Chain:
    """The codec ``transpose``."""
    return [codec("transpose", order=order(ndim))]


CHAINS: dict[str, Callable[[Kind, int], Chain]] = {
    "little": lambda k, n: [serial(k)],
    "big": lambda k, n: [serial(k, "big")],
    "gzip": lambda k, n: [serial(k), gzip()],
    "zstd": lambda k, n: [serial(k), zstd()],
    "zstd-checksum": lambda k, n: [serial(k), zstd(checksum=True)],
    "blosc": lambda k, n: [serial(k), blosc(k)],
    "blosc-bits": lambda k, n: [serial(k), blosc(k, "zstd", "bitshuffle")],
    "crc32c": lambda k, n: [serial(k), codec("crc32c")],
    "transpose": lambda k, n: [*transpose(n), serial(k)],
    "transpose-big-zstd-crc32c": lambda k, n: [
        *transpose(n),
        serial(k, "big"),
        zstd(),
        codec("crc32c"),
    ],
    "crc32c-gzip-crc32c": lambda k, n: [serial(k), codec("crc32c"), gzip(1), codec("crc32c")],
    "transpose-transpose-blosc": lambda k, n: [*transpose(n), *transpose(n), serial(k), blosc(k)],
}
"""Chains of codecs by name, for a data type and a number of dimensions."""

INDEX = (codec("bytes", endian="little"), codec("crc32c"))


def shard(
    cell: Shape, inner: Chain, location: str | None = "end", index: tuple[Any, ...] = INDEX
) -> Chain:
    """The codec ``sharding_indexed``."""
    config: dict[str, Any] = {
        "chunk_shape": list(cell),
        "codecs": inner,
        "index_codecs": list(index),
    }
    return [
        codec("sharding_indexed", **config, **({"index_location": location} if location else {}))
    ]


def times(shape: Shape, factor: int) -> Shape:
    """A shape that many times as long in every dimension."""
    return tuple(factor * n for n in shape)


def _nested(cell: Shape, inner: Chain) -> tuple[Shape, Chain]:
    return times(cell, 4), shard(times(cell, 2), shard(cell, inner, "start"), "end")


SHARDINGS: dict[str, Callable[[Shape, Chain], tuple[Shape, Chain]]] = {
    "none": lambda cell, inner: (cell, inner),
    "end": lambda cell, inner: (times(cell, 2), shard(cell, inner)),
    "start": lambda cell, inner: (times(cell, 3), shard(cell, inner, "start")),
    "index-big": lambda cell, inner: (
        times(cell, 2),
        shard(cell, inner, "end", (codec("bytes", endian="big"), codec("crc32c"))),
    ),
    "index-bare": lambda cell, inner: (times(cell, 2), shard(cell, inner, "start", INDEX[:1])),
    "nested": _nested,
    "one": lambda cell, inner: (cell, shard(cell, inner)),
}
"""What becomes of a cell and its codecs by way of sharding: the cells of the grid, the codecs."""

GEOMETRIES: dict[str, tuple[Shape, Shape]] = {
    "2-d": ((10, 7), (4, 3)),
    "2-d even": ((8, 6), (4, 3)),
    "1-d": ((17,), (5,)),
    "3-d": ((5, 4, 6), (2, 3, 2)),
    "4-d": ((3, 4, 2, 5), (2, 2, 1, 3)),
    "0-d": ((), ()),
    "zero-length": ((0, 7), (4, 3)),
    "chunk larger": ((3, 2), (5, 4)),
    "single elements": ((3, 2), (1, 1)),
}
"""Shapes of arrays and of their innermost chunks."""

KEYS = {
    "default-slash": keys("default", "/"),
    "default-dot": keys("default", "."),
    "v2-dot": keys("v2", "."),
    "v2-slash": keys("v2", "/"),
}
"""Chunk key encodings."""

CONTENTS = ("full", "holes", "part", "none")


def build(
    name: str,
    kind: Kind | None = None,
    *,
    geometry: str = "2-d",
    chain: str | Chain = "little",
    sharding: str = "none",
    key: str = "default-slash",
    **options: Any,
) -> Case:
    """A case from the names of its parts."""
    kind = kind or KINDS["int32"]
    shape, cell = GEOMETRIES[geometry]
    codecs = CHAINS[chain](kind, len(shape)) if isinstance(chain, str) else chain
    chunks, codecs = SHARDINGS[sharding](cell, codecs)
    return Case(name, kind, shape, chunks, tuple(codecs), KEYS[key], **options)
