"""
``crc32c``: bytes followed by their checksum.

Source: Zarr v3, codec ``crc32c``: the CRC32C of RFC 3720, appended as a little-endian 32-bit
integer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import google_crc32c
import numpy as np

from storekit.codecs.base import BytesBytesCodec, check_keys
from storekit.errors import ChecksumError, CodecError
from storekit.typing import JSON, Value

__all__ = ["Crc32cCodec"]


class Crc32cCodec(BytesBytesCodec):
    """Append a checksum when encoding, verify it when decoding."""

    name = "crc32c"
    rate = 20_000

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a metadata document."""
        check_keys(configuration)
        return cls()

    def to_config(self) -> dict[str, JSON]:
        """Nothing."""
        return {}

    def encode(self, data: Value) -> Value:
        """The data and four bytes more."""
        return b"".join((data, _checksum(data).to_bytes(4, "little")))

    def decode(self, data: Value, size: int | None) -> Value:
        """A view of the data, once it is known to be right."""
        length = len(data) - 4
        if length < 0 or (size is not None and length != size):
            expected = "4 or more" if size is None else str(size + 4)
            raise CodecError(f"expected {expected} bytes, found {len(data)}", codec=self.name)
        body = memoryview(data)[:length]
        stored, actual = int.from_bytes(data[length:], "little"), _checksum(body)
        if stored != actual:
            raise ChecksumError(
                f"the data has checksum {actual:#010x}, stored is {stored:#010x}", codec=self.name
            )
        return body

    def encoded_size(self, size: int) -> int:
        """Four bytes more."""
        return size + 4


def _checksum(data: Value) -> int:
    # google_crc32c takes bytes and numpy arrays, but no memoryviews.
    value: int = google_crc32c.value(data if type(data) is bytes else np.frombuffer(data, np.uint8))
    return value
