"""
Fill values of Zarr v2.

Source: Zarr v2 specification, "Fill value encoding". Null leaves elements that were never written
undefined: here they are what they are in a new array, that is zero, empty or not a time. The number
0, which zarr-python 2 wrote for data types of every kind, means as much.
"""

from __future__ import annotations

import base64

import numpy as np

from storekit.errors import MetadataError
from storekit.nodes.dtypes import Boolean, Complex, DataType, Struct
from storekit.nodes.fill import bytes_from_json
from storekit.nodes.v2.dtypes import counts
from storekit.typing import JSON, DType

__all__ = ["read_fill"]


def read_fill(json: JSON, kind: DataType, stored: DType) -> object:
    """
    The fill value that a document means.

    Args:
        json: As the document spells it.

        kind: The data type of the array.

        stored: The dtype of what is stored.

    Raises:
        MetadataError: If it is of another kind or out of range.
    """
    if json is None:
        return kind.default_fill
    number = json if type(json) in (int, float) else None
    if isinstance(kind, Boolean):
        return kind.fill_from_json(bool(json) if number in (0, 1) else json)
    if isinstance(kind, Complex) and number is not None:
        return kind.fill_from_json([number, 0])
    if isinstance(kind, Struct):
        data = bytes(stored.itemsize) if number == 0 else _bytes(json)
        return kind.fill_from_json(_little_endian(data, stored))
    if number == 0 and stored.kind in "SUVOT":
        return kind.default_fill
    return kind.fill_from_json(json)


def _bytes(json: JSON) -> bytes:
    if not isinstance(json, str):
        raise MetadataError(expected="base64", found=json)
    return bytes_from_json(json)


def _little_endian(data: bytes, stored: DType) -> str:
    """The bytes of one record, as a record's data type reads them: little-endian and in base64."""
    if len(data) != stored.itemsize:
        raise MetadataError(expected=f"base64 of {stored.itemsize} bytes", found=data)
    numbers = counts(stored)
    swapped = np.frombuffer(data, numbers).astype(numbers.newbyteorder("<"))
    return base64.b64encode(swapped.tobytes()).decode()
