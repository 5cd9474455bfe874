"""Values that no chunk can hold, found before anything is written for their sake."""

from __future__ import annotations

from storekit.errors import CodecError
from storekit.nodes.metadata import ArrayMetadata
from storekit.typing import AnyArray

__all__ = ["storable"]

_NUMBERS = "biufcmM"
"""Kinds of dtypes whose elements can all be cast to each other."""


def storable(values: AnyArray, metadata: ArrayMetadata) -> AnyArray:
    """
    The values, cast to the array's dtype where a single element could be in the way of that.

    Numbers are left for later: they are cast chunk by chunk, and that does not fail.

    Args:
        values: Of any dtype.

        metadata: Of the array that they are to be written to.

    Raises:
        TypeError, ValueError: Of numpy, if they cannot be cast.

        CodecError: If they are to be bytes, and are none.
    """
    dtype = metadata.data_type.numpy
    if not (values.dtype.kind in _NUMBERS and dtype.kind in _NUMBERS):
        values = values.astype(dtype, copy=False)
    if dtype.kind == "O":
        _check_bytes(values)
    return values


def _check_bytes(values: AnyArray) -> None:
    """Look at what could be anything: bytes of any length are objects to numpy."""
    for item in values.reshape(-1).tolist():
        if type(item) is not bytes:
            try:
                memoryview(item).release()
            except TypeError:
                raise CodecError(f"expected only bytes, found {type(item).__name__}") from None
