"""
The codecs of an array, in order, and the one coder that they become for its chunks.

Source: Zarr v3 core specification, "Codecs": any number of array->array codecs, exactly one
array->bytes codec, any number of bytes->bytes codecs; encoding goes from left to right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from storekit.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, Codec, within
from storekit.codecs.chain import Compressed, Guarded, Rearranged
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.registry import codec_from_json, codec_to_json, preset
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError
from storekit.typing import JSON

__all__ = ["Pipeline"]

T = TypeVar("T")


class Pipeline:
    """
    A chain of codecs. Immutable; equal when its codecs are.

    Args:
        codecs: In the order in which they encode.

        field: What metadata calls the list.

    Raises:
        MetadataError: If the order is not array->array*, array->bytes, bytes->bytes*.
    """

    def __init__(self, codecs: Iterable[Codec], *, field: str = "codecs") -> None:
        self.codecs = tuple(codecs)
        self.field = field
        stage = 0
        for i, codec in enumerate(self.codecs):
            kind = _kind(codec, f"{field}[{i}]")
            if kind < stage or (kind == stage == 1):
                expected = "array->array codecs, one array->bytes codec, then bytes->bytes codecs"
                raise MetadataError(field=f"{field}[{i}]", expected=expected, found=codec.name)
            stage = kind
        if not any(isinstance(codec, ArrayBytesCodec) for codec in self.codecs):
            names = [codec.name for codec in self.codecs]
            raise MetadataError(field=field, expected="an array->bytes codec", found=names)

    @classmethod
    def from_json(cls, json: JSON, *, field: str = "codecs") -> Pipeline:
        """
        The chain that the list ``codecs`` in metadata describes.

        Raises:
            MetadataError: With the path of the faulty field.
        """
        if not isinstance(json, list | tuple):
            raise MetadataError(field=field, expected="a list of codecs", found=json)
        codecs = []
        for i, entry in enumerate(json):
            codec = _located(f"{field}[{i}]", codec_from_json, entry)
            if codec is not None:
                codecs.append(codec)
        return cls(codecs, field=field)

    @classmethod
    def of(cls, codecs: str | Sequence[Codec | JSON], spec: ChunkSpec) -> Pipeline:
        """
        The chain that a user asks for, complete for the chunks that it will encode.

        Args:
            codecs: The name of a preset; or codecs, metadata entries of codecs, or both mixed.

            spec: The chunks.

        Raises:
            MetadataError: With the path of the faulty field.
        """
        if isinstance(codecs, str):
            return cls(preset(codecs, spec))
        if not isinstance(codecs, Sequence):
            raise MetadataError(
                field="codecs", expected="a preset or a list of codecs", found=codecs
            )
        entries = [codec_to_json(c) if isinstance(c, Codec) else c for c in codecs]
        made = [
            codec if isinstance(codec, Codec) else _located(f"codecs[{i}]", codec_from_json, entry)
            for i, (codec, entry) in enumerate(zip(codecs, entries, strict=True))
        ]
        return cls([codec for codec in made if codec is not None]).evolved(spec)

    def to_json(self) -> list[JSON]:
        """The list for metadata."""
        return [codec_to_json(codec) for codec in self.codecs]

    def evolved(self, spec: ChunkSpec) -> Pipeline:
        """The chain with what its user left open filled in for such chunks."""
        codecs: list[Codec] = []
        for i, codec in enumerate(self.codecs):
            place = f"{self.field}[{i}]"
            codec = _located(place, codec.evolved, spec)
            if isinstance(codec, ArrayArrayCodec):
                spec = _located(place, codec.encoded_spec, spec)
            codecs.append(codec)
        return Pipeline(codecs, field=self.field)

    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """
        The coder for such chunks.

        Raises:
            MetadataError: If a codec cannot take what it would be given.
        """
        arrays: list[tuple[ArrayArrayCodec, ChunkSpec]] = []
        tail: list[BytesBytesCodec] = []
        inner = spec
        coder: ChunkCoder | None = None
        for i, codec in enumerate(self.codecs):
            place = f"{self.field}[{i}]"
            if isinstance(codec, ArrayArrayCodec):
                inner = _located(place, codec.encoded_spec, inner)
                arrays.append((codec, inner))
            elif isinstance(codec, ArrayBytesCodec):
                coder = Guarded(codec.name, _located(place, codec.bind, inner))
            elif isinstance(codec, BytesBytesCodec):
                tail.append(codec)
        if coder is None:  # cannot be: the constructor saw to it
            raise MetadataError(field=self.field, expected="an array->bytes codec")
        if tail:
            coder = Compressed(coder, tail)
        for i in reversed(range(len(arrays))):
            coder = Rearranged(arrays[i][0], arrays[i - 1][1] if i else spec, coder)
        return coder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.codecs == other.codecs

    def __hash__(self) -> int:
        return hash(self.codecs)

    def __repr__(self) -> str:
        return f"Pipeline({list(self.codecs)!r})"


def _kind(codec: Codec, field: str) -> int:
    for kind, cls in enumerate((ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec)):
        if isinstance(codec, cls):
            return kind
    raise MetadataError(field=field, expected="a codec of one of the three kinds", found=codec)


def _located(place: str, call: Callable[..., T], *args: object) -> T:
    try:
        return call(*args)
    except MetadataError as error:
        raise within(error, place) from error
