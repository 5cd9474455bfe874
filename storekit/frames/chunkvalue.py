"""
Chunks whose elements are all the same, and not zero: 32 bytes of header, and the element.

blosc2 takes no checksum behind the element. But nothing is filtered in such a chunk, so the
settings of its filters, six bytes of the header, mean nothing. There storekit puts a mark and a
CRC32C of the other bytes; what others wrote has zeros there, and is read unverified.
"""

from __future__ import annotations

import struct

import google_crc32c

from storekit.errors import ChecksumError
from storekit.frames.chunk import BLOSC2_HEADER, EXTENDED, LAST_VERSION
from storekit.typing import Value

__all__ = ["check_value", "value_chunk"]

_HEADER = struct.Struct("<4B3i8x6s2B")
_VALUE = 3 << 4
_SETTINGS = slice(24, 30)
_MARK = b"sk"


def value_chunk(element: bytes, nbytes: int, blocksize: int) -> bytes:
    """
    A chunk of nothing but one element.

    Args:
        element: Of 1 to 255 bytes.

        nbytes: Bytes of the content.

        blocksize: Bytes of a block.
    """
    size = BLOSC2_HEADER + len(element)
    fixed = (LAST_VERSION, 1, EXTENDED, len(element), nbytes, blocksize, size)
    blank = _HEADER.pack(*fixed, b"", 0, _VALUE) + element
    return _HEADER.pack(*fixed, _seal(blank), 0, _VALUE) + element


def check_value(chunk: Value) -> None:
    """
    Compare such a chunk with the checksum in it.

    Args:
        chunk: The whole chunk, at least a header.

    Raises:
        ChecksumError: If there is one, and it does not match.
    """
    data = bytearray(chunk)
    found = bytes(data[_SETTINGS])
    if found != bytes(6):
        data[_SETTINGS] = bytes(6)
        if found != _seal(data):
            raise ChecksumError("a chunk of one value does not match its checksum")


def _seal(blank: bytes | bytearray) -> bytes:
    check: int = google_crc32c.value(bytes(blank))
    return _MARK + check.to_bytes(4, "little")
