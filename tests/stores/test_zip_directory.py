"""What the directory and the end of a zip archive may say, to the byte."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any
from zipfile import ZipFile, ZipInfo

import pytest

from storekit.errors import UnsupportedError
from storekit.stores import MemoryStore
from storekit.stores._zip_directory import (
    HEADER,
    RECORD,
    DamagedZip,
    Entry,
    RefusedZip,
    header_size,
    read_directory,
)
from storekit.stores._zip_end import END, LOCATOR, ZIP64_END, find_end
from storekit.stores._zip_records import directory, header, new_entry
from storekit.stores.zip import ZipStore

LIMIT = 1 << 20


def record(name: bytes = b"a", **facts: Any) -> bytes:
    """An entry of a directory, of a stored member of one byte unless it is told otherwise."""
    told = {"made_by": 3 << 8, "flags": 0, "method": 0, "packed": 1, "size": 1, "disk": 0}
    told |= {"offset": 0, "extra": b"", "comment": b"", "signature": b"PK\1\2"} | facts
    lengths = (len(name), len(told["extra"]), len(told["comment"]), told["disk"], 0, 0)
    sizes = (zlib.crc32(b"1"), told["packed"], told["size"])
    fixed = (told["made_by"], 20, told["flags"], told["method"], 0, 33, *sizes, *lengths)
    data = RECORD.pack(told["signature"], *fixed, told["offset"])
    return data + name + told["extra"] + told["comment"]


def read(*records: bytes) -> list[Entry]:
    """The entries of a directory of these."""
    return read_directory(b"".join(records), len(records), 0, LIMIT)


def archive_of(flags: int) -> Any:
    """A store in an archive of one member, which has these flags in both places."""
    facts = (flags, 0, 0, 33, zlib.crc32(b"1"), 1, 1)
    data = HEADER.pack(b"PK\3\4", 20, *facts, 1, 0) + b"a1"
    entry = record(flags=flags)
    end = END.pack(b"PK\5\6", 0, 0, 1, 1, len(entry), len(data), 0)
    return ZipStore.over(MemoryStore({"k": data + entry + end}), "k")


@pytest.mark.parametrize("bit", [0, 5, 6, 13])
def test_members_that_are_encrypted_or_patches_are_refused(bit: int) -> None:
    """Each flag that means that the data are not the value is refused when the value is read."""
    store = archive_of(1 << bit)
    assert store.list() == ["a"]
    for call in (store.get, lambda key: store.get_partial_values([(key, 0, 1)])):
        with pytest.raises(UnsupportedError, match="encrypted, or a patch"):
            call("a")
    assert archive_of(1 << 1).get("a") == b"1"


@pytest.mark.parametrize("system", [0, 6, 10, 11, 14])
def test_backslashes_from_systems_where_they_separate_are_refused(system: int) -> None:
    """DOS, OS/2, Windows (two numbers) and VFAT: there a backslash is no part of a name."""
    with pytest.raises(RefusedZip, match="backslashes"):
        read(record(b"a\\b", made_by=system << 8))
    assert read(record(b"a\\b"))[0].key == "a\\b"


def test_a_deflated_member_grows_as_far_as_deflate_can() -> None:
    """A byte of deflate becomes 1032 at most; sizes beyond are no longer possible."""
    (entry,) = read(record(method=8, packed=10, size=10320))
    assert entry.size == 10320
    with pytest.raises(DamagedZip, match="sizes of b'a' cannot be"):
        read(record(method=8, packed=10, size=10321))


def test_entries_stand_in_any_order() -> None:
    """The directory need not have the order of the members."""
    second, first = record(b"b", offset=100), record(b"a")
    assert [entry.key for entry in read(second, first)] == ["b", "a"]
    with pytest.raises(DamagedZip, match="overlap"):
        read(second, record(b"c", offset=110), first)


def test_members_may_fill_an_archive() -> None:
    """Members follow each other without a gap, the last one up to the directory."""
    after = HEADER.size + 1
    assert len(read(record(), record(b"b", offset=after))) == 2
    with pytest.raises(DamagedZip, match="overlap"):
        read(record(), record(b"b", offset=after - 1))
    assert read(record(offset=LIMIT - after))[0].offset == LIMIT - after
    with pytest.raises(DamagedZip, match="beyond"):
        read(record(offset=LIMIT - after + 1))


def test_comments_of_members_are_stepped_over() -> None:
    """What an entry says about a member in words does not hide the next entry."""
    entries = read(record(comment=b"PK\1\2"), record(b"b", offset=100, comment=b"words"))
    assert [(entry.key, entry.comment) for entry in entries] == [("a", b"PK\1\2"), ("b", b"words")]
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for key in "ab":
            info = ZipInfo(key)
            info.comment = b"a word"
            archive.writestr(info, key * 10)
    store = ZipStore.over(MemoryStore({"k": buffer.getvalue()}), "k")
    assert {key: bytes(store.get(key)) for key in store.list()} == {"a": b"a" * 10, "b": b"b" * 10}


@pytest.mark.parametrize(
    "records",
    [
        [record(), record(b"b", offset=100, signature=b"PK\1\3")],
        [record(b"b", signature=b"PK\3\4")],
        [record()[:-1]],
        [record(comment=b"words")[:-1]],
        [record(), record(b"b", offset=100)[: RECORD.size - 1]],
    ],
    ids=["the second is none", "the only one is none", "name", "comment", "second"],
)
def test_an_entry_that_is_cut_off_or_none_is_damage(records: list[bytes]) -> None:
    """Each entry begins with its signature, and all of it lies in the directory."""
    with pytest.raises(DamagedZip, match=r"breaks off|cut off"):
        read(*records)


@pytest.mark.parametrize("wide", [False, True])
def test_members_in_other_parts_are_refused(wide: bool) -> None:
    """The number of the part stands in the entry, or in its field of zip64; ours has only one."""

    def entry(disk: int) -> bytes:
        if not wide:
            return record(disk=disk)
        return record(disk=0xFFFF, extra=struct.pack("<2HI", 1, 4, disk))

    assert read(entry(0))[0].key == "a"
    with pytest.raises(RefusedZip, match="several parts"):
        read(entry(1))
    with pytest.raises(DamagedZip, match="zip64 field"):
        read(record(disk=0xFFFF))


def test_a_header_that_is_cut_off_is_damage() -> None:
    """However little there is of a header, that is told as damage."""
    entry = new_entry("a", 0, 1, 1, 1, 0)
    whole = header(entry)
    assert header_size(entry, whole) == len(whole)
    for length in range(len(whole)):
        with pytest.raises(DamagedZip, match="header"):
            header_size(entry, whole[:length])


def end_of(count: int, size: int) -> bytes:
    """An end that tells of a directory."""
    return END.pack(b"PK\5\6", 0, 0, count, count, size, 0, 0)


@pytest.mark.parametrize("count", [1, 3])
def test_a_directory_is_as_long_as_its_entries_can_be(count: int) -> None:
    """An entry takes 46 bytes, and three texts of at most 65535; a directory takes what they do."""
    least, most = 46 * count, (46 + 3 * 65535) * count
    for size in (least, most):
        assert find_end(end_of(count, size)).size == size
    for size in (least - 1, most + 1):
        with pytest.raises(DamagedZip, match="cannot have"):
            find_end(end_of(count, size))


def test_an_archive_without_members_may_have_two_ends() -> None:
    """The end of zip64 may be the first thing in a file; a locator alone is damage."""
    wide = ZIP64_END.pack(b"PK\6\6", 44, 45, 45, 0, 0, 0, 0, 0, 0)
    data = wide + LOCATOR.pack(b"PK\6\7", 0, 0, 1) + end_of(0, 0)
    assert find_end(data)[:3] == (0, 0, 0)
    assert ZipStore.over(MemoryStore({"k": data}), "k").list() == []
    for lost in (1, len(wide)):
        with pytest.raises(DamagedZip, match="zip64 is not where"):
            find_end(data[lost:])


def test_the_longest_comment_leaves_the_end_in_reach() -> None:
    """In front of a comment of 65535 bytes the end of an archive is found."""
    value = bytes(100_000)
    entry = new_entry("a", 0, zlib.crc32(value), len(value), len(value), 0)
    data = header(entry) + value
    data += directory([entry], len(data), b"c" * 65535)
    assert ZipStore.over(MemoryStore({"k": data}), "k").get("a") == value
