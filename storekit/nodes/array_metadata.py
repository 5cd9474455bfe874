"""
The document of an array: read with suspicion, written for the strictest reader.

The arrays of a hierarchy differ in little but shape, attributes and names. What the rest of a
document means, its *common* part, is found out once (20 us) and found again by its text (1 us).

Source: Zarr v3 core specification, "Array metadata".
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any, ClassVar, Self

from storekit.codecs.base import Codec
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.pipeline import Pipeline
from storekit.codecs.registry import codec_from_json, codec_to_json, generation
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError
from storekit.nodes.chunk_keys import DEFAULT_KEYS, KeyEncoding
from storekit.nodes.documents import dump_fields, inside, join_fields, plain_json
from storekit.nodes.dtypes import DataType, Struct, data_type_from_json
from storekit.nodes.group_metadata import (
    check_attributes,
    read_as,
    same_json,
    unknown_fields,
)
from storekit.nodes.shapes import (
    CHUNK_SHAPE,
    MAX_LENGTH,
    check_lengths,
    check_list,
    check_names,
    read_grid,
)
from storekit.typing import JSON, Shape, Value

__all__ = ["ArrayMetadata"]

MAX_REMEMBERED = 1 << 12
"""Bytes of a common part up to which its meaning is remembered."""

_COMMON = ("data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs")
_IN_ORDER = ("shape", *_COMMON)
_MANDATORY = frozenset(_IN_ORDER)
_OPTIONAL = ("attributes", "dimension_names", "storage_transformers")
_KNOWN = frozenset(("zarr_format", "node_type", *_MANDATORY, *_OPTIONAL))
_HEAD = '  "zarr_format": 3,\n  "node_type": "array",\n  "shape": {}'


@dataclass(frozen=True, eq=False)
class ArrayMetadata:
    """
    What the document of an array says. Immutable; equal when the documents would be.

    Args:
        shape: Of the array.

        data_type: Of its elements.

        chunk_shape: Of the cells of the chunk grid: of the shards, where there are shards.

        fill_value: A scalar of the data type, as `storekit.nodes.fill.cast_fill` makes it.

        codecs: In the order in which they encode.

        key_encoding: How the keys of chunks are spelled.

        attributes: The user's own JSON. Copied.

        dimension_names: One an axis, None for an axis without a name; None if no axis has one.

        extra: Unknown fields that need not be understood. Kept when the document is written again.

        ignored_codecs: Unknown codecs that need not be understood, by their place among all. Kept,
            too.

    Raises:
        MetadataError: If these do not go together. `document` is not set.
    """

    shape: Shape
    data_type: DataType
    chunk_shape: Shape
    fill_value: Any
    codecs: tuple[Codec, ...]
    key_encoding: KeyEncoding = DEFAULT_KEYS
    attributes: Mapping[str, JSON] = field(default_factory=dict)
    dimension_names: tuple[str | None, ...] | None = None
    extra: Mapping[str, JSON] = field(default_factory=dict)
    ignored_codecs: tuple[tuple[int, JSON], ...] = ()

    zarr_format: ClassVar[int] = 3

    def __post_init__(self) -> None:
        shape = check_lengths(self.shape, "shape", least=0)
        chunk_shape = check_lengths(self.chunk_shape, CHUNK_SHAPE, least=1)
        vars(self).update(chunk_shape=chunk_shape, codecs=tuple(self.codecs))
        self._set_own(shape, self.attributes, self.dimension_names)
        if prod(chunk_shape) * self.data_type.numpy.itemsize > MAX_LENGTH:
            raise MetadataError(
                field=CHUNK_SHAPE,
                expected="chunks of less than 2**63 bytes",
                found=chunk_shape,
            )

    def _set_own(self, shape: Shape, attributes: object, names: object) -> None:
        """Take what an array shares with no other; the shape is checked already."""
        if len(self.chunk_shape) != len(shape):
            raise MetadataError(
                field=CHUNK_SHAPE,
                expected=f"{len(shape)} lengths, as in the shape",
                found=self.chunk_shape,
            )
        vars(self).update(
            shape=shape,
            attributes=check_attributes(attributes),
            dimension_names=check_names(names, len(shape)),
        )

    def like(
        self,
        shape: Shape,
        attributes: object,
        dimension_names: object,
        extra: Mapping[str, JSON],
    ) -> Self:
        """
        Another array with the same data type, chunks, fill value and codecs, which stay bound.

        Args:
            shape: Lengths that have been checked.

            attributes: Copied.

            dimension_names: As for a new object.

            extra: As for a new object.

        Raises:
            MetadataError: If the rank differs, or a part is malformed.
        """
        other = object.__new__(type(self))
        vars(other).update(vars(self), extra=extra)
        other._set_own(shape, attributes, dimension_names)
        return other

    def reshaped(self, shape: Shape) -> Self:
        """
        The same array with other lengths.

        Raises:
            MetadataError: If they are no lengths, or their number differs.
        """
        lengths = check_lengths(shape, "shape", least=0)
        return self.like(lengths, self.attributes, self.dimension_names, self.extra)

    @classmethod
    def from_json(cls, document: Value | Mapping[str, JSON], key: str) -> ArrayMetadata:
        """
        The array that a document describes, with codecs that fit its chunks.

        Args:
            document: The bytes, or the JSON object.

            key: Where it lies, for errors.

        Raises:
            MetadataError: If it is no valid document of an array, or needs what storekit lacks.
        """
        return read_as("array", cls.read, document, key)

    @classmethod
    def read(cls, found: Mapping[str, JSON]) -> ArrayMetadata:
        """The array that an opened document of one describes."""
        if not found.keys() >= _MANDATORY:
            missing = next(name for name in _IN_ORDER if name not in found)
            raise MetadataError(field=missing, expected="to be present", found="nothing")
        extra = unknown_fields(found, _KNOWN)
        transformers = found.get("storage_transformers", [])
        if transformers != [] or not isinstance(transformers, list | tuple):
            raise MetadataError(
                field="storage_transformers", expected="an empty list", found=transformers
            )
        shape = check_lengths(found["shape"], "shape", least=0)
        names = found.get("dimension_names")
        if names is None and "dimension_names" in found:
            check_list(names, "dimension_names")
        return _common(found).like(shape, found.get("attributes", {}), names, extra)

    @classmethod
    def read_common(cls, found: Mapping[str, JSON]) -> ArrayMetadata:
        """An array with the common part of a document. The codecs are bound."""
        data_type = data_type_from_json(found["data_type"])
        with inside("fill_value"):
            fill_value = data_type.fill_from_json(found["fill_value"])
        codecs, ignored = _codecs(found["codecs"])
        chunk_shape = check_lengths(read_grid(found["chunk_grid"]), CHUNK_SHAPE, least=1)
        metadata = cls(
            shape=chunk_shape,
            data_type=data_type,
            chunk_shape=chunk_shape,
            fill_value=fill_value,
            codecs=codecs,
            key_encoding=KeyEncoding.from_json(found["chunk_key_encoding"]),
            ignored_codecs=ignored,
        )
        if isinstance(data_type, Struct) and data_type.legacy:
            # zarr-python 3.1 leaves the byte order of records unsaid, and means little-endian.
            codecs = Pipeline(codecs).evolved(metadata.spec).codecs
            metadata = replace(metadata, codecs=codecs)
        _ = metadata.coder  # binds the codecs: fails here if they cannot take these chunks
        return metadata

    def to_json(self) -> dict[str, JSON]:
        """The document. The caller may change it."""
        head = {"zarr_format": 3, "node_type": "array", "shape": list(self.shape)}
        return {**head, **self._common_json(), **self._tail()}

    def to_bytes(self) -> bytes:
        """The document as JSON."""
        # The text of the rest is that of every array like this one.
        head = _HEAD.format(list(self.shape))
        return join_fields(head, self._common_fields, dump_fields(self._tail()))

    def _common_json(self) -> dict[str, JSON]:
        codecs: list[JSON] = [codec_to_json(codec) for codec in self.codecs]
        for place, entry in self.ignored_codecs:
            codecs.insert(place, plain_json(entry))
        return {
            "data_type": self.data_type.to_json(),
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(self.chunk_shape)},
            },
            "chunk_key_encoding": self.key_encoding.to_json(),
            "fill_value": self.data_type.fill_to_json(self.fill_value),
            "codecs": codecs,
        }

    @cached_property
    def _common_fields(self) -> str:
        return dump_fields(self._common_json())

    def _tail(self) -> dict[str, JSON]:
        tail: dict[str, JSON] = {"attributes": check_attributes(self.attributes)}
        if self.dimension_names is not None:
            tail["dimension_names"] = list(self.dimension_names)
        return {**tail, **plain_json(self.extra)} if self.extra else tail

    @cached_property
    def spec(self) -> ChunkSpec:
        """The chunk that the codecs see."""
        return ChunkSpec(self.chunk_shape, self.data_type.numpy, self.fill_value)

    @cached_property
    def coder(self) -> ChunkCoder:
        """
        The codecs, bound to the chunks.

        Raises:
            MetadataError: If the codecs are in the wrong order, or cannot take such chunks.
        """
        return Pipeline(self.codecs).bind(self.spec)

    def __getstate__(self) -> dict[str, Any]:
        # Not the coder: it holds what belongs to one process.
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrayMetadata):
            return NotImplemented
        return same_json(self.to_json(), other.to_json())

    def __hash__(self) -> int:
        return hash((self.shape, self.chunk_shape, self.data_type))


def _common(found: Mapping[str, JSON]) -> ArrayMetadata:
    """An array with the common part of a document; its own part may be anything."""
    try:
        # Exact: no two values of other types or bits, such as 1 and 1.0, have one text.
        text = marshal.dumps([found[name] for name in _COMMON], 2)
        if len(text) <= MAX_REMEMBERED:
            return _remembered_common(text, generation())
    except (ValueError, MetadataError):
        pass  # not made of JSON's own types, too deep, or wrong
    return ArrayMetadata.read_common(found)


@lru_cache(1024)
def _remembered_common(text: bytes, _: object) -> ArrayMetadata:
    """What the text meant the last time, while the same codecs are registered."""
    # From the text alone, not from what it was made of: marshal writes any buffer as bytes, so that
    # numpy's scalars could pass for each other; bytes are no JSON.
    values: Any = plain_json(marshal.loads(text))
    return ArrayMetadata.read_common(dict(zip(_COMMON, values, strict=True)))


def _codecs(json: JSON) -> tuple[tuple[Codec, ...], tuple[tuple[int, JSON], ...]]:
    codecs: list[Codec] = []
    ignored: list[tuple[int, JSON]] = []
    for index, entry in enumerate(check_list(json, "codecs")):
        with inside(f"codecs[{index}]"):
            codec = codec_from_json(entry)
        if codec is None:
            ignored.append((index, plain_json(entry, f"codecs[{index}]")))
        else:
            codecs.append(codec)
    return tuple(codecs), tuple(ignored)
