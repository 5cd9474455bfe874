"""
The metalayer in which a super-chunk says what array or tensor it holds: ``__pack_tensor__``.

It has, as msgpack, the library that it is of, the shape, and the data type: numpy's short name, or
the list of a struct's fields.

Source: python-blosc2 4.14, and files that it writes.
"""

from __future__ import annotations

import re
from math import prod
from typing import Any, NamedTuple

import msgpack
import numpy as np

from storekit.errors import CorruptFrameError, MetadataError
from storekit.frames.b2nd import MAX_ITEMSIZE
from storekit.typing import DType, Shape

__all__ = ["PACKED", "Packed", "check_packed", "pack"]

PACKED = "__pack_tensor__"
"""The name of the metalayer."""

_TUPLE = "__tuple__"
_MAX_NDIM = 64
_SIMPLE_DTYPE = re.compile(r"[<>=|]?[?a-zA-Z]\d*(\[\w+\])?")


class Packed(NamedTuple):
    """What a super-chunk holds: ``"numpy"``, ``"torch"`` or ``"tensorflow"``; shape; data type."""

    kind: str
    shape: Shape
    dtype: DType


def pack(packed: Packed) -> bytes:
    """
    The content of the metalayer.

    Raises:
        MetadataError: If elements of the type have no fixed size, more than 16 MiB, or hold
            objects.
    """
    kind, shape, dtype = packed
    if dtype.hasobject or dtype.kind == "T":
        expected = "elements of a fixed size; nothing is pickled"
        raise MetadataError(field="dtype", expected=expected, found=str(dtype))
    if dtype.itemsize > MAX_ITEMSIZE:
        expected = f"elements of at most {MAX_ITEMSIZE} bytes"
        raise MetadataError(field="dtype", expected=expected, found=dtype.itemsize)
    if dtype.names is None:
        described: Any = dtype.str
    else:
        try:
            described = dtype.descr
        except ValueError as error:
            raise MetadataError(f"{error}", field="dtype") from error
    content: bytes = msgpack.packb(_marked((kind, shape, described)))
    return content


def _marked(value: Any) -> Any:
    """The value with a mark in front of what is in each tuple, as blosc2 tells them from lists."""
    if isinstance(value, tuple):
        return [_TUPLE, *map(_marked, value)]
    return [_marked(item) for item in value] if isinstance(value, list) else value


def check_packed(found: Any, nbytes: int) -> Packed:
    """
    What the metalayer says, if it can be true.

    Args:
        found: Its content, with tuples and lists told apart; not to be trusted.

        nbytes: Bytes of the super-chunk.

    Raises:
        CorruptFrameError: If it cannot.
    """
    match found:
        case (str() as kind, tuple() | list() as shape, str() | list() as described):
            pass
        case _:
            raise CorruptFrameError(f"metalayer {PACKED!r} is damaged")
    if len(shape) > _MAX_NDIM or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape):
        raise CorruptFrameError(f"metalayer {PACKED!r}: impossible shape")
    try:
        dtype = _dtype(described)
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError) as error:
        raise CorruptFrameError(f"metalayer {PACKED!r}: unknown data type: {error}") from error
    if dtype.hasobject or dtype.kind == "T":
        raise CorruptFrameError(f"metalayer {PACKED!r}: elements of type {dtype}")
    if dtype.itemsize > MAX_ITEMSIZE:
        raise CorruptFrameError(f"metalayer {PACKED!r}: elements of {dtype.itemsize} bytes")
    if prod(shape) * dtype.itemsize != nbytes:
        raise CorruptFrameError(f"{nbytes} bytes, for elements of {dtype} in the shape {shape}")
    return Packed(kind, tuple(shape), dtype)


def _dtype(described: Any) -> DType:
    _check_described(described)
    match described:
        case [("", str() as simple)]:  # what numpy's `descr` is of bytes without a type
            described = simple
    dtype: DType = np.lib.format.descr_to_dtype(described)
    return dtype


def _check_described(described: Any) -> None:
    """Let nothing through to numpy but names, types and shapes."""
    if isinstance(described, str):
        if not _SIMPLE_DTYPE.fullmatch(described):
            raise ValueError(f"{described[:80]!r}")
        return
    if not isinstance(described, list):
        raise TypeError("fields must be a list")
    for field in described:
        match field:
            case (str() | (str(), str()), str() | list() as kind):
                _check_described(kind)
            case (str() | (str(), str()), str() | list() as kind, tuple() as shape):
                _check_described(kind)
                if not all(type(n) is int and n >= 0 for n in shape) or prod(shape) >= 1 << 31:
                    raise ValueError("a field too large")
            case _:
                raise TypeError("a field must be a name and a type")
