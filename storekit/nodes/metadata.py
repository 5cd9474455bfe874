"""
The document of an array: read with suspicion, written for the strictest reader.

Source: Zarr v3 core specification, "Array metadata".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any

from storekit.codecs.base import ChunkCoder, ChunkSpec, Codec
from storekit.codecs.pipeline import Pipeline
from storekit.codecs.registry import codec_from_json, codec_to_json, generation
from storekit.errors import MetadataError
from storekit.nodes.chunk_keys import DEFAULT_KEYS, KeyEncoding
from storekit.nodes.documents import dump_document, inside, plain_json
from storekit.nodes.dtypes import DataType, Struct, data_type_from_json
from storekit.nodes.group_metadata import (
    GroupMetadata,
    check_attributes,
    open_document,
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

__all__ = ["ArrayMetadata", "GroupMetadata", "parse_node"]

MAX_REMEMBERED = 1 << 16
"""Bytes of a document up to which its meaning is remembered."""

_MANDATORY = ("shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs")
_OPTIONAL = ("attributes", "dimension_names", "storage_transformers")


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

    def __post_init__(self) -> None:
        shape = check_lengths(self.shape, "shape", least=0)
        chunk_shape = check_lengths(self.chunk_shape, CHUNK_SHAPE, least=1)
        if len(chunk_shape) != len(shape):
            raise MetadataError(
                field=CHUNK_SHAPE,
                expected=f"{len(shape)} lengths, as in the shape",
                found=chunk_shape,
            )
        if prod(chunk_shape) * self.data_type.numpy.itemsize > MAX_LENGTH:
            raise MetadataError(
                field=CHUNK_SHAPE,
                expected="chunks of less than 2**63 bytes",
                found=chunk_shape,
            )
        for name, value in (
            ("shape", shape),
            ("chunk_shape", chunk_shape),
            ("codecs", tuple(self.codecs)),
            ("attributes", check_attributes(self.attributes)),
            ("dimension_names", check_names(self.dimension_names, len(shape))),
        ):
            object.__setattr__(self, name, value)

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
        try:
            found = open_document(document)
            if found["node_type"] != "array":
                raise MetadataError(field="node_type", expected='"array"', found=found["node_type"])
            metadata = cls._read(found)
            _ = metadata.coder  # binds the codecs: fails here if they cannot take these chunks
        except MetadataError as error:
            raise error.located(key) from error.__cause__
        except RecursionError:
            raise MetadataError("the document is nested too deeply", document=key) from None
        return metadata

    @classmethod
    def _read(cls, found: Mapping[str, JSON]) -> ArrayMetadata:
        for name in _MANDATORY:
            if name not in found:
                raise MetadataError(field=name, expected="to be present", found="nothing")
        extra = unknown_fields(found, ("zarr_format", "node_type", *_MANDATORY, *_OPTIONAL))
        transformers = found.get("storage_transformers", [])
        if transformers != [] or not isinstance(transformers, list | tuple):
            raise MetadataError(
                field="storage_transformers", expected="an empty list", found=transformers
            )
        data_type = data_type_from_json(found["data_type"])
        with inside("fill_value"):
            fill_value = data_type.fill_from_json(found["fill_value"])
        codecs, ignored = _codecs(found["codecs"])
        metadata = cls(
            shape=check_list(found["shape"], "shape"),
            data_type=data_type,
            chunk_shape=read_grid(found["chunk_grid"]),
            fill_value=fill_value,
            codecs=codecs,
            key_encoding=KeyEncoding.from_json(found["chunk_key_encoding"]),
            attributes=found.get("attributes", {}),
            dimension_names=check_list(found["dimension_names"], "dimension_names")
            if "dimension_names" in found
            else None,
            extra=extra,
            ignored_codecs=ignored,
        )
        if isinstance(data_type, Struct) and data_type.legacy:
            # zarr-python 3.1 leaves the byte order of records unsaid, and means little-endian.
            codecs = Pipeline(codecs).evolved(metadata.spec).codecs
            metadata = replace(metadata, codecs=codecs)
        return metadata

    def to_json(self) -> dict[str, JSON]:
        """The document. The caller may change it."""
        codecs: list[JSON] = [codec_to_json(codec) for codec in self.codecs]
        for place, entry in self.ignored_codecs:
            codecs.insert(place, plain_json(entry))
        document: dict[str, JSON] = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.data_type.to_json(),
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(self.chunk_shape)},
            },
            "chunk_key_encoding": self.key_encoding.to_json(),
            "fill_value": self.data_type.fill_to_json(self.fill_value),
            "codecs": codecs,
            "attributes": plain_json(self.attributes),
        }
        if self.dimension_names is not None:
            document["dimension_names"] = list(self.dimension_names)
        return {**document, **plain_json(self.extra)}

    def to_bytes(self) -> bytes:
        """
        The document as JSON.

        Raises:
            MetadataError: If an attribute is not finite, which JSON cannot say.
        """
        return dump_document(self.to_json())

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
        # As text, because NaN differs from itself and 0.0 equals -0.0.
        return repr(_sorted(self.to_json())) == repr(_sorted(other.to_json()))

    def __hash__(self) -> int:
        return hash((self.shape, self.chunk_shape, self.data_type))


def parse_node(document: Value | Mapping[str, JSON], key: str) -> ArrayMetadata | GroupMetadata:
    """
    The array or the group that a document describes.

    Args:
        document: The bytes, or the JSON object.

        key: Where it lies, for errors.

    Raises:
        MetadataError: If it is neither, or malformed.
    """
    try:
        if isinstance(document, bytes) and len(document) <= MAX_REMEMBERED:
            return _own(_remembered(document, generation()))
        return _parse(document)
    except MetadataError as error:
        raise error.located(key) from error.__cause__


def _parse(document: Value | Mapping[str, JSON]) -> ArrayMetadata | GroupMetadata:
    found = open_document(document)
    match found["node_type"]:
        case "array":
            return ArrayMetadata.from_json(found, "")
        case "group":
            return GroupMetadata.from_json(found, "")
    raise MetadataError(field="node_type", expected='"array" or "group"', found=found["node_type"])


@lru_cache(1024)
def _remembered(document: bytes, _: int) -> ArrayMetadata | GroupMetadata:
    """
    What the same bytes meant the last time, while the same codecs are registered. Metadata does not
    change, and parsing costs 30 us where reading a document costs 10.
    """
    return _parse(document)


def _own(metadata: ArrayMetadata | GroupMetadata) -> ArrayMetadata | GroupMetadata:
    """A copy that shares nothing that can be changed: lists in attributes belong to one node."""
    copy = object.__new__(type(metadata))
    vars(copy).update(vars(metadata))
    for name in ("attributes", "extra", "consolidated"):
        if vars(copy).get(name):
            vars(copy)[name] = plain_json(vars(copy)[name], name)
    return copy


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


def _sorted(json: JSON) -> JSON:
    if isinstance(json, Mapping):
        return [(key, _sorted(json[key])) for key in sorted(json)]
    return [_sorted(item) for item in json] if isinstance(json, list | tuple) else json
