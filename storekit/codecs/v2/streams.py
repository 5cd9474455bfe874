"""
``zlib``, ``bz2`` and ``lzma``, by Python's own modules and libdeflate; ``lz4`` by numcodecs.

None of them is given more memory than the size of the chunk asks for, whatever the data says.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import deflate

from storekit.codecs.config import get_int
from storekit.codecs.gzip import MAX_RATIO
from storekit.codecs.v2.base import MAX_UNKNOWN, V2Codec, numcodecs_class
from storekit.errors import CodecError, MetadataError
from storekit.typing import JSON, Value

__all__ = ["Bz2Codec", "Lz4Codec", "LzmaCodec", "ZlibCodec"]

LZ4_RATIO = 255
"""LZ4 makes at least one byte of this many."""

MAX_DICT = 1 << 29
"""The memory that LZMA may take to decode; the highest preset takes 65 MiB."""

_FLAGS = {"id": (1 << 63) - 1, "preset": (1 << 32) - 1}
"""The settings of a filter of LZMA that are no sizes."""


class ZlibCodec(V2Codec):
    """DEFLATE in the zlib format."""

    name = "zlib"
    optional = ("level",)
    rate = 1_500

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        get_int(configuration, "level", -1, 9, 1)

    def decode(self, data: Value, size: int | None) -> Value:
        """The content; what follows it is ignored, as zlib does."""
        if size and size < 1 << 32 and size <= MAX_RATIO * len(data):
            try:
                content = deflate.zlib_decompress(bytes(data), size)
            except deflate.DeflateError:
                pass  # damaged, or of another size: zlib says what it is
            else:
                if len(content) == size:
                    return memoryview(content).toreadonly()
        stream, room = zlib.decompressobj(), MAX_UNKNOWN if size is None else size
        inflated = stream.decompress(data, room + 1)
        if not stream.eof and len(inflated) <= room:
            # The checksum is only read once output is asked for again.
            inflated += stream.decompress(stream.unconsumed_tail, room + 1 - len(inflated))
        if len(inflated) > room:
            raise CodecError(f"expands to more than {room} bytes", codec=self.name)
        if not stream.eof:
            raise CodecError("the stream is cut off", codec=self.name)
        return inflated


class _Streams(V2Codec):
    """Streams of which several may follow each other."""

    rate = 100

    @abstractmethod
    def _opened(self) -> Any:
        """What decodes a stream."""

    def decode(self, data: Value, size: int | None) -> Value:
        """The content of all streams; what is no stream after the first is ignored."""
        room = MAX_UNKNOWN if size is None else size
        contents: list[bytes] = []
        rest: Value = data
        while rest or not contents:
            stream = self._opened()
            try:
                content = self._content(stream, rest, room)
            except CodecError:
                raise
            except Exception as error:  # bz2 has an OSError for it, which a store may raise, too
                if contents:
                    break
                raise CodecError(str(error), codec=self.name) from error
            contents.append(content)
            room -= len(content)
            rest = stream.unused_data
        return contents[0] if len(contents) == 1 else b"".join(contents)

    def _content(self, stream: Any, data: Value, room: int) -> bytes:
        pieces, found = [stream.decompress(data, room + 1)], 0
        while True:
            found += len(pieces[-1])
            if found > room:
                raise CodecError("expands to more bytes than expected", codec=self.name)
            if stream.eof:
                return b"".join(pieces)
            if stream.needs_input:
                raise CodecError("the stream is cut off", codec=self.name)
            pieces.append(stream.decompress(b"", room + 1 - found))


class Bz2Codec(_Streams):
    """bzip2."""

    name = "bz2"
    optional = ("level",)

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        get_int(configuration, "level", 1, 9, 1)

    def _opened(self) -> Any:
        import bz2  # few arrays need it

        return bz2.BZ2Decompressor()


class LzmaCodec(_Streams):
    """LZMA in any of its formats, with the filters that a raw stream must be told."""

    name = "lzma"
    optional = ("format", "check", "preset", "filters")

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        self._format = get_int(configuration, "format", 0, 3, 1)
        get_int(configuration, "check", -1, 15, -1)
        filters = configuration.get("filters")
        if self._format != 3:
            return
        if not isinstance(filters, list | tuple):
            raise MetadataError(field="filters", expected="a list, for raw streams", found=filters)
        for index, entry in enumerate(filters):
            if not isinstance(entry, Mapping) or not all(
                _is_setting(key, value) for key, value in entry.items()
            ):
                raise MetadataError(
                    field=f"filters[{index}]", expected="an object of numbers", found=entry
                )
        try:
            self._opened()
        except Exception as error:
            raise MetadataError(f"lzma takes no such filters: {error}", field="filters") from error

    def _opened(self) -> Any:
        import lzma  # few arrays need it

        if self._format == lzma.FORMAT_RAW:
            return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=self._configuration["filters"])
        return lzma.LZMADecompressor(self._format, MAX_DICT)


def _is_setting(key: str, value: JSON) -> bool:
    most = _FLAGS.get(key, MAX_DICT)
    return type(value) is int and 0 <= value <= most


class Lz4Codec(V2Codec):
    """The size of the content in four bytes, and a block of LZ4."""

    name = "lz4"
    optional = ("acceleration",)
    rate = 3_000

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        get_int(configuration, "acceleration", -(1 << 31), (1 << 31) - 1, 1)

    def decode(self, data: Value, size: int | None) -> Value:
        """The content."""
        stated = int.from_bytes(data[:4], "little")
        if len(data) < 5 or not 0 < stated <= LZ4_RATIO * len(data):
            raise CodecError(f"{len(data)} bytes are no block of LZ4", codec=self.name)
        if size is not None and stated != size:
            raise CodecError(f"expected {size} bytes, the block states {stated}", codec=self.name)
        content: bytes = numcodecs_class(self.name)().decode(bytes(data))
        return content
