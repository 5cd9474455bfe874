"""
What a zip archive says about its members: in the central directory, and in the headers.

Bytes in, facts out; no I/O. The rules are those of APPNOTE.TXT 6.3.10. Whatever two readers might
understand differently is refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from storekit.errors import InvalidKeyError
from storekit.keys import check_key

__all__ = [
    "DEFLATED",
    "ENCRYPTED",
    "HEADER",
    "HEADER_SIGNATURE",
    "PATCHED",
    "RECORD",
    "SEAL",
    "STORED",
    "STREAMED",
    "UTF8",
    "ZIP64",
    "DamagedZip",
    "Entry",
    "RefusedZip",
    "header_size",
    "read_directory",
    "seal_of",
]

RECORD = struct.Struct("<4s6H3I5H2I")
HEADER = struct.Struct("<4s5H3I2H")
HEADER_SIGNATURE = b"PK\3\4"
STORED, DEFLATED = 0, 8
ENCRYPTED, STREAMED, UTF8 = 1 << 0 | 1 << 6 | 1 << 13, 1 << 3, 1 << 11  # flags of a member
PATCHED = 1 << 5
ZIP64, UNICODE_NAME, SEAL = 0x0001, 0x7075, 0x6B73  # kinds of extra fields; the last is our own
_DOS = {0, 6, 10, 11, 14}  # systems on which a backslash separates
_INFLATION = 1032  # bytes that one byte of deflate can become, at most


class DamagedZip(Exception):  # noqa: N818 - becomes a CorruptArchiveError, which says where
    """The bytes are not those of a well-formed archive."""


class RefusedZip(Exception):  # noqa: N818
    """The archive, or a member of it, needs what is not done here."""


class Entry(NamedTuple):
    """A member, as the directory describes it; sizes and offset in bytes."""

    name: bytes
    key: str  # ends with "/" for a directory
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int  # of the local header, from the beginning of the file
    made_by: int
    time: int
    attributes: int
    extra: bytes = b""
    comment: bytes = b""


def read_directory(data: bytes, count: int, shift: int, limit: int) -> list[Entry]:
    """
    The entries of a central directory, in its order.

    Args:
        data: The directory.

        count: How many entries it should have.

        shift: Bytes in front of the archive in its file, of which the archive does not know.

        limit: Where in the file the directory begins. Members end before.
    """
    entries: list[Entry] = []
    position = 0
    for _ in range(count):
        if position + RECORD.size > len(data) or data[position : position + 4] != b"PK\1\2":
            raise DamagedZip(f"its directory breaks off after {len(entries)} entries")
        entry, position = _read_record(data, position, shift)
        _check(entry)
        entries.append(entry)
    if position != len(data):
        raise DamagedZip("its directory is longer than its entries")
    _check_extents(entries, limit)
    return entries


def _read_record(data: bytes, position: int, shift: int) -> tuple[Entry, int]:
    facts = RECORD.unpack_from(data, position)
    _, made_by, _, flags, method, time, date, crc, packed, size = facts[:10]
    name_size, extra_size, comment_size, disk, _, attributes, offset = facts[10:]
    start = position + RECORD.size
    ends = (start + name_size, start + name_size + extra_size)
    end = ends[1] + comment_size
    if end > len(data):
        raise DamagedZip("an entry of its directory is cut off")
    name, extra = data[start : ends[0]], data[ends[0] : ends[1]]
    fields = dict(_fields(extra)) if extra else {}
    wide, seal = fields.pop(ZIP64, b""), fields.pop(SEAL, None)
    if 0xFFFFFFFF in (packed, size, offset) or disk == 0xFFFF:
        packed, size, offset, disk = _widen(wide, packed, size, offset, disk)
    if disk:
        raise RefusedZip("it is one of several parts")
    key = _key_of(name, flags, made_by, fields.get(UNICODE_NAME))
    if seal is not None and seal != seal_of(key, method, crc, packed, size):
        raise DamagedZip(f"the entry {name!r:.80} of its directory does not match its checksum")
    rest = b"".join(struct.pack("<2H", kind, len(each)) + each for kind, each in fields.items())
    where = (offset + shift, made_by, date << 16 | time, attributes, rest, data[ends[1] : end])
    return Entry(name, key, flags, method, crc, packed, size, *where), end


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(extra):  # some pad with up to three zeros
        kind, size = struct.unpack_from("<2H", extra, position)
        position += 4
        if position + size > len(extra):
            raise DamagedZip("an extra field of its directory is cut off")
        yield kind, extra[position : position + size]
        position += size


def _widen(field: bytes, packed: int, size: int, offset: int, disk: int) -> tuple[int, ...]:
    """Sizes, offset and disk with those from the field of zip64, which has what did not fit."""
    values = []
    position = 0
    for value, limit, form in (
        (size, 0xFFFFFFFF, "<Q"),
        (packed, 0xFFFFFFFF, "<Q"),
        (offset, 0xFFFFFFFF, "<Q"),
        (disk, 0xFFFF, "<I"),
    ):
        wide = value
        if value == limit:
            if position + struct.calcsize(form) > len(field):
                raise DamagedZip("the zip64 field of an entry is too short")
            (wide,) = struct.unpack_from(form, field, position)
            position += struct.calcsize(form)
        values.append(wide)
    size, packed, offset, disk = values
    return packed, size, offset, disk


def _key_of(name: bytes, flags: int, made_by: int, unicode_name: bytes | None) -> str:
    """The name as a key; nothing in an archive is left out silently, so others are refused."""
    try:
        key = name.decode("utf-8" if flags & UTF8 or name.isascii() else "cp437")
        # Info-ZIP leaves names in the local charset, and adds this.
        if unicode_name and unicode_name[:5] == struct.pack("<BI", 1, zlib.crc32(name)):
            key = unicode_name[5:].decode()
        check_key(key.removesuffix("/"))
    except (UnicodeDecodeError, InvalidKeyError) as error:
        raise RefusedZip(f"the name {name!r:.120} of a member cannot be a key") from error
    if "\\" in key and made_by >> 8 in _DOS:
        raise RefusedZip(f"the name {name!r:.120} of a member has backslashes for separators")
    return key


def _check(entry: Entry) -> None:
    if entry.key.endswith("/"):
        possible = entry.size == 0
    elif entry.method == STORED and not entry.flags & ENCRYPTED:
        possible = entry.size == entry.packed
    elif entry.method == DEFLATED:
        possible = entry.size <= entry.packed * _INFLATION
    else:
        possible = True
    if not possible:
        raise DamagedZip(f"the sizes of {entry.name!r:.80} cannot be")


def _check_extents(entries: list[Entry], limit: int) -> None:
    """A member that lies in another one, or beyond the directory, is damage, or a bomb."""
    extents = [(each.offset, each.offset + HEADER.size + each.packed) for each in entries]
    extents.sort()
    if (extents and extents[-1][1] > limit) or any(a[1] > b[0] for a, b in pairwise(extents)):
        raise DamagedZip("members overlap, or lie beyond the directory")


def seal_of(key: str, method: int, crc: int, packed: int, size: int) -> bytes:
    """
    The checksum of an entry, which the format itself does not have: without it a damaged name is
    another name, and its member seems absent.

    It is kept by programs that copy an entry, in whichever charset they write the name.
    """
    facts = struct.pack("<HI2Q", method, crc, packed, size)
    return zlib.crc32(facts + key.encode()).to_bytes(4, "little")


def header_size(entry: Entry, header: bytes | memoryview) -> int:
    """
    How many bytes stand in front of the data of a member.

    Args:
        entry: What the directory says, with which the header must agree.

        header: The beginning of the member; `HEADER.size` bytes and the name at least.
    """
    if len(header) < HEADER.size:
        raise DamagedZip("the archive ends within the header of the member")
    facts = HEADER.unpack_from(header)
    signature, _, flags, method, _, _, crc, packed, size, name_size, extra_size = facts
    same = (
        signature == HEADER_SIGNATURE
        and _same_name(bytes(header[HEADER.size : HEADER.size + name_size]), flags, entry)
        and method == entry.method
        and not (flags ^ entry.flags) & ENCRYPTED
    )
    if same and not flags & STREAMED:
        same = (
            crc == entry.crc
            and packed in (entry.packed, 0xFFFFFFFF)
            and size in (entry.size, 0xFFFFFFFF)
        )
    if not same:
        raise DamagedZip("the header of the member is not the one that the directory means")
    return HEADER.size + int(name_size) + int(extra_size)


def _same_name(name: bytes, flags: int, entry: Entry) -> bool:
    """Python's zipfile, when it appends, writes names anew in UTF-8, but only in the directory."""
    if name == entry.name:
        return True
    try:
        return name.decode("utf-8" if flags & UTF8 else "cp437") == entry.key
    except UnicodeDecodeError:
        return False
