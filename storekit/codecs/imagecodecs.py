"""
``imagecodecs_b2nd`` and ``imagecodecs_blosc2``: blosc2 as the package imagecodecs brings it to
zarr-python.

The first is what `storekit.b2nd` is, under a name that zarr-python knows once imagecodecs-zarr is
installed: chunks are ``.b2nd`` frames. The second compresses bytes to a bare chunk of blosc2.

Source: imagecodecs-zarr 2026.10.10, whose readers refuse configuration keys other than their own;
numbers of threads, which they accept, say nothing about the data and are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from storekit.codecs.b2nd import CNAMES, SHUFFLES, FrameCoder
from storekit.codecs.base import ArrayBytesCodec, check_keys
from storekit.codecs.blosc import BloscChunks, blosc_rate
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.config import get_int, get_shape
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError, MetadataError
from storekit.frames.chunk import MAX_CHUNK, backend
from storekit.frames.grid import default_blocks
from storekit.typing import JSON, AnyArray, Shape, Value

__all__ = ["ImagecodecsB2ndCodec", "ImagecodecsBlosc2Codec"]

COMPRESSORS = {name.upper(): number for name, number in CNAMES.items()}
WRITABLE = dict(zip(("NOFILTER", "SHUFFLE", "BITSHUFFLE"), SHUFFLES.values(), strict=True))
FILTERS = {**WRITABLE, "DELTA": 3, "TRUNC_PREC": 4}
SPLITMODES = {"ALWAYS": 1, "NEVER": 2, "AUTO": 3, "FORWARD_COMPAT": 4}

_MAX_INT = (1 << 31) - 1


class ImagecodecsB2ndCodec(ArrayBytesCodec):
    """
    Store chunks as frames of blosc2.

    Args:
        level: From 0 (store) to 9 (smallest).

        compressor: ``"BLOSCLZ"``, ``"LZ4"``, ``"LZ4HC"``, ``"ZLIB"`` or ``"ZSTD"``.

        shuffle: ``"NOFILTER"``, ``"SHUFFLE"`` or ``"BITSHUFFLE"``; ``"DELTA"`` and ``"TRUNC_PREC"``
            are read, but not written.

        chunkshape: Of the chunks within a frame; frames written here hold one.

        blockshape: Of the blocks within a chunk.
    """

    name = "imagecodecs_b2nd"

    def __init__(
        self,
        level: int | None = None,
        compressor: str | None = None,
        shuffle: str | None = None,
        chunkshape: Shape | None = None,
        blockshape: Shape | None = None,
    ) -> None:
        self.level, self.compressor, self.shuffle = level, compressor, shuffle
        self.chunkshape, self.blockshape = chunkshape, blockshape

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a metadata document."""
        keys = ("level", "compressor", "shuffle", "chunkshape", "blockshape", "numthreads")
        check_keys(configuration, optional=keys)
        return cls(
            get_int(configuration, "level", 0, 9, None),
            _get_name(configuration, "compressor", COMPRESSORS),
            _get_name(configuration, "shuffle", FILTERS),
            get_shape(configuration, "chunkshape", None),
            get_shape(configuration, "blockshape", None),
        )

    def to_config(self) -> dict[str, JSON]:
        """Every setting that is known."""
        return _config(self, ("level", "compressor", "shuffle", "chunkshape", "blockshape"))

    def evolved(self, spec: ChunkSpec) -> Self:
        """With what `storekit.b2nd` would choose."""
        return type(self)(
            1 if self.level is None else self.level,
            self.compressor or "ZSTD",
            self.shuffle or ("BITSHUFFLE" if spec.dtype.itemsize == 1 else "SHUFFLE"),
            self.chunkshape,
            self.blockshape or default_blocks(spec.shape, spec.dtype.itemsize),
        )

    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """The coder for chunks of any type of fixed size, of less than 2 GiB."""
        codec = self.evolved(spec)
        blocks, number = codec.blockshape or (), COMPRESSORS[codec.compressor or "ZSTD"]
        shuffle = codec.shuffle or "NOFILTER"
        if shuffle not in WRITABLE:
            return _Reader(spec, blocks, number, codec.level or 0, WRITABLE["NOFILTER"])
        return FrameCoder(spec, blocks, number, codec.level or 0, WRITABLE[shuffle])


class _Reader(FrameCoder):
    """A coder of frames that it would not write."""

    def encode(self, chunk: AnyArray) -> Value:
        raise CodecError("frames with the filters DELTA and TRUNC_PREC are only read")


class ImagecodecsBlosc2Codec(BloscChunks):
    """
    Compress to a chunk of blosc2.

    Args:
        level: From 0 (store) to 9 (smallest).

        compressor: As for `ImagecodecsB2ndCodec`.

        shuffle: As for `ImagecodecsB2ndCodec`.

        splitmode: ``"ALWAYS"``, ``"NEVER"``, ``"AUTO"`` or ``"FORWARD_COMPAT"``: whether the bytes
            of an element are compressed apart from each other.

        typesize: Bytes of an element.

        blocksize: Bytes of a block; 0 lets blosc2 choose.
    """

    name = "imagecodecs_blosc2"

    def __init__(
        self,
        level: int | None = None,
        compressor: str | None = None,
        shuffle: str | None = None,
        splitmode: str | None = None,
        typesize: int | None = None,
        blocksize: int | None = None,
    ) -> None:
        self.level, self.compressor, self.shuffle = level, compressor, shuffle
        self.splitmode, self.typesize, self.blocksize = splitmode, typesize, blocksize
        self.rate = blosc_rate((compressor or "ZSTD").lower())

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a metadata document."""
        keys = ("level", "compressor", "shuffle", "splitmode", "typesize", "blocksize")
        check_keys(configuration, optional=(*keys, "numthreads"))
        return cls(
            get_int(configuration, "level", 0, 9, None),
            _get_name(configuration, "compressor", COMPRESSORS),
            _get_name(configuration, "shuffle", FILTERS),
            _get_name(configuration, "splitmode", SPLITMODES),
            get_int(configuration, "typesize", 1, 255, None),
            get_int(configuration, "blocksize", 0, _MAX_INT, None),
        )

    def to_config(self) -> dict[str, JSON]:
        """Every setting that is known."""
        keys = ("level", "compressor", "shuffle", "splitmode", "typesize", "blocksize")
        return _config(self, keys)

    def evolved(self, spec: ChunkSpec) -> Self:
        """With the size of an element, and what `storekit.b2nd` would choose."""
        typesize = self.typesize
        if typesize is None:
            typesize = 1 if spec.variable or spec.dtype.itemsize > 255 else spec.dtype.itemsize
        return type(self)(
            1 if self.level is None else self.level,
            self.compressor or "ZSTD",
            self.shuffle or ("BITSHUFFLE" if typesize == 1 else "SHUFFLE"),
            self.splitmode,
            typesize,
            self.blocksize,
        )

    def encode(self, data: Value) -> Value:
        """One chunk."""
        if len(data) > MAX_CHUNK:
            raise CodecError(f"{len(data)} bytes are too many for blosc2", codec=self.name)
        blosc2 = backend()
        chunk: bytes = blosc2.compress2(
            data,
            codec=COMPRESSORS[self.compressor or "ZSTD"],
            clevel=1 if self.level is None else self.level,
            filters=[FILTERS[self.shuffle or "SHUFFLE"]],
            splitmode=blosc2.SplitMode(SPLITMODES[self.splitmode or "AUTO"]),
            typesize=self.typesize or 1,
            blocksize=self.blocksize or 0,
            nthreads=1,
        )
        return chunk


def _get_name(
    configuration: Mapping[str, JSON], key: str, choices: Mapping[str, int]
) -> str | None:
    """The name under a key, given as it is or by its number; None if the key is absent."""
    if key not in configuration:
        return None
    value = configuration[key]
    for name, number in choices.items():
        if (type(value) is int and value == number) or value == name:
            return name
    raise MetadataError(field=key, expected=f"one of {', '.join(choices)}", found=value)


def _config(codec: object, keys: Sequence[str]) -> dict[str, JSON]:
    known = {key: getattr(codec, key) for key in keys}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in known.items()
        if value is not None
    }
