"""
What a codec is, and what a chain of codecs becomes once an array is known.

A codec is described by its name and configuration, as metadata spells it, and says what it makes of
a chunk. An array's codecs are bound once to the chunk they will see (`ChunkSpec`) and give one
`ChunkCoder`, in which everything constant is resolved; only coders run per chunk.

Source: Zarr v3 core specification, "Codecs" (the order array->array*, array->bytes, bytes->bytes*).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from storekit.errors import MetadataError, UnsupportedError
from storekit.selection.part import Part, part_shape, put
from storekit.selection.plan import WHOLE
from storekit.typing import JSON, AnyArray, DType, Fetch, Shape, Value

__all__ = [
    "GIL_HELD",
    "ArrayArrayCodec",
    "ArrayBytesCodec",
    "BytesBytesCodec",
    "ChunkCoder",
    "ChunkSpec",
    "Codec",
    "check_keys",
    "joint_rate",
    "within",
]

PATTERN_BYTES = 1 << 16

GIL_HELD = 1 << 62
"""The rate of what holds the GIL: no other thread could work meanwhile."""


@dataclass(frozen=True)
class ChunkSpec:
    """
    The chunk that a codec sees.

    Args:
        shape: Of the chunk; edge chunks are whole, too.

        dtype: As numpy has it in memory, in native byte order: `StringDType` for string, object for
            bytes.

        fill_value: A numpy scalar (str, bytes for the two variable-length types).
    """

    shape: Shape
    dtype: DType
    fill_value: Any

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the decoded chunk in memory (of references, for variable-length types)."""
        return prod(self.shape) * self.dtype.itemsize

    @cached_property
    def variable(self) -> bool:
        """Whether elements have no fixed size in bytes."""
        return self.dtype.hasobject or self.dtype.kind == "T"

    def full(self, shape: Shape | None = None) -> AnyArray:
        """A new array of the fill value; of the chunk's shape unless told otherwise."""
        result = np.empty(self.shape if shape is None else shape, self.dtype)
        result[...] = self.fill_value
        return result

    def is_fill(self, chunk: AnyArray) -> bool:
        """
        Whether every element is the fill value, to the bit: NaN equals NaN, and -0.0 is not 0.0.

        Two NaNs are equal when their payloads are. Variable-length elements are compared by ``==``.
        """
        if self.variable:
            return all(item == self.fill_value for item in chunk.flat)
        if not chunk.size or not self.dtype.itemsize:
            return True
        first = chunk[(slice(0, 1),) * chunk.ndim].tobytes()
        if not self._pattern.startswith(first):
            return False
        return all(self._repeats(piece) for piece in _contiguous(chunk))

    @cached_property
    def _pattern(self) -> bytearray:
        """
        The fill value over and over, for comparing; small enough to stay in the processor's cache.
        """
        item = np.full((), self.fill_value, self.dtype).tobytes()
        return bytearray(item * max(1, min(PATTERN_BYTES, self.nbytes) // len(item)))

    def _repeats(self, chunk: AnyArray) -> bool:
        data = chunk.reshape(-1).view(np.uint8).data
        pattern = self._pattern
        step = len(pattern)
        # A bytearray compares with any buffer by memcmp; no other type of Python or numpy does.
        for start in range(0, len(data) - step + 1, step):
            if pattern != data[start : start + step]:
                return False
        rest = len(data) % step
        return not rest or pattern[:rest] == data[-rest:]


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


class ChunkCoder(ABC):
    """
    The codecs of an array, bound to its chunks.

    Threads: safe. Coders keep no state but per-thread scratch memory.
    """

    spec: ChunkSpec

    ranges: bool = False
    """Whether `read_part` is there: whether a part can be read without the whole value."""

    plain: bool = False
    """
    Whether a chunk is encoded as its own memory in C order, so that it may be decoded in place.
    """

    encoded_size: int | None = None
    """The size of every encoded chunk in bytes, if it does not depend on the content."""

    rate: int = 10_000
    """
    About how many bytes native code decodes in a microsecond, without the GIL; `GIL_HELD` if with.

    It tells when a second thread pays: in small native calls two threads mostly wait for the GIL.
    Chunks of 16 KiB, not compressed, are read inline in 10.8 us, by two threads in 14 to 21;
    compressed with zstd inline in 28, by two threads in 18.
    """

    @abstractmethod
    def encode(self, chunk: AnyArray) -> Value | None:
        """
        The bytes of a chunk.

        Args:
            chunk: Of the spec's shape and dtype, in any memory layout. Not changed.

        Returns:
            A buffer that may share memory with `chunk`; None where the format itself says that the
            chunk need not be stored (a shard without inner chunks).
        """

    @abstractmethod
    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """
        Decode a chunk, or a part of it, to an array.

        Args:
            data: The bytes, not to be trusted.

            out: A writable view of the spec's dtype, with the shape of the chunk or of the part.

            part: Which part; the whole chunk if None.

        Raises:
            CodecError: If the bytes are damaged. `out` may then hold anything.
        """

    def decode(self, data: Value) -> AnyArray:
        """The chunk as an array; read-only where it is a view of `data`."""
        out = np.empty(self.spec.shape, self.spec.dtype)
        self.decode_into(data, out)
        return out

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        """
        Read and decode a part of a chunk by byte ranges. Only for coders with `ranges`.

        Args:
            fetch: Reads byte ranges of the chunk's value.

            out: As for `decode_into`.

            part: Which part.

        Raises:
            KeyNotFoundError: If the chunk is absent.

            CodecError: If the bytes are damaged.
        """
        raise UnsupportedError(f"{type(self).__name__} does not read by ranges")

    def update(self, data: Value | None, part: Part, values: AnyArray) -> Value | None:
        """
        The bytes of a chunk of which a part is written over.

        Args:
            data: The bytes it has; None if it is absent (all fill value).

            part: Which part.

            values: The new elements, of a shape that broadcasts to that of the part.

        Returns:
            As `encode`; None as well if every element has become the fill value.
        """
        if data is None:
            chunk = self.spec.full()
        else:
            chunk = np.empty(self.spec.shape, self.spec.dtype)
            self.decode_into(data, chunk)
        put(chunk, part, values)
        return None if self.spec.is_fill(chunk) else self.encode(chunk)

    def decode_step(
        self, data: Value, work: AnyArray, where: Part, part: Part, extent: int
    ) -> None:
        """
        Decode what a step of a plan asks for to its place in the working array.

        Args:
            data: The bytes of the chunk.

            work: The working array of the plan.

            where: The place in it.

            part: The part of the chunk.

            extent: `WHOLE` if the part is the chunk.

        Raises:
            CodecError: As `decode_into`.
        """
        if isinstance(where, tuple):
            # As `view`, whose calls would cost a tenth of what a chunk of 16 KiB takes in all.
            index: Any = (*where, ...)
            self.decode_into(data, work[index], None if extent == WHOLE else part)
        else:
            values = np.empty(part_shape(part), self.spec.dtype)
            self.decode_into(data, values, part)
            put(work, where, values)


def joint_rate(*rates: int) -> int:
    """
    The rate of steps one after the other. Beside one that holds the GIL others do not matter: it
    works in Python, and takes longest by far.
    """
    return GIL_HELD if GIL_HELD in rates else max(1, round(1 / sum(1 / rate for rate in rates)))


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


def _contiguous(chunk: AnyArray) -> Iterator[AnyArray]:
    """
    The elements of an array, in any order, as C-contiguous arrays; copied in pieces if they must
    be.
    """
    if chunk.flags.c_contiguous:
        yield chunk
    elif chunk.flags.f_contiguous:
        yield chunk.T
    elif chunk.nbytes <= 4 * PATTERN_BYTES or not chunk.ndim:
        yield np.ascontiguousarray(chunk)
    else:
        rows = max(1, len(chunk) * 4 * PATTERN_BYTES // chunk.nbytes)
        for start in range(0, len(chunk), rows):
            yield from _contiguous(chunk[start : start + rows] if len(chunk) > 1 else chunk[0])
