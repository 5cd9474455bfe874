"""
The end of a zip archive, which says where its directory is.

Bytes in, facts out; no I/O.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from storekit.stores._zip_directory import RECORD, DamagedZip, RefusedZip

__all__ = ["END", "LOCATOR", "TAIL", "ZIP64_END", "End", "find_end"]

END = struct.Struct("<4s4H2IH")
LOCATOR = struct.Struct("<4sIQI")
ZIP64_END = struct.Struct("<4sQ2H2I4Q")
TAIL = END.size + 0xFFFF + LOCATOR.size + ZIP64_END.size
"""So many bytes at the end of an archive are sure to have all that stands behind the directory."""


_MAX_RECORD = RECORD.size + 3 * 0xFFFF


class End(NamedTuple):
    """What the end of an archive says; offsets as they are written there."""

    entries: int
    size: int  # of the directory
    offset: int  # of the directory
    behind: int  # bytes from the end of the directory to the end of the file
    comment: bytes


def find_end(tail: bytes) -> End:
    """
    Read the end of an archive from its last bytes.

    Args:
        tail: `TAIL` bytes, or more, or the whole archive.
    """
    found = list(_ends(tail))
    if len(found) != 1:
        raise DamagedZip(
            "its comment can be taken for another directory"
            if found
            else "it does not end as a zip archive: it is none, or was cut off"
        )
    start = found[0]
    _, disk, directory_disk, count_here, count, size, offset, _ = END.unpack_from(tail, start)
    comment = bytes(tail[start + END.size :])
    written = (disk, directory_disk, count_here, count, size, offset)
    if start >= LOCATOR.size and tail[start - LOCATOR.size :][:4] == b"PK\6\7":
        start -= LOCATOR.size
        _, locator_disk, position, disks = LOCATOR.unpack_from(tail, start)
        start -= ZIP64_END.size
        if start < 0 or tail[start : start + 4] != b"PK\6\6":
            raise DamagedZip("the end of zip64 is not where it should be")
        _, length, _, _, *wide = ZIP64_END.unpack_from(tail, start)
        for narrow, full, limit in zip(written, wide, [0xFFFF] * 4 + [0xFFFFFFFF] * 2, strict=True):
            if narrow not in (full, limit):
                raise DamagedZip("the two ends, with and without zip64, contradict each other")
        disk, directory_disk, count_here, count, size, offset = wide
        if length != ZIP64_END.size - 12 or position != offset + size:
            raise DamagedZip("the end of zip64 is not where it should be")
        if locator_disk or disks > 1:
            raise RefusedZip("it is one of several parts")
    if disk or directory_disk or count_here != count:
        raise RefusedZip("it is one of several parts")
    if not count * RECORD.size <= size <= count * _MAX_RECORD:
        raise DamagedZip(f"a directory of {size} bytes cannot have {count} entries")
    return End(count, size, offset, len(tail) - start, comment)


def _ends(tail: bytes) -> Iterator[int]:
    """Where the last record of an archive may begin: its comment reaches just to the end."""
    start = tail.find(b"PK\5\6", max(len(tail) - END.size - 0xFFFF, 0))
    while start >= 0:
        if start + END.size <= len(tail):
            comment = END.unpack_from(tail, start)[-1]
            if start + END.size + comment == len(tail):
                yield start
        start = tail.find(b"PK\5\6", start + 1)
