"""
The metalayer ``b2nd``, which makes an n-dimensional array of a frame.

A msgpack array: format version, number of dimensions, shape, shape of the chunks, shape of the
blocks that chunks are cut into, format of the data type (0 is numpy's), data type.

Source: C-Blosc2, README_B2ND_METALAYER.rst.
"""

from __future__ import annotations

import ast
import re
import struct
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import msgpack
import numpy as np

from storekit.errors import CorruptFrameError
from storekit.typing import DType, Shape

__all__ = ["B2ND", "MAX_NDIM", "B2ndMeta", "dtype_text", "pack_b2nd", "parse_b2nd"]

B2ND = "b2nd"
"""The name of the metalayer."""

MAX_NDIM = 16
MAX_DTYPE_TEXT = 1 << 16

_SIMPLE_DTYPE = re.compile(r"[<>=|]?[?a-zA-Z]\d*(\[\w+\])?|[a-z]+\d*")


class B2ndMeta(NamedTuple):
    """
    The shapes of an array, of its chunks and of their blocks; and its data type, in any byte order.
    """

    shape: Shape
    chunks: Shape
    blocks: Shape
    dtype: DType


def dtype_text(dtype: DType) -> str:
    """How blosc2 writes a data type: numpy's short name, or the list of a struct's fields."""
    return dtype.str if dtype.fields is None else str(dtype)


def pack_b2nd(meta: B2ndMeta) -> bytes:
    """The content of the metalayer."""
    shape, chunks, blocks, dtype = meta
    ndim, text = len(shape), dtype_text(dtype).encode()
    return b"".join(
        (
            bytes((0x97, 0, ndim)),
            _pack_shape(shape, "Bq", 0xD3),
            _pack_shape(chunks, "Bi", 0xD2),
            _pack_shape(blocks, "Bi", 0xD2),
            struct.pack(">BBI", 0, 0xDB, len(text)),
            text,
        )
    )


@lru_cache(maxsize=256)
def parse_b2nd(content: bytes) -> B2ndMeta:
    """
    Read the content of the metalayer.

    Raises:
        CorruptFrameError: If it is damaged, absurd, or states a type that storekit does not know.
    """
    try:
        fields: Any = msgpack.unpackb(content, max_array_len=MAX_NDIM)
    except (ValueError, msgpack.UnpackException) as error:
        raise CorruptFrameError(f"the b2nd metalayer is damaged: {error}") from error
    match fields:
        case [0, int(ndim), list(shape), list(chunks), list(blocks), 0, str(text)]:
            pass
        case _:
            raise CorruptFrameError("the b2nd metalayer is damaged")
    dims = (shape, chunks, blocks)
    if any(len(d) != ndim or not all(type(n) is int and n >= 0 for n in d) for d in dims):
        raise CorruptFrameError(f"impossible shapes: {dims}")
    if any(not 0 < b <= c for b, c in zip(blocks, chunks, strict=True)):
        raise CorruptFrameError(f"chunks of shape {chunks} cannot have blocks of shape {blocks}")
    return B2ndMeta(tuple(shape), tuple(chunks), tuple(blocks), _parse_dtype(text))


def _pack_shape(shape: Shape, item: str, marker: int) -> bytes:
    body = b"".join(struct.pack(">" + item, marker, n) for n in shape)
    return bytes((0x90 | len(shape),)) + body if len(shape) < 16 else b"\xdc\0\x10" + body


def _parse_dtype(text: str) -> DType:
    if len(text) > MAX_DTYPE_TEXT:
        raise CorruptFrameError(f"a data type of {len(text)} characters")
    try:
        if text.startswith("["):
            dtype = np.dtype(_fields(ast.literal_eval(text)))
        elif _SIMPLE_DTYPE.fullmatch(text):
            dtype = np.dtype(text)
        else:
            raise CorruptFrameError(f"unknown data type {text[:80]!r}")
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError) as error:
        raise CorruptFrameError(f"unknown data type {text[:80]!r}: {error}") from error
    if dtype.hasobject or dtype.kind == "T" or not dtype.itemsize:
        raise CorruptFrameError(f"elements of type {text[:80]!r} have no fixed size")
    return dtype


def _fields(value: Any) -> list[Any]:
    """
    The fields of a struct, of which nothing but names, types and shapes is let through to numpy.
    """
    if not isinstance(value, list):
        raise TypeError("fields must be a list")
    fields = []
    for name, kind, *shape in value:
        if not isinstance(name, str):
            raise TypeError("the name of a field must be a string")
        if isinstance(kind, str) and not _SIMPLE_DTYPE.fullmatch(kind):
            raise ValueError(f"unknown data type {kind[:80]!r}")
        if any(not isinstance(n, tuple) or not all(type(i) is int for i in n) for n in shape):
            raise TypeError("the shape of a field must be a tuple of integers")
        if sum(prod(n) for n in shape) >= 1 << 31:
            raise ValueError("a field too large")
        fields.append((name, kind if isinstance(kind, str) else _fields(kind), *shape))
    return fields
