"""
The dtypes of Zarr v2: numpy's own spelling, with the byte order.

Source: Zarr v2 specification, "Data type encoding".
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from storekit.errors import MetadataError
from storekit.nodes.documents import inside
from storekit.nodes.dtypes import DataType, Struct, data_type_from_numpy
from storekit.nodes.dtypes.base import MAX_ITEM
from storekit.typing import JSON, DType

__all__ = ["byte_order", "counts", "read_dtype"]

_UNITS = "Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as"
_DTYPE = re.compile(
    r"(?P<single>[<>|](b1|[iu]1))"
    r"|(?P<number>[<>]([iu][248]|f[248]|c8|c16))"
    rf"|(?P<time>[<>][mM]8(\[(?P<scale>[1-9][0-9]{{0,9}})?({_UNITS})\])?)"
    r"|(?P<text>[<>]U(?P<points>[1-9][0-9]{0,9}))"
    r"|(?P<raw>[<>|][SV](?P<bytes>[1-9][0-9]{0,9}))"
)


def read_dtype(json: JSON) -> tuple[DataType, DType]:
    """
    The data type, and the dtype of what is stored.

    Raises:
        MetadataError: If storekit has no such data type, with `field` relative to the dtype.
    """
    if isinstance(json, list | tuple):
        return _record(json)
    match = _DTYPE.fullmatch(json) if isinstance(json, str) else None
    if match is None:
        raise MetadataError(
            expected='a dtype that Zarr v3 has, too, such as "<f8", "<M8[ns]", "|S5" or a list of'
            " fields",
            found=json,
        )
    for name, size in (("scale", 1), ("points", 4), ("bytes", 1)):
        if int(match[name] or 0) * size > MAX_ITEM:
            raise MetadataError(expected=f"no number as large as {MAX_ITEM}", found=json)
    stored = np.dtype(json)
    return data_type_from_numpy(stored.newbyteorder("=")), stored


def _record(fields: Any) -> tuple[DataType, DType]:
    kinds: list[tuple[str, DataType]] = []
    stored: list[tuple[str, DType]] = []
    for index, field in enumerate(fields):
        with inside(f"[{index}]"):
            if not isinstance(field, list | tuple) or len(field) != 2:
                raise MetadataError(expected="a name and a dtype, without a shape", found=field)
            name, json = field
            if not isinstance(name, str):
                raise MetadataError(expected="a name", found=name)
            kind, dtype = read_dtype(json)
        name = name or f"f{index}"  # as numpy calls padding
        kinds.append((name, kind))
        stored.append((name, dtype))
    record = Struct(tuple(kinds))
    return record, np.dtype(stored)


def byte_order(stored: DType) -> str | None:
    """``"little"``, ``"big"``, or None for a record that has fields of both."""
    if stored == stored.newbyteorder("<"):
        return "little"
    return "big" if stored == stored.newbyteorder(">") else None


def counts(stored: DType) -> DType:
    """
    The dtype with integers for times and text: numpy does not swap the bytes of times without a
    unit, nor those of text that is none.
    """
    if stored.names:
        return np.dtype([(name, counts(stored[name])) for name in stored.names])
    if stored.kind in "mM":
        return np.dtype(f"{stored.byteorder}i8")
    if stored.kind == "U":
        return np.dtype((f"{stored.byteorder}u4", (stored.itemsize // 4,)))
    return stored
