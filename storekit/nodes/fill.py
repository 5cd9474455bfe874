"""
Fill values: what a user may give, and how numbers and bytes are spelled in JSON.

Source: Zarr v3 core specification, "Fill value" of the data types. Numbers are JSON numbers; floats
that JSON lacks are ``"NaN"``, ``"Infinity"``, ``"-Infinity"`` or, for every other NaN, the
hexadecimal digits of their bits.
"""

from __future__ import annotations

import base64
import binascii
import operator
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from storekit.errors import MetadataError
from storekit.nodes.documents import inside
from storekit.typing import JSON, DType

if TYPE_CHECKING:
    from storekit.nodes.dtypes import DataType

__all__ = ["cast_fill"]

_SPECIAL = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
_EXACT = 2**53  # the last float64 up to which every integer is one


def cast_fill(value: object, data_type: DataType) -> Any:
    """
    The fill value of an array, as a scalar of its data type.

    Args:
        value: A python or numpy scalar; for floats also ``"NaN"``, ``"Infinity"``, ``"-Infinity"``
            and hexadecimal bits; for dates an ISO text, ``"NaT"`` or a count of units; for a struct
            a mapping or tuple of its fields. None asks for the default of the data type.

        data_type: The data type of the array.

    Raises:
        MetadataError: If the value is of another kind, out of range, or would lose more than
            precision.
    """
    if value is None:
        return data_type.default_fill
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    with inside("fill_value"):
        return data_type.cast_fill(value)


def int_from_json(json: JSON, dtype: DType) -> Any:
    """The integer that a document means; ``1.0`` is taken for ``1``."""
    # bool is an int to Python, and a float beyond 2**53 may not be the number that was written.
    if type(json) is float and json.is_integer() and abs(json) <= _EXACT:
        json = int(json)
    return int_in_range(json if type(json) is int else None, dtype, json)


def int_in_range(value: int | None, dtype: DType, found: object) -> Any:
    """The integer as a numpy scalar, if it is one and in range."""
    limits = np.iinfo(dtype)
    if value is None or not limits.min <= value <= limits.max:
        raise MetadataError(expected=f"an integer from {limits.min} to {limits.max}", found=found)
    return dtype.type(value)


def cast_int(value: object, dtype: DType) -> Any:
    """The integer that a user means: any integer, or a float without a fraction."""
    number: int | None = None
    if isinstance(value, float | np.floating):
        number = int(value) if value.is_integer() else None
    elif not isinstance(value, np.ndarray):
        with suppress(TypeError):
            number = operator.index(value)  # type: ignore[arg-type]
    return int_in_range(number, dtype, value)


def float_to_json(value: Any) -> JSON:
    """How a document spells a numpy float of any size."""
    if np.isnan(value):
        digits = _bits(value)
        return "NaN" if digits == _bits(value.dtype.type(np.nan)) else digits
    if np.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)


def float_from_json(json: JSON, dtype: DType) -> Any:
    """The float that a document means, rounded to the data type."""
    if isinstance(json, str):
        return float_from_text(json, dtype)
    try:
        number = float(json) if type(json) in (int, float) else np.nan
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise MetadataError(
            expected='a number, "NaN", "Infinity", "-Infinity" or hexadecimal bits', found=json
        )
    with np.errstate(over="ignore"):
        return dtype.type(number)


def float_from_text(text: str, dtype: DType) -> Any:
    """The float behind one of the spellings that are not numbers."""
    if text in _SPECIAL:
        return dtype.type(_SPECIAL[text])
    digits = 2 * dtype.itemsize
    if not re.fullmatch(f"0x[0-9a-fA-F]{{{digits}}}", text):
        raise MetadataError(
            expected=f'"NaN", "Infinity", "-Infinity" or 0x and {digits} hexadecimal digits',
            found=text,
        )
    return np.array(int(text, 16), f"u{dtype.itemsize}").view(dtype)[()]


def cast_float(value: object, dtype: DType) -> Any:
    """The float that a user means; rounded, but not to infinity."""
    if isinstance(value, np.floating) and value.dtype == dtype:
        return value
    if isinstance(value, str):
        return float_from_text(value, dtype)
    try:
        if not isinstance(value, int | float | np.floating | np.integer | np.bool_):
            raise TypeError
        with np.errstate(over="ignore"):
            result = dtype.type(value)
    except (TypeError, OverflowError):
        raise MetadataError(expected=f"a number that {dtype} can hold", found=value) from None
    if np.isinf(result) and not np.isinf(value):
        raise MetadataError(expected=f"a number that {dtype} can hold", found=value)
    return result


def bytes_to_json(data: bytes) -> str:
    """How zarr-python spells bytes: base64."""
    return base64.b64encode(data).decode()


def bytes_from_json(json: JSON) -> bytes:
    """The bytes that a document means, spelled as a list of integers or as base64."""
    if isinstance(json, list | tuple) and all(
        type(item) is int and 0 <= item < 256 for item in json
    ):
        return bytes(json)
    try:
        if isinstance(json, str):
            return base64.b64decode(json, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise MetadataError(expected="a list of integers from 0 to 255, or base64", found=json)


def check_text(value: object) -> str:
    """The text, if it is one that UTF-8 can hold."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            pass
        else:
            return str(value)
    raise MetadataError(expected="a string that UTF-8 can hold", found=value)


def _bits(value: Any) -> str:
    size = value.dtype.itemsize
    return f"0x{int(np.asarray(value).view(f'u{size}')):0{2 * size}x}"
