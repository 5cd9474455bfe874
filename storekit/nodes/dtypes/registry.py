"""From metadata, and from whatever numpy takes for a dtype, to a data type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from storekit.codecs.base import check_keys
from storekit.errors import MetadataError
from storekit.nodes.documents import inside, named
from storekit.nodes.dtypes.base import MAX_ITEM, DataType
from storekit.nodes.dtypes.numbers import NUMBERS
from storekit.nodes.dtypes.raw import RawBits, RawBytes
from storekit.nodes.dtypes.struct import Struct
from storekit.nodes.dtypes.text import FixedText, NullTerminatedBytes, String, VariableBytes
from storekit.nodes.dtypes.times import Datetime, Timedelta
from storekit.typing import JSON, DType

__all__ = ["data_type_from_json", "data_type_from_numpy"]

_PLAIN: dict[str, DataType] = {
    **NUMBERS,
    "string": String(),
    "bytes": VariableBytes(),
    "variable_length_bytes": VariableBytes(),
}
_CONFIGURED: dict[str, Callable[[Mapping[str, JSON]], DataType]] = {
    "numpy.datetime64": Datetime.from_config,
    "numpy.timedelta64": Timedelta.from_config,
    "fixed_length_utf32": FixedText.from_config,
    "null_terminated_bytes": NullTerminatedBytes.from_config,
    "raw_bytes": RawBytes.from_config,
}
_STRUCTS = ("struct", "structured")
_RAW = re.compile(r"r([1-9][0-9]{0,10})")


def data_type_from_json(json: JSON) -> DataType:
    """
    The data type that metadata describes, in any form that the specification allows.

    Raises:
        MetadataError: If it is unknown, or if its configuration is wrong.
    """
    try:
        with inside("data_type"):
            return _read(json)
    except RecursionError:
        raise MetadataError("nested too deeply", field="data_type") from None


def data_type_from_numpy(dtype: Any) -> DataType:
    """
    The data type that a user means.

    Args:
        dtype: Whatever numpy takes for a dtype; byte order is ignored, padding between fields is
            dropped. ``str`` and ``"str"`` are text of any length, ``bytes`` is bytes of any length.
            Also taken: the names and objects of metadata, and data types themselves.

    Raises:
        MetadataError: If there is no such data type.
    """
    if isinstance(dtype, DataType):
        return dtype
    if type(dtype) is str or isinstance(dtype, np.dtype):
        return _remembered(dtype)
    return _from_user(dtype)


def _from_user(dtype: Any) -> DataType:
    if isinstance(dtype, Mapping) or (isinstance(dtype, str) and _is_name(dtype)):
        return data_type_from_json(dtype)
    with inside("data_type"):
        try:
            if dtype is None:  # numpy reads it as float64
                raise TypeError("None")
            found = np.dtype(dtype)
        except (TypeError, ValueError, SyntaxError) as error:
            raise MetadataError(expected="a data type", found=dtype) from error
        return _of_numpy(found)


_remembered = lru_cache(256, typed=True)(_from_user)
"""What never means anything else: 0.1 us for one that has been used, 4 for another."""


def _is_name(text: str) -> bool:
    return text in _PLAIN or _RAW.fullmatch(text) is not None


def _read(json: JSON) -> DataType:
    name, configuration = named(json, what="a data type")
    if name in _CONFIGURED:
        return _CONFIGURED[name](configuration)
    if name in _STRUCTS:
        return Struct.from_config(configuration, _read, legacy=name == "structured")
    found = _PLAIN.get(name) or _raw_bits(name)
    if found is None:
        known = ", ".join((*_PLAIN, "r<bits>", *_CONFIGURED, *_STRUCTS))
        raise MetadataError(expected=f"a known data type ({known})", found=name)
    with inside("configuration"):
        check_keys(configuration)
    return found


def _raw_bits(name: str) -> DataType | None:
    match = _RAW.fullmatch(name)
    if match is None:
        return None
    bits = int(match[1])
    if bits % 8 or bits // 8 > MAX_ITEM:
        raise MetadataError(expected=f"r and a multiple of 8 up to {8 * MAX_ITEM}", found=name)
    return RawBits(bits // 8)


def _of_numpy(dtype: DType) -> DataType:
    size = dtype.itemsize
    match dtype.kind:
        case "T":
            return String()
        case "U":
            return FixedText(size // 4) if size else String()
        case "S":
            return NullTerminatedBytes(size) if size else VariableBytes()
        case "M":
            return Datetime.from_numpy(dtype)
        case "m":
            return Timedelta.from_numpy(dtype)
        case "V" if dtype.names:
            return Struct(tuple((name, _of_field(dtype, name)) for name in dtype.names))
        case "V" if size and dtype.subdtype is None and dtype.names is None:
            return RawBits(size)
    if dtype.name in NUMBERS:
        return NUMBERS[dtype.name]
    hint = ' (for Python objects, "string" and "bytes" are)' if dtype.kind == "O" else ""
    raise MetadataError(expected=f"a dtype that Zarr can express{hint}", found=dtype)


def _of_field(dtype: DType, name: str) -> DataType:
    with inside(name):
        return _of_numpy(dtype[name])
