"""How a new array is divided: chunk shapes, shards and the codecs for them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import isqrt, prod
from typing import Any, TypeGuard

import numpy as np

from storekit.codecs.base import Codec
from storekit.codecs.pipeline import Pipeline
from storekit.codecs.registry import generation
from storekit.codecs.sharding import ShardingCodec
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError
from storekit.nodes.chunk_keys import DEFAULT_KEYS, KeyEncoding
from storekit.nodes.documents import check_finite, dump_document, load_document
from storekit.nodes.dtypes import data_type_from_json, data_type_from_numpy
from storekit.nodes.fill import cast_fill
from storekit.nodes.metadata import ArrayMetadata
from storekit.typing import JSON, Shape

__all__ = ["auto_chunks", "check_shape", "dividing_chunks", "new_metadata"]

_TARGET = 1 << 20
"""
Bytes in a chunk, where the user leaves it to us: what reads at full speed from a disk, and in a
fraction of a second over a phone.
"""


def auto_chunks(shape: Shape, itemsize: int, target: int = _TARGET) -> Shape:
    """
    A chunk shape of at most `target` bytes, by default 1 MiB, made by halving the longest side
    until it fits; 1 for empty sides.
    """
    chunks = [max(size, 1) for size in shape]
    while prod(chunks) * itemsize > target and max(chunks, default=1) > 1:
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
        if type(given) is not tuple:  # asking a tuple would take longer than all the rest
            given = (given,) * (1 if ndim is None else ndim) if _is_int(given) else tuple(given)
        sides = tuple([n if type(n) is int else _side(n) for n in given])
    except TypeError:
        raise MetadataError(
            field=field, expected="an int or a sequence of ints", found=shape
        ) from None
    if sides and not (least <= min(sides) and max(sides) < 2**63):
        raise MetadataError(field=field, expected=f"lengths from {least} to 2**63 - 1", found=shape)
    if ndim is not None and len(sides) != ndim:
        raise MetadataError(field=field, expected=f"{ndim} lengths, one a dimension", found=shape)
    return sides


def new_metadata(
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
) -> ArrayMetadata:
    """
    What the document of a new array says; the arguments are those of `ZarrArray.create`.

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
    fixed = {"data_type": data_type.to_json()}
    if fill_value is not None:
        fixed["fill_value"] = data_type.fill_to_json(cast_fill(fill_value, data_type))
    common = _remembered if isinstance(codecs, str) else _common
    keys = _key_encoding(key_encoding)
    own = {} if attributes is None else attributes
    names = list(dimension_names) if _is_list(dimension_names) else dimension_names
    try:
        like = common(dump_document(fixed), chunk_shape, shard_shape, codecs, keys, generation())
        metadata = like.like(sides, own, names, {})
        check_finite(metadata.attributes, "attributes")
        if metadata.attributes or metadata.dimension_names:
            # What the user's own texts and numbers become, and whether they are nested too deeply,
            # only reading tells.
            return ArrayMetadata.from_json(metadata.to_bytes(), document)
    except MetadataError as error:
        raise error.located(document) from error.__cause__
    return metadata


def _common(
    fixed: bytes,
    chunk_shape: Shape,
    shard_shape: Shape | None,
    codecs: str | Sequence[Codec | JSON],
    key_encoding: KeyEncoding,
    _: object,
) -> ArrayMetadata:
    """
    An array with all that has nothing to do with shape, attributes and names.

    Data type and fill value come as a document spells them: that is exact, while equal data types
    may be spelled in two ways, and 0.0 equals -0.0.
    """
    found = load_document(fixed)
    data_type = data_type_from_json(found["data_type"])
    fill = data_type.default_fill
    if "fill_value" in found:
        fill = data_type.fill_from_json(found["fill_value"])
    chosen = Pipeline.of(codecs, ChunkSpec(chunk_shape, data_type.numpy, fill)).codecs
    grid = shard_shape or chunk_shape
    metadata = ArrayMetadata(
        shape=grid,
        data_type=data_type,
        chunk_shape=grid,
        key_encoding=key_encoding,
        fill_value=fill,
        codecs=chosen if shard_shape is None else (ShardingCodec(chunk_shape, chosen),),
    )
    # What is written must pass our own reader, which checks what the parts cannot check alone.
    read = ArrayMetadata.from_json(metadata.to_bytes(), "")
    read.to_bytes()  # now it has its text, and so has each array that is made like it
    return read


_remembered = lru_cache(1024)(_common)


def _key_encoding(given: JSON) -> KeyEncoding:
    if given == "/":
        return DEFAULT_KEYS  # to find what is remembered takes longer with one that equals it
    return KeyEncoding("default", ".") if given == "." else KeyEncoding.from_json(given)


def _side(length: Any) -> int:
    if isinstance(length, bool | np.bool_):
        raise TypeError  # True is an int to Python, and "choose for me" to other libraries
    return operator.index(length)


def _is_int(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:  # of numpy's arrays, too, though they have the method
        return False
    return True


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)
