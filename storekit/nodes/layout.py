"""How a new array is divided: chunk shapes, shards and the codecs for them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from math import isqrt, prod
from typing import Any

import numpy as np

from storekit.codecs.base import ChunkSpec, Codec
from storekit.codecs.pipeline import Pipeline
from storekit.codecs.sharding import ShardingCodec
from storekit.errors import MetadataError
from storekit.nodes.chunk_keys import KeyEncoding
from storekit.nodes.dtypes import data_type_from_numpy
from storekit.nodes.fill import cast_fill
from storekit.nodes.metadata import ArrayMetadata, parse_node
from storekit.typing import JSON, Shape

__all__ = ["auto_chunks", "check_shape", "dividing_chunks", "new_document"]

_TARGET = 1 << 20
"""
Bytes in a chunk, where the user leaves it to us: what reads at full speed from a disk, and in a
fraction of a second over a phone.
"""


def auto_chunks(shape: Shape, itemsize: int) -> Shape:
    """
    A chunk shape of at most 1 MiB, made by halving the longest side until it fits; 1 for empty
    sides.
    """
    chunks = [max(size, 1) for size in shape]
    while prod(chunks) * itemsize > _TARGET and max(chunks, default=1) > 1:
        longest = chunks.index(max(chunks))
        chunks[longest] = -(-chunks[longest] // 2)
    return tuple(chunks)


def dividing_chunks(shards: Shape, itemsize: int) -> Shape:
    """A chunk shape that divides that of the shards and is of at most 1 MiB."""
    chunks = list(shards)
    while prod(chunks) * itemsize > _TARGET and max(chunks, default=1) > 1:
        longest = chunks.index(max(chunks))
        size = chunks[longest]
        # Sides without a small factor are not worth the search.
        factors = (n for n in range(2, min(isqrt(size), 1000) + 1) if size % n == 0)
        chunks[longest] //= next(factors, size)
    return tuple(chunks)


def check_shape(
    shape: int | Iterable[int], field: str, *, least: int, ndim: int | None = None
) -> Shape:
    """
    A shape as a tuple of plain ints; a lone int stands for one dimension, or for each of `ndim`.

    Raises:
        MetadataError: If it is no shape, a side is less than `least`, or the rank is not `ndim`.
    """
    given: Any = shape
    try:
        listed = (given,) * (1 if ndim is None else ndim) if _is_int(given) else tuple(given)
        if any(isinstance(n, bool | np.bool_) for n in listed):
            raise TypeError  # True is an int to Python, and "choose for me" to other libraries
        sides = tuple(operator.index(n) for n in listed)
    except TypeError:
        raise MetadataError(
            field=field, expected="an int or a sequence of ints", found=given
        ) from None
    if any(not least <= n < 2**63 for n in sides):
        raise MetadataError(field=field, expected=f"lengths from {least} to 2**63 - 1", found=given)
    if ndim is not None and len(sides) != ndim:
        raise MetadataError(field=field, expected=f"{ndim} lengths, one a dimension", found=given)
    return sides


def new_document(
    document: str,
    *,
    shape: Any,
    dtype: Any,
    chunks: Any,
    shards: Any,
    codecs: str | Sequence[Codec | JSON],
    fill_value: Any,
    dimension_names: Sequence[str | None] | None,
    attributes: Mapping[str, JSON] | None,
    key_encoding: JSON,
) -> bytes:
    """
    The document of a new array; the arguments are those of `ZarrArray.create`.

    Raises:
        MetadataError: If they do not fit together, as a reader of the document would say.
    """
    if shape is None or dtype is None:
        missing = "shape" if shape is None else "dtype"
        raise MetadataError(
            document=document, field=missing, expected="a value, or data", found=None
        )
    data_type = data_type_from_numpy(dtype)
    sides = check_shape(shape, "shape", least=0)
    shard_shape = (
        None if shards is None else check_shape(shards, "shards", least=1, ndim=len(sides))
    )
    if isinstance(chunks, str):
        if chunks != "auto":
            raise MetadataError(field="chunks", expected="a shape or 'auto'", found=chunks)
        itemsize = data_type.numpy.itemsize
        chunk_shape = (
            auto_chunks(sides, itemsize)
            if shard_shape is None
            else dividing_chunks(shard_shape, itemsize)
        )
    else:
        chunk_shape = check_shape(chunks, "chunks", least=1, ndim=len(sides))
    fill = cast_fill(fill_value, data_type)
    chosen = Pipeline.of(codecs, ChunkSpec(chunk_shape, data_type.numpy, fill)).codecs
    metadata = ArrayMetadata(
        shape=sides,
        data_type=data_type,
        chunk_shape=shard_shape or chunk_shape,
        key_encoding=_key_encoding(key_encoding),
        fill_value=fill,
        codecs=chosen if shard_shape is None else (ShardingCodec(chunk_shape, chosen),),
        attributes={} if attributes is None else attributes,
        dimension_names=(
            list(dimension_names) if _is_list(dimension_names) else dimension_names  # type: ignore[arg-type]
        ),
    )
    # What is written must pass our own reader, which checks what the parts cannot check alone.
    data = metadata.to_bytes()
    parse_node(data, document)
    return data


def _key_encoding(given: JSON) -> KeyEncoding:
    return KeyEncoding("default", given) if given in ("/", ".") else KeyEncoding.from_json(given)


def _is_int(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:  # of numpy's arrays, too, though they have the method
        return False
    return True


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
