"""
``gzip``: DEFLATE in the gzip file format.

Source: Zarr v3, codec ``gzip`` (``level`` from 0 to 9); RFC 1952 (members may follow each other).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Self

from storekit.codecs.base import BytesBytesCodec, check_keys
from storekit.codecs.config import get_int
from storekit.errors import CodecError, MetadataError
from storekit.typing import JSON, Value

__all__ = ["GzipCodec"]

GZIP = 31
"""What zlib calls the gzip format with a window of 32 KiB."""

MAX_UNKNOWN = 1 << 31
"""No more bytes than this come out where the size is not known beforehand."""


class GzipCodec(BytesBytesCodec):
    """
    Compress with zlib. The output holds no time stamp: equal input gives equal output.

    Args:
        level: From 0 (store) to 9 (smallest).
    """

    name = "gzip"
    rate = 500

    def __init__(self, level: int = 5) -> None:
        if not 0 <= level <= 9:
            raise MetadataError(field="level", expected="an integer from 0 to 9", found=level)
        self.level = level

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a metadata document; level 5 if it states none."""
        check_keys(configuration, optional=("level",))
        return cls(get_int(configuration, "level", 0, 9, 5))

    def to_config(self) -> dict[str, JSON]:
        """``level``."""
        return {"level": self.level}

    def encode(self, data: Value) -> Value:
        """One gzip member."""
        return zlib.compress(data, self.level, GZIP)

    def decode(self, data: Value, size: int | None) -> Value:
        """The content of all members."""
        limit = MAX_UNKNOWN if size is None else size
        members: list[bytes] = []
        rest, room = data, limit
        while rest or not members:
            member, rest = self._member(rest, room)
            room -= len(member)
            members.append(member)
        found = limit - room
        if size is not None and found != size:
            raise CodecError(f"expected {size} bytes, found {found}", codec=self.name)
        return members[0] if len(members) == 1 else b"".join(members)

    def _member(self, data: Value, room: int) -> tuple[bytes, Value]:
        """The content of the first member, and the members that follow it."""
        stream = zlib.decompressobj(GZIP)
        try:
            content = stream.decompress(data, room + 1)  # a limit of 0 would mean none
            if not stream.eof and len(content) <= room:
                # The trailer with its checksum is only read once output is asked for again.
                content += stream.decompress(stream.unconsumed_tail, room + 1 - len(content))
        except zlib.error as error:
            raise CodecError(str(error), codec=self.name) from error
        if len(content) > room:
            raise CodecError("expands to more bytes than expected", codec=self.name)
        if not stream.eof:
            raise CodecError("the stream is cut off", codec=self.name)
        return content, stream.unused_data.lstrip(b"\0")  # files may be padded with zeros
