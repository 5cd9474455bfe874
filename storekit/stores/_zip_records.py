"""The records of a zip archive, written: headers of members, the directory, the end."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from storekit.stores._zip_directory import (
    HEADER,
    HEADER_SIGNATURE,
    RECORD,
    SEAL,
    UTF8,
    ZIP64,
    Entry,
    seal_of,
)
from storekit.stores._zip_end import END, LOCATOR, ZIP64_END

__all__ = ["directory", "header", "new_entry"]

_WIDE, _MANY = 0xFFFFFFFF, 0xFFFF
_UNIX_45 = 3 << 8 | 45  # the system, and the version of the format: 4.5 has zip64
_FILE = 0o100644 << 16
_THE_FIRST_DAY = (1 << 5 | 1) << 16  # 1 January 1980: equal contents make equal archives


def new_entry(key: str, method: int, crc: int, packed: int, size: int, offset: int) -> Entry:
    """A member of our own."""
    flags = 0 if key.isascii() else UTF8
    facts = (flags, method, crc, packed, size, offset)
    return Entry(key.encode(), key, *facts, _UNIX_45, _THE_FIRST_DAY, _FILE)


def header(entry: Entry) -> bytes:
    """What stands in front of the data of a member of our own."""
    packed, size, extra = entry.packed, entry.size, b""
    if max(packed, size) >= _WIDE:
        extra = _field(ZIP64, struct.pack("<2Q", size, packed))
        packed = size = _WIDE
    facts = (45 if extra else 20, entry.flags, entry.method, *_halves(entry.time), entry.crc)
    sizes = (packed, size, len(entry.name), len(extra))
    return HEADER.pack(HEADER_SIGNATURE, *facts, *sizes) + entry.name + extra


def directory(entries: Iterable[Entry], offset: int, comment: bytes) -> bytes:
    """
    The central directory, and the end.

    Args:
        entries: In order.

        offset: Where it is written.

        comment: That of the archive.
    """
    records = [_record(entry) for entry in entries]
    size, count = sum(map(len, records)), len(records)
    if max(size, offset) >= _WIDE or count >= _MANY:
        wide = (ZIP64_END.size - 12, _UNIX_45, 45, 0, 0, count, count, size, offset)
        records.append(ZIP64_END.pack(b"PK\6\6", *wide))
        records.append(LOCATOR.pack(b"PK\6\7", 0, offset + size, 1))
    narrow = min(count, _MANY), min(count, _MANY), min(size, _WIDE), min(offset, _WIDE)
    records.append(END.pack(b"PK\5\6", 0, 0, *narrow, len(comment)))
    return b"".join((*records, comment))


def _record(entry: Entry) -> bytes:
    sizes = (entry.packed, entry.size, entry.offset)
    packed, size, offset = (min(each, _WIDE) for each in sizes)
    wide = [each for each in (entry.size, entry.packed, entry.offset) if each >= _WIDE]
    extra = _field(ZIP64, struct.pack(f"<{len(wide)}Q", *wide)) if wide else b""
    sealed = (entry.key, entry.method, entry.crc, entry.packed, entry.size)
    extra += _field(SEAL, seal_of(*sealed)) + entry.extra
    facts = (45 if wide else 20, entry.flags, entry.method, *_halves(entry.time), entry.crc)
    lengths = (len(entry.name), len(extra), len(entry.comment))
    fixed = (*facts, packed, size, *lengths, 0, 0, entry.attributes, offset)
    return RECORD.pack(b"PK\1\2", entry.made_by, *fixed) + entry.name + extra + entry.comment


def _field(kind: int, data: bytes) -> bytes:
    return struct.pack("<2H", kind, len(data)) + data


def _halves(time: int) -> tuple[int, int]:
    return time & 0xFFFF, time >> 16
