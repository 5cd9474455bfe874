"""
What a codec is.

A codec is described by its name and configuration, as metadata spells it, and says what it makes of
a chunk. An array's codecs are bound once to the chunk they will see (`ChunkSpec`) and give one
`ChunkCoder`.

Source: Zarr v3 core specification, "Codecs" (the order array->array*, array->bytes, bytes->bytes*).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

from storekit.codecs.coder import ChunkCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError
from storekit.selection.part import Part
from storekit.typing import JSON, AnyArray, Value

__all__ = [
    "ArrayArrayCodec",
    "ArrayBytesCodec",
    "BytesBytesCodec",
    "Codec",
    "check_keys",
    "within",
]


class Codec(ABC):
    """A named, configured step between arrays and bytes. Immutable; equal by configuration."""

    name: ClassVar[str]
    """The name written to metadata."""

    aliases: ClassVar[tuple[str, ...]] = ()
    """Further names under which it is read."""

    @classmethod
    @abstractmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """
        The codec that a metadata document describes.

        Raises:
            MetadataError: With `field` relative to the configuration.
        """

    @abstractmethod
    def to_config(self) -> dict[str, JSON]:
        """The configuration as metadata spells it; empty when there is nothing to configure."""

    def evolved(self, spec: ChunkSpec) -> Self:
        """
        The codec with what its user left open filled in for this chunk, before metadata is written.
        """
        return self

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_config() == other.to_config()

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        config = ", ".join(f"{key}={value!r}" for key, value in self.to_config().items())
        return f"{type(self).__name__}({config})"


class ArrayArrayCodec(Codec):
    """Turns an array into another array."""

    views: ClassVar[bool] = False
    """
    Whether `encode` only moves elements and gives a view, for any array of the right rank, so that
    decoding can write through it.
    """

    def encoded_part(self, part: Part) -> Part | None:
        """
        Which part of the encoded chunk `encode` would make of a part of the chunk. Only asked of
        codecs with `views`.

        Returns:
            None where there is no such part.
        """
        return None

    @abstractmethod
    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """
        What becomes of a chunk like this.

        Raises:
            MetadataError: If the codec cannot take such a chunk.
        """

    @abstractmethod
    def encode(self, chunk: AnyArray) -> AnyArray:
        """The encoded array; a view where possible."""

    @abstractmethod
    def decode(self, chunk: AnyArray) -> AnyArray:
        """The array again; a view where possible, so that writing to it writes to its argument."""


class ArrayBytesCodec(Codec):
    """Turns an array into bytes."""

    @abstractmethod
    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """
        The coder for chunks like this.

        Raises:
            MetadataError: If the codec cannot take such a chunk.
        """


class BytesBytesCodec(Codec):
    """Turns bytes into other bytes."""

    rate: int = 1_000
    """As that of `ChunkCoder`."""

    @abstractmethod
    def encode(self, data: Value) -> Value:
        """The encoded bytes."""

    @abstractmethod
    def decode(self, data: Value, size: int | None) -> Value:
        """
        The bytes again.

        Args:
            data: Encoded bytes, not to be trusted.

            size: How many bytes must come out, where that is known; no more is ever allocated.

        Raises:
            CodecError: If the bytes are damaged, or come out in another number than `size`.
        """

    def decode_into(self, data: Value, out: memoryview) -> None:
        """
        Decode to a writable view of bytes, all of which must be filled.

        Raises:
            CodecError: As `decode`. `out` may then hold anything.
        """
        out[:] = self.decode(data, len(out))

    def encoded_size(self, size: int) -> int | None:
        """The size that `size` bytes become, if it does not depend on their content."""
        return None


def check_keys(
    configuration: Mapping[str, JSON],
    *,
    required: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
) -> None:
    """
    Check that a configuration has all the keys that it must have, and no other than it may have.

    Raises:
        MetadataError: With the key as its field.
    """
    for key in required:
        if key not in configuration:
            raise MetadataError(field=key, expected="to be present", found="nothing")
    for key in configuration:
        if key not in required and key not in optional:
            allowed = ", ".join((*required, *optional)) or "none"
            raise MetadataError("unknown key", field=key, expected=allowed, found=key)


def within(error: MetadataError, field: str) -> MetadataError:
    """The same error, seen from the document that has the faulty part under `field`."""
    inner = error.field
    if inner is not None:
        field = f"{field}{inner}" if inner.startswith("[") else f"{field}.{inner}"
    return MetadataError(
        error.reason,
        document=error.document,
        field=field,
        expected=error.expected,
        found=error.found,
    )
