"""
``vlen-utf8`` and ``vlen-bytes``: elements of any length.

Source: Zarr extension codecs ``vlen-utf8`` and ``vlen-bytes``: the number of elements, then for
each its length in bytes and the bytes, in C order; numbers are little-endian 32-bit integers.
"""

from __future__ import annotations

import struct
from abc import abstractmethod
from collections.abc import Mapping
from math import prod
from typing import Any, Self

import numpy as np

from storekit.codecs.base import ArrayBytesCodec, check_keys
from storekit.codecs.coder import GIL_HELD, ChunkCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError, MetadataError
from storekit.selection.part import Part, take
from storekit.typing import JSON, AnyArray, Value

__all__ = ["VlenBytesCodec", "VlenUtf8Codec"]

_LENGTH = struct.Struct("<I")


class _VlenCodec(ArrayBytesCodec):
    """What the two have in common."""

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a metadata document."""
        check_keys(configuration)
        return cls()

    def to_config(self) -> dict[str, JSON]:
        """Nothing."""
        return {}

    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """The coder for chunks of a type whose elements have no fixed size."""
        if not spec.variable or not isinstance(spec.fill_value, self.item):
            raise MetadataError(f"cannot store elements of type {spec.dtype}")
        return _VlenCoder(spec, self)

    item: type

    @abstractmethod
    def pack(self, items: list[Any]) -> list[bytes]:
        """The bytes of every element."""

    @abstractmethod
    def unpack(self, items: list[bytes]) -> list[Any]:
        """The elements again."""


class VlenUtf8Codec(_VlenCodec):
    """Store strings, as arrays of `numpy.dtypes.StringDType` or of objects hold them."""

    name = "vlen-utf8"
    item = str

    def pack(self, items: list[Any]) -> list[bytes]:
        """In UTF-8."""
        return list(map(str.encode, items))

    def unpack(self, items: list[bytes]) -> list[Any]:
        """From UTF-8; nothing else is accepted."""
        return list(map(bytes.decode, items))


class VlenBytesCodec(_VlenCodec):
    """Store bytes, as arrays of objects hold them."""

    name = "vlen-bytes"
    item = bytes

    def pack(self, items: list[Any]) -> list[bytes]:
        """As they are."""
        return [item if type(item) is bytes else bytes(memoryview(item)) for item in items]

    def unpack(self, items: list[bytes]) -> list[Any]:
        """As they are."""
        return items


class _VlenCoder(ChunkCoder):
    rate = GIL_HELD

    def __init__(self, spec: ChunkSpec, codec: _VlenCodec) -> None:
        self.spec, self._codec, self._count = spec, codec, prod(spec.shape)

    def encode(self, chunk: AnyArray) -> Value:
        if chunk.shape != self.spec.shape:
            raise self._error(f"a chunk of shape {self.spec.shape}", chunk.shape)
        try:
            items = self._codec.pack(chunk.reshape(-1).tolist())
        except (AttributeError, TypeError, UnicodeEncodeError) as error:
            raise self._error(f"only {self._codec.item.__name__}", error) from error
        pieces = [_LENGTH.pack(self._count)] * (1 + 2 * len(items))
        pieces[1::2] = np.fromiter(map(len, items), "<u4", len(items)).view("V4").tolist()
        pieces[2::2] = items
        return b"".join(pieces)

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        chunk = self.decode(data)
        out[...] = chunk if part is None else take(chunk, part)

    def decode(self, data: Value) -> AnyArray:
        try:
            items = self._codec.unpack(self._split(bytes(data)))
        except UnicodeDecodeError as error:
            raise self._error("valid UTF-8", error) from error
        chunk: AnyArray = np.empty(self._count, self.spec.dtype)
        chunk[:] = items
        return chunk.reshape(self.spec.shape)

    def _split(self, data: bytes) -> list[bytes]:
        """The elements. No length is believed: slices end where the data ends."""
        count = int.from_bytes(data[:4], "little")
        if count != self._count:
            raise self._error(f"{self._count} elements", count)
        items = []
        place, length_at = 4, _LENGTH.unpack_from
        try:
            for _ in range(count):
                start = place + 4
                place = start + length_at(data, place)[0]
                items.append(data[start:place])
        except struct.error as error:
            raise self._error(f"{count} elements", len(items)) from error
        if place != len(data):
            raise self._error(f"{place} bytes", len(data))
        return items

    def _error(self, expected: str, found: object) -> CodecError:
        return CodecError(f"expected {expected}, found {found}", codec=self._codec.name)
