"""
The metalayer ``b2nd``, which makes an n-dimensional array of a frame.

A msgpack array: format version, number of dimensions, shape, shape of the chunks, shape of the
blocks that chunks are cut into, format of the data type (0 is numpy's), data type.

Caterva has the first five of these in a metalayer ``caterva``; its elements are bytes.

Source: C-Blosc2, README_B2ND_METALAYER.rst.
"""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from storekit.errors import CorruptFrameError, MetadataError
from storekit.frames.layout import MAX_TYPESIZE, Metalayer
from storekit.typing import AnyArray, DType, Shape

__all__ = [
    "B2ND",
    "CATERVA",
    "MAX_ITEMSIZE",
    "MAX_NDIM",
    "B2ndMeta",
    "dtype_text",
    "laid_out",
    "pack_array_meta",
    "pack_b2nd",
    "parse_array_meta",
    "parse_b2nd",
    "stored_type",
]

B2ND, CATERVA = "b2nd", "caterva"
"""The names of the metalayers."""

MAX_ITEMSIZE = 16 << 20
"""
The most bytes of an element: a frame of a few bytes may state any size, and it takes memory to make
a single element.
"""

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


def stored_type(dtype: DType) -> DType:
    """
    A data type as it will be read: as in blosc2, bytes between fields are fields of raw bytes.

    Raises:
        MetadataError: If it is a struct whose fields overlap, are not in the order of their places,
            or have titles.
    """
    if dtype.fields is None or dtype.hasobject:
        return dtype
    try:
        known = np.dtype(dtype.descr)
        if _parse_dtype(dtype_text(known)) == known:
            return known
    except (CorruptFrameError, ValueError):
        pass
    expected = "a struct whose fields follow each other, without titles"
    raise MetadataError(field="dtype", expected=expected, found=str(dtype))


def laid_out(values: AnyArray, dtype: DType) -> AnyArray:
    """Values as they are; but if `dtype` is the stored type of their structs, of that type."""
    if values.dtype.names is None or values.dtype == dtype or stored_type(values.dtype) != dtype:
        return values
    return values.view(dtype)


def pack_b2nd(meta: B2ndMeta) -> bytes:
    """
    The content of the metalayer.

    Raises:
        MetadataError: If elements have more than 16 MiB.
    """
    itemsize = meta.dtype.itemsize
    if itemsize > MAX_ITEMSIZE:
        expected = f"elements of at most {MAX_ITEMSIZE} bytes"
        raise MetadataError(field="dtype", expected=expected, found=itemsize)
    return _pack(meta.shape, meta.chunks, meta.blocks, dtype_text(meta.dtype).encode())


def pack_array_meta(name: str, meta: B2ndMeta) -> bytes:
    """The content of the metalayer ``b2nd`` or ``caterva``."""
    return pack_b2nd(meta) if name == B2ND else _pack_shapes(5, *meta[:3])


def _pack(shape: Shape, chunks: Shape, blocks: Shape, text: bytes) -> bytes:
    head = _pack_shapes(7, shape, chunks, blocks)
    return b"".join((head, struct.pack(">BBI", 0, 0xDB, len(text)), text))


def _pack_shapes(fields: int, shape: Shape, chunks: Shape, blocks: Shape) -> bytes:
    return b"".join(
        (
            bytes((0x90 | fields, 0, len(shape))),
            _pack_shape(shape, "q", 0xD3),
            _pack_shape(chunks, "i", 0xD2),
            _pack_shape(blocks, "i", 0xD2),
        )
    )


@lru_cache(maxsize=256)
def parse_b2nd(content: bytes) -> B2ndMeta:
    """
    Read the content of the metalayer.

    Raises:
        CorruptFrameError: If it is damaged, absurd, or states a type that storekit does not know.
    """
    shape, chunks, blocks, size = _parse_shapes(content, 7)
    if len(content) < size + 6:
        raise CorruptFrameError("the b2nd metalayer is cut off")
    text = content[size + 6 :]
    if content != _pack(shape, chunks, blocks, text):
        raise CorruptFrameError("the b2nd metalayer is damaged")
    try:
        return B2ndMeta(shape, chunks, blocks, _parse_dtype(text.decode()))
    except UnicodeDecodeError as error:
        raise CorruptFrameError(f"unknown data type: {error}") from error


def parse_array_meta(layers: Mapping[str, Metalayer], typesize: int) -> B2ndMeta | None:
    """
    What the metalayers say about the array in a frame.

    Args:
        layers: The metalayers of the header.

        typesize: Bytes of an element, of which ``caterva`` says nothing.

    Returns:
        None if they say that there is none.

    Raises:
        CorruptFrameError: As `parse_b2nd`.
    """
    if B2ND in layers:
        return parse_b2nd(layers[B2ND].content)
    if CATERVA not in layers:
        return None
    content = layers[CATERVA].content
    shape, chunks, blocks, size = _parse_shapes(content, 5)
    if len(content) != size:
        raise CorruptFrameError("the caterva metalayer is damaged")
    if typesize > MAX_TYPESIZE:
        raise CorruptFrameError(f"elements of {typesize} bytes, which caterva does not have")
    return B2ndMeta(shape, chunks, blocks, np.dtype(f"V{typesize}"))


def _parse_shapes(content: bytes, fields: int) -> tuple[Shape, Shape, Shape, int]:
    """The shapes of array, chunks and blocks; how many bytes say so."""
    ndim = content[2] if len(content) > 2 else MAX_NDIM + 1
    if content[:2] != bytes((0x90 | fields, 0)) or ndim > MAX_NDIM:
        raise CorruptFrameError("the metalayer of shapes is damaged, or of an unknown version")
    layout = struct.Struct(">" + "B" + "Bq" * ndim + 2 * ("B" + "Bi" * ndim))
    size = 3 + layout.size
    if len(content) < size:
        raise CorruptFrameError("the metalayer of shapes is cut off")
    numbers = layout.unpack_from(content, 3)
    rows = [numbers[i : i + 1 + 2 * ndim] for i in range(0, len(numbers), 1 + 2 * ndim)]
    shape, chunks, blocks = (tuple(row[2::2]) for row in rows)
    if content[:size] != _pack_shapes(fields, shape, chunks, blocks):
        raise CorruptFrameError("the metalayer of shapes is damaged")
    for n, chunk, block in zip(shape, chunks, blocks, strict=True):
        if n < 0 or not (0 < block <= chunk or n == chunk == block == 0):
            raise CorruptFrameError(f"impossible shapes: {shape}, {chunks}, {blocks}")
    return shape, chunks, blocks, size


def _pack_shape(shape: Shape, item: str, marker: int) -> bytes:
    # Of 16 dimensions this is no msgpack any more, but it is what blosc2 writes and reads.
    items = (struct.pack(f">B{item}", marker, n) for n in shape)
    return bytes((0x90 + len(shape),)) + b"".join(items)


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
    if dtype.itemsize > MAX_ITEMSIZE:
        raise CorruptFrameError(f"elements of {dtype.itemsize} bytes, more than {MAX_ITEMSIZE}")
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
