"""
Records of named fields.

Source: the registered extension ``struct``. zarr-python 3.1 calls it ``structured``, lists the
fields as pairs and writes the fill value as base64; that is read, and written again as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from storekit.codecs.base import check_keys
from storekit.errors import MetadataError
from storekit.nodes.documents import inside
from storekit.nodes.dtypes.base import DataType
from storekit.nodes.dtypes.text import FixedText
from storekit.nodes.fill import bytes_from_json, bytes_to_json
from storekit.typing import JSON, DType

__all__ = ["Struct"]

MAX_STRUCT = 2**24
MAX_DEPTH = 32


@dataclass(frozen=True)
class Struct(DataType):
    """
    ``struct``: packed records.

    Args:
        fields: Names and data types, in order. None of variable length; records may hold records.

        legacy: Write it as zarr-python 3.1 does. Makes no difference to equality.
    """

    fields: tuple[tuple[str, DataType], ...]
    legacy: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not self.fields:
            raise MetadataError(expected="at least one field", found=[])
        names = [name for name, _ in self.fields]
        for index, (name, data_type) in enumerate(self.fields):
            if not name or name in names[:index]:
                raise MetadataError(expected="unique names that are not empty", found=name)
            if data_type.variable:
                raise MetadataError(
                    expected="fields of a fixed size", found=f"{name}: {data_type.name}"
                )
        if self.depth > MAX_DEPTH:
            raise MetadataError(expected=f"at most {MAX_DEPTH} levels of records", found=self.depth)
        size = sum(data_type.numpy.itemsize for _, data_type in self.fields)
        if size > MAX_STRUCT:
            raise MetadataError(expected=f"records of at most {MAX_STRUCT} bytes", found=size)

    @classmethod
    def from_config(
        cls,
        configuration: Mapping[str, JSON],
        read: Callable[[JSON], DataType],
        *,
        legacy: bool = False,
    ) -> Struct:
        """The data type that metadata describes; `read` reads the data types of the fields."""
        with inside("configuration"):
            check_keys(configuration, required=("fields",))
        listed = configuration["fields"]
        with inside("configuration.fields"):
            if not isinstance(listed, list | tuple):
                raise MetadataError(expected="a list of fields", found=listed)
            fields = []
            for index, item in enumerate(listed):
                with inside(f"[{index}]"):
                    fields.append(_field(item, read))
            return cls(tuple(fields), legacy)

    def _name(self) -> str:
        return "structured" if self.legacy else "struct"

    @cached_property
    def depth(self) -> int:
        """How many levels of records there are."""
        inner = (kind.depth for _, kind in self.fields if isinstance(kind, Struct))
        return 1 + max(inner, default=0)

    def to_json(self) -> JSON:
        """The object with the fields."""
        fields: list[JSON]
        if self.legacy:
            fields = [[name, kind.to_json()] for name, kind in self.fields]
        else:
            fields = [{"name": name, "data_type": kind.to_json()} for name, kind in self.fields]
        return {"name": self.name, "configuration": {"fields": fields}}

    def _numpy(self) -> DType:
        return np.dtype([(name, kind.numpy) for name, kind in self.fields])

    @property
    def default_fill(self) -> Any:
        """The defaults of the fields."""
        return self._record({name: kind.default_fill for name, kind in self.fields})

    def fill_to_json(self, value: Any) -> JSON:
        """An object with every field; base64 in the legacy form."""
        if self.legacy:
            return bytes_to_json(np.asarray(value).astype(self.numpy.newbyteorder("<")).tobytes())
        return {name: kind.fill_to_json(value[name]) for name, kind in self.fields}

    def fill_from_json(self, json: JSON) -> Any:
        """An object with every field, or base64 of the bytes in little-endian order."""
        if isinstance(json, str):
            return self._from_bytes(bytes_from_json(json), json)
        self._check_names(json)
        values = {}
        for name, kind in self.fields:
            with inside(name):
                values[name] = kind.fill_from_json(json[name])
        return self._record(values)

    def cast_fill(self, value: object) -> Any:
        """A mapping, a tuple or a numpy record with every field."""
        if isinstance(value, tuple | list) and len(value) == len(self.fields):
            value = {name: item for (name, _), item in zip(self.fields, value, strict=True)}
        elif isinstance(value, np.void) and value.dtype.names:
            value = {name: value[name] for name in value.dtype.names}
        values = {}
        for name, kind in self._check_names(value):
            with inside(name):
                values[name] = kind.cast_fill(value[name])  # type: ignore[index]
        return self._record(values)

    def _check_names(self, value: object) -> tuple[tuple[str, DataType], ...]:
        names = [name for name, _ in self.fields]
        if not isinstance(value, Mapping) or set(value) != set(names):
            raise MetadataError(expected=f"the fields {', '.join(names)}", found=value)
        return self.fields

    def _record(self, values: Mapping[str, Any]) -> Any:
        record = np.zeros((), self.numpy)
        for name, value in values.items():
            record[name] = value
        record.flags.writeable = False  # else the scalar could be changed in place
        return record[()]

    def _from_bytes(self, data: bytes, found: JSON) -> Any:
        if len(data) != self.numpy.itemsize:
            raise MetadataError(expected=f"exactly {self.numpy.itemsize} bytes", found=found)
        values, start = {}, 0
        for name, kind in self.fields:
            piece = data[start : start + kind.numpy.itemsize]
            start += len(piece)
            with inside(name):
                values[name] = _from_little_endian(kind, piece)
        return self._record(values)


def _from_little_endian(kind: DataType, data: bytes) -> Any:
    if isinstance(kind, Struct):
        return kind._from_bytes(data, data)
    if isinstance(kind, FixedText):
        try:
            # numpy would make text of code points that do not exist.
            return kind.cast_fill(data.decode("utf-32-le"))
        except UnicodeDecodeError:
            raise MetadataError(expected="text in UTF-32", found=data) from None
    stored = np.frombuffer(data, kind.numpy.newbyteorder("<"))
    return kind.cast_fill(stored.astype(kind.numpy)[0])


def _field(item: JSON, read: Callable[[JSON], DataType]) -> tuple[str, DataType]:
    if isinstance(item, Mapping):
        check_keys(item, required=("name", "data_type"))
        name, kind = item["name"], item["data_type"]
    elif isinstance(item, list | tuple) and len(item) == 2:
        name, kind = item
    else:
        raise MetadataError(expected="an object with name and data_type", found=item)
    if not isinstance(name, str):
        raise MetadataError(field="name", expected="a string", found=name)
    with inside("data_type"):
        return name, read(kind)
