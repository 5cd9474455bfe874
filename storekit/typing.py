"""The types that cross the floors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

if sys.version_info >= (3, 12):
    from collections.abc import Buffer
else:
    from typing_extensions import Buffer

__all__ = [
    "JSON",
    "AnyArray",
    "ByteRange",
    "BytesLike",
    "Fetch",
    "KeyRange",
    "KeyValue",
    "Shape",
    "Value",
]

BytesLike: TypeAlias = Buffer
"""What a caller may hand in as bytes: anything with the buffer protocol, contiguous or not."""

Value: TypeAlias = bytes | memoryview
"""What a store hands out: read-only, contiguous, format ``B``."""

ByteRange: TypeAlias = tuple[int, int | None]
"""
``(start, length)``: a negative start counts from the end, a length of None reaches to the end.
"""

KeyRange: TypeAlias = tuple[str, int, int | None]
KeyValue: TypeAlias = tuple[str, int, BytesLike]

Fetch: TypeAlias = Callable[[Sequence[ByteRange]], list[Value]]
"""Reads byte ranges of one stored value; raises `KeyNotFoundError` when it is absent."""

Shape: TypeAlias = tuple[int, ...]
AnyArray: TypeAlias = npt.NDArray[Any]
JSON: TypeAlias = Any
"""A parsed JSON value."""

DType: TypeAlias = np.dtype[Any]
