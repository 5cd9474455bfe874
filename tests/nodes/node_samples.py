"""What the tests of metadata share: a valid document, and strategies for data types and scalars."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import strategies as st

from storekit.nodes.dtypes import (
    DataType,
    FixedText,
    NullTerminatedBytes,
    RawBits,
    RawBytes,
    String,
    Struct,
    VariableBytes,
    data_type_from_numpy,
)

CORE = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
ZSTD = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}


def array_document(**changes: Any) -> dict[str, Any]:
    """A valid document of an array; a change to `...` removes the field."""
    document: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [20, 30],
        "data_type": "int32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 5]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [LITTLE],
        "attributes": {"units": "K"},
        "dimension_names": ["y", None],
        "storage_transformers": [],
        **changes,
    }
    return {name: value for name, value in document.items() if value is not ...}


def config(name: str, **configuration: Any) -> dict[str, Any]:
    """An extension as metadata spells it."""
    return {"name": name, "configuration": configuration}


def strict(value: Any) -> Any:
    """The value after a trip through JSON that forbids NaN."""
    return json.loads(json.dumps(value, allow_nan=False))


_units = st.sampled_from(["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"])
_times = st.builds(
    lambda code, scale, unit: data_type_from_numpy(f"{code}8[{scale}{unit}]"),
    st.sampled_from("mM"),
    st.integers(1, 2**31 - 1),
    _units,
)
_lengths = st.integers(1, 40)
_flat = st.one_of(
    st.sampled_from(CORE).map(data_type_from_numpy),
    _times,
    *(st.builds(kind, _lengths) for kind in (RawBits, RawBytes, FixedText, NullTerminatedBytes)),
)


def _structs(kinds: st.SearchStrategy[DataType]) -> st.SearchStrategy[DataType]:
    names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
    fields = st.lists(
        st.tuples(names, kinds), min_size=1, max_size=4, unique_by=lambda field: field[0]
    )
    return st.builds(Struct, fields.map(tuple), st.booleans())


fixed_types = st.recursive(_flat, _structs, max_leaves=6)
"""Data types of a fixed size, records and records in records among them."""

data_types = st.one_of(fixed_types, st.builds(String), st.builds(VariableBytes))
"""All data types."""

_text = st.text(st.characters(codec="utf-8"), max_size=40)


def scalars(kind: DataType) -> st.SearchStrategy[Any]:
    """Any scalar of a data type: every pattern of bits that has a meaning."""
    if isinstance(kind, Struct):
        parts = st.tuples(*(scalars(inner) for _, inner in kind.fields))
        return parts.map(kind.cast_fill)
    if isinstance(kind, String):
        return _text
    if isinstance(kind, FixedText):
        return _text.map(lambda text: kind.cast_fill(text[: kind.length]))
    if isinstance(kind, VariableBytes):
        return st.binary(max_size=40)
    if isinstance(kind, NullTerminatedBytes):
        return st.binary(max_size=kind.length).map(kind.cast_fill)
    if kind.name == "bool":
        return st.booleans().map(np.bool_)
    size = kind.numpy.itemsize
    data = st.binary(min_size=size, max_size=size)
    return data.map(lambda data: np.frombuffer(data, kind.numpy)[0])


def same(one: Any, other: Any) -> bool:
    """Whether two scalars are of one type and equal to the last bit."""
    if isinstance(one, np.generic):
        return (
            isinstance(other, np.generic)
            and one.dtype == other.dtype
            and np.asarray(one).tobytes() == np.asarray(other).tobytes()
        )
    return type(one) is type(other) and bool(one == other)
