"""
``zstd``: Zstandard frames.

Source: Zarr extension codec ``zstd``: ``level`` from -131072 to 22, ``checksum``. The specification
lets ``checksum`` be left out when it is false; some readers fail without it, so it is always
written. RFC 8878: frames may follow each other, and need not state the size of their content.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Self

import zstandard

from storekit.codecs.base import BytesBytesCodec, check_keys
from storekit.codecs.config import get_bool, get_int
from storekit.errors import CodecError, MetadataError
from storekit.typing import JSON, Value

__all__ = ["ZstdCodec"]

LEVELS = (-131072, 22)

SKIPPABLE = 0x184D2A50
CHECKSUM = 4
"""The flag of frames that end with a checksum, which is of as many bytes."""

LAST = 1
RAW, RLE = 0, 1
MAX_BLOCK = 128 << 10

MAX_UNKNOWN = 1 << 31
"""No more bytes than this come out where the size is not known beforehand."""


class ZstdCodec(BytesBytesCodec):
    """
    Compress with Zstandard.

    Args:
        level: From -131072 (fastest) to 22 (smallest); 0 is what Zstandard has by default.

        checksum: Whether to append a checksum of the content (of 32 bits), which every reader
            verifies.
    """

    name = "zstd"
    rate = 1_500

    def __init__(self, level: int = 1, checksum: bool = True) -> None:
        if not LEVELS[0] <= level <= LEVELS[1]:
            expected = f"an integer from {LEVELS[0]} to {LEVELS[1]}"
            raise MetadataError(field="level", expected=expected, found=level)
        self.level, self.checksum = level, checksum

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """
        The codec of a metadata document; without a level it is 1, without ``checksum`` it has none.
        """
        check_keys(configuration, optional=("level", "checksum"))
        if not configuration:
            return cls()
        level = get_int(configuration, "level", *LEVELS, 1)
        return cls(level, get_bool(configuration, "checksum", False))

    def to_config(self) -> dict[str, JSON]:
        """``level`` and ``checksum``."""
        return {"level": self.level, "checksum": self.checksum}

    def encode(self, data: Value) -> Value:
        """One frame, which states the size of its content."""
        compressed: bytes = _threads.compressor(self.level, self.checksum).compress(data)
        return compressed

    def decode_into(self, data: Value, out: memoryview) -> None:
        """The content of all frames; decoded in place if it is one frame that states its size."""
        if not _read_frame(data, out):
            out[:] = self.decode(data, len(out))

    def decode(self, data: Value, size: int | None) -> Value:
        """The content of all frames."""
        limit = MAX_UNKNOWN if size is None else size
        try:
            if size and zstandard.frame_content_size(data) == size:
                try:
                    return _decompress(data, size)
                except zstandard.ZstdError:
                    pass  # damaged, or followed by another frame
            contents: list[bytes] = []
            room = limit
            for frame, stated, most in _frames(memoryview(data)):
                if stated > room or (most and not (stated and room)):
                    raise CodecError(f"expands to more than {limit} bytes", codec=self.name)
                contents.append(_decompress(frame, min(room, most)))
                room -= len(contents[-1])
        except zstandard.ZstdError as error:
            raise CodecError(str(error), codec=self.name) from error
        if size is not None and room:
            raise CodecError(f"expected {size} bytes, found {size - room}", codec=self.name)
        return b"".join(contents)


class _Threads(threading.local):
    """Contexts, which only one thread may use at a time."""

    def __init__(self) -> None:
        self.decompressor = zstandard.ZstdDecompressor()
        self._compressors: dict[tuple[int, bool], zstandard.ZstdCompressor] = {}

    def compressor(self, level: int, checksum: bool) -> zstandard.ZstdCompressor:
        found = self._compressors.get((level, checksum))
        if found is None:
            found = zstandard.ZstdCompressor(level=level, write_checksum=checksum)
            self._compressors[level, checksum] = found
        return found


_threads = _Threads()


def _read_frame(data: Value, out: memoryview) -> bool:
    """
    Decode to given memory; false if the data is anything but one undamaged frame that states the
    right size.
    """
    try:
        if not out or zstandard.frame_content_size(data) != len(out):
            return False
        if _blocks(data, 0)[0] != len(data):
            return False
        reader = _threads.decompressor.stream_reader(data)
        # The frame ends with the data, so nothing is missing. It fills the output, and no byte more
        # comes out; asking for one has everything verified that comes after the last byte.
        filled: bool = reader.readinto(out) == len(out) and not reader.readinto(bytearray(1))
    except zstandard.ZstdError:
        return False
    return filled


def _decompress(frame: Value, limit: int) -> bytes:
    """
    The content of one frame, of no more than `limit` bytes unless the frame itself states more.
    """
    content: bytes
    if limit:
        content = _threads.decompressor.decompress(
            frame, max_output_size=limit, allow_extra_data=False
        )
    else:  # a limit of 0 would mean none; this way the checksum of nothing is verified, too
        content = _threads.decompressor.decompressobj().decompress(frame)
    return content


def _frames(data: memoryview) -> Iterator[tuple[memoryview, int, int]]:
    """
    The frames of a stream, found without decompressing anything.

    Yields:
        The bytes of a frame; the size that it states for its content, -1 if none; the most that can
        come out of it. Skippable frames are skipped.
    """
    start = 0
    while start < len(data) or not start:
        magic = int.from_bytes(data[start : start + 4], "little")
        if magic & ~0xF == SKIPPABLE:
            end = start + 8 + int.from_bytes(data[start + 4 : start + 8], "little")
            if end > len(data) or len(data) - start < 8:
                raise zstandard.ZstdError("the stream is cut off")
        else:
            end, most = _blocks(data, start)
            frame = data[start:end]
            yield frame, zstandard.frame_content_size(frame), most
        start = end


def _blocks(data: Value, start: int) -> tuple[int, int]:
    """Where the frame that begins at `start` ends, and the most that its blocks can expand to."""
    place, most, header = start + zstandard.frame_header_size(data[start:]), 0, 0
    while not header & LAST:
        if place + 3 > len(data):
            raise zstandard.ZstdError("the stream is cut off")
        header = int.from_bytes(data[place : place + 3], "little")
        kind, size = header >> 1 & 3, header >> 3
        place += 3 + (1 if kind == RLE else size)
        most += size if kind in (RAW, RLE) else MAX_BLOCK
    place += data[start + 4] & CHECKSUM
    if place > len(data):
        raise zstandard.ZstdError("the stream is cut off")
    return place, most
