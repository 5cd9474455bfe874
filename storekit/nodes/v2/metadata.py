"""
The documents of Zarr v2, translated to what those of v3 say.

An array of v2 is one of v3 whose codecs are perhaps a transposition (for order F), the bytes of the
elements, the filters and the compressor, and whose chunk keys are spelled as those of v2 are.

Source: Zarr v2 specification, "Metadata"; `_ARRAY_DIMENSIONS` as xarray writes it.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any, ClassVar

from storekit.codecs.base import ArrayBytesCodec, BytesBytesCodec, Codec
from storekit.codecs.bytes import BytesCodec
from storekit.codecs.transpose import TransposeCodec
from storekit.codecs.v2.filters import ByteOrder
from storekit.codecs.v2.registry import codec_from_v2
from storekit.codecs.vlen import VlenBytesCodec, VlenUtf8Codec
from storekit.errors import MetadataError
from storekit.nodes.array_metadata import MAX_REMEMBERED, ArrayMetadata
from storekit.nodes.chunk_keys import KeyEncoding
from storekit.nodes.documents import inside, plain_json
from storekit.nodes.dtypes import DataType, String, VariableBytes
from storekit.nodes.group_metadata import GroupMetadata, check_attributes
from storekit.nodes.shapes import MAX_LENGTH, check_lengths, check_list
from storekit.nodes.v2.dtypes import byte_order, counts, read_dtype
from storekit.nodes.v2.fill import read_fill
from storekit.typing import JSON, DType, Shape

__all__ = ["ArrayV2", "GroupV2", "check_format"]

DIMENSIONS = "_ARRAY_DIMENSIONS"

_MANDATORY = ("shape", "chunks", "dtype", "compressor", "fill_value", "order")
_COMMON = ("chunks", "dtype", "compressor", "fill_value", "order", "filters", "dimension_separator")
_OBJECTS: dict[type, DataType] = {VlenUtf8Codec: String(), VlenBytesCodec: VariableBytes()}


@dataclass(frozen=True, eq=False)
class ArrayV2(ArrayMetadata):
    """
    What the document of an array of Zarr v2 says.

    Args:
        document: The fields of its ``.zarray``, as they are.
    """

    document: Mapping[str, JSON] = field(default_factory=dict)

    zarr_format: ClassVar[int] = 2

    @classmethod
    def read_v2(cls, found: Mapping[str, JSON], attributes: Mapping[str, JSON]) -> ArrayV2:
        """
        The array that a ``.zarray`` and a ``.zattrs`` describe; unknown fields are ignored.

        Raises:
            MetadataError: If the ``.zarray`` is malformed, or needs what storekit lacks.
        """
        check_format(found)
        for name in _MANDATORY:
            if name not in found:
                raise MetadataError(field=name, expected="to be present", found="nothing")
        shape = check_lengths(found["shape"], "shape", least=0)
        common = {name: found.get(name) for name in _COMMON}
        common["chunks"] = _chunks(found["chunks"], shape)
        array = _common(common).like(shape, attributes, _names(attributes, len(shape)), {})
        vars(array)["document"] = plain_json(found)
        return array

    def to_json(self) -> dict[str, JSON]:
        """The fields of the ``.zarray``, and the attributes. The caller may change it."""
        attributes = check_attributes(self.attributes)
        return {**plain_json(self.document), "node_type": "array", "attributes": attributes}


@dataclass(frozen=True, eq=False)
class GroupV2(GroupMetadata):
    """What the documents of a group of Zarr v2 say."""

    zarr_format: ClassVar[int] = 2

    def to_json(self) -> dict[str, JSON]:
        """As that of a group of v3 would be, but for the format."""
        return {**super().to_json(), "zarr_format": 2}


def check_format(found: Mapping[str, JSON]) -> None:
    """Refuse a document that is not one of Zarr v2."""
    version = found.get("zarr_format", "nothing")
    if type(version) is not int or version != 2:
        raise MetadataError(field="zarr_format", expected="2", found=version)


def _names(attributes: Mapping[str, JSON], ndim: int) -> tuple[str, ...] | None:
    """What xarray calls the axes; it may be anything, for attributes are the user's own."""
    names: Any = attributes.get(DIMENSIONS)
    if isinstance(names, list) and len(names) == ndim and all(isinstance(n, str) for n in names):
        return tuple(names)
    return None


def _chunks(json: JSON, shape: Shape) -> list[int]:
    chunks = check_lengths(json, "chunks", least=0)
    if len(chunks) != len(shape):
        raise MetadataError(
            field="chunks", expected=f"{len(shape)} lengths, as in the shape", found=json
        )
    for index, (side, length) in enumerate(zip(chunks, shape, strict=True)):
        if not side and length:
            raise MetadataError(
                field=f"chunks[{index}]", expected=f"an integer from 1 to {MAX_LENGTH}", found=0
            )
    return [side or 1 for side in chunks]  # zarr-python writes 0 for empty axes


def _common(found: Mapping[str, JSON]) -> ArrayV2:
    """An array with all that has nothing to do with shape, attributes and names."""
    try:
        text = marshal.dumps([found[name] for name in _COMMON], 2)
        if len(text) <= MAX_REMEMBERED:
            return _remembered(text)
    except (ValueError, MetadataError):
        pass  # not made of JSON's own types, too deep, or wrong
    return _read_common(found)


@lru_cache(1024)
def _remembered(text: bytes) -> ArrayV2:
    """What the text meant the last time."""
    values: Any = plain_json(marshal.loads(text))
    return _read_common(dict(zip(_COMMON, values, strict=True)))


def _read_common(found: Mapping[str, Any]) -> ArrayV2:
    chunks = tuple(found["chunks"])
    filters = _filters(found["filters"])
    compressor: Codec | None = None
    if found["compressor"] is not None:
        with inside("compressor"):
            compressor = _bytes_codec(found["compressor"])
    kind, stored = _data_type(found["dtype"], filters)
    if prod(chunks) * kind.numpy.itemsize > MAX_LENGTH:
        raise MetadataError(
            field="chunks", expected="chunks of less than 2**63 bytes", found=chunks
        )
    with inside("fill_value"):
        fill_value = read_fill(found["fill_value"], kind, stored)
    codecs = [*_order(found["order"], len(chunks)), *_elements(kind, stored, filters)]
    if compressor is not None:
        codecs.append(compressor)
    array = ArrayV2(
        shape=chunks,
        data_type=kind,
        chunk_shape=chunks,
        fill_value=fill_value,
        codecs=tuple(codecs),
        key_encoding=_keys(found["dimension_separator"]),
    )
    _check_sizes(array, filters)
    _ = array.coder  # binds the codecs: fails here if they cannot take these chunks
    return array


def _filters(json: JSON) -> list[Codec]:
    if json is None:
        return []
    codecs: list[Codec] = []
    for index, entry in enumerate(check_list(json, "filters")):
        with inside(f"filters[{index}]"):
            codecs.append(_bytes_codec(entry) if index else codec_from_v2(entry))
    return codecs


def _bytes_codec(json: JSON) -> Codec:
    codec = codec_from_v2(json)
    if not isinstance(codec, BytesBytesCodec):
        raise MetadataError(
            field="id", expected="a codec of bytes, after the first filter", found=codec.name
        )
    return codec


def _data_type(json: JSON, filters: list[Codec]) -> tuple[DataType, DType]:
    """The data type, and the dtype of what is stored. Objects are text or bytes."""
    first = filters[0] if filters else None
    objects = isinstance(json, str) and json in ("|O", "<O", ">O")
    if objects:
        kind = String() if _is_categories(first) else _OBJECTS.get(type(first))
        if kind is None:
            raise MetadataError(
                field="filters",
                expected='"vlen-utf8" or "vlen-bytes" first, because the dtype is "|O"',
                found=first.name if first else None,
            )
        return kind, kind.numpy
    with inside("dtype"):
        kind, stored = read_dtype(json)
    if isinstance(first, ArrayBytesCodec) and not (_is_categories(first) and stored.kind == "U"):
        raise MetadataError(
            field="filters[0].id", expected=f"a filter for {stored.str}", found=first.name
        )
    return kind, stored


def _is_categories(codec: Codec | None) -> bool:
    return codec is not None and codec.name == "categorize"


def _order(json: JSON, ndim: int) -> list[Codec]:
    if json not in ("C", "F"):
        raise MetadataError(field="order", expected='"C" or "F"', found=json)
    return [TransposeCodec(tuple(reversed(range(ndim))))] if json == "F" and ndim > 1 else []


def _elements(kind: DataType, stored: DType, filters: list[Codec]) -> list[Codec]:
    """From elements to bytes, and what comes after."""
    if filters and isinstance(filters[0], ArrayBytesCodec):
        return filters
    order = byte_order(stored)
    if order is None:
        return [BytesCodec("little"), ByteOrder(counts(stored)), *filters]
    return [BytesCodec(order), *filters]


def _check_sizes(array: ArrayV2, filters: list[Codec]) -> None:
    """Whether each filter can take as many bytes as it is given."""
    size: int | None = None if array.data_type.variable else array.spec.nbytes
    for index, codec in enumerate(filters):
        if isinstance(codec, BytesBytesCodec) and size is not None:
            with inside(f"filters[{index}]"):
                size = codec.encoded_size(size)


def _keys(separator: JSON) -> KeyEncoding:
    if separator not in (None, ".", "/"):
        raise MetadataError(field="dimension_separator", expected='"." or "/"', found=separator)
    return KeyEncoding("v2", separator or ".")
