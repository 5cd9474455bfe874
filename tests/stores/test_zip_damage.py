"""Archives that are damaged, or made to harm."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storekit.errors import CorruptArchiveError, KeyNotFoundError, StoreError, UnsupportedError
from storekit.stores import MemoryStore, TraceStore
from storekit.stores._zip_directory import HEADER, RECORD, header_size, read_directory
from storekit.stores._zip_end import END, LOCATOR, ZIP64_END, find_end
from storekit.stores._zip_records import directory, header, new_entry
from storekit.stores.zip import ZipStore

FIELDS = {
    "zarr.json": b'{"node_type": "group"}' * 20,
    "a/zarr.json": b"{}",
    "a/c/0": os.urandom(700),
    "a/c/1": b"text " * 300,
    "ü": b"",
}


@cache
def ours() -> bytes:
    """An archive that we have made, with values stored and deflated, replaced and erased."""
    with tempfile.TemporaryDirectory() as made:
        path = f"{made}/a.zip"
        with ZipStore(path, "w") as store:
            store.set("a/c/1", b"old")
            store.set_values(list(FIELDS.items())[:3])
        with ZipStore(path, "a", level=6) as store:
            store.set("gone", b"gone")
            store.set_values(list(FIELDS.items())[3:])
            store.erase("gone")
        return Path(path).read_bytes()


@cache
def foreign() -> bytes:
    """An archive that Python's zipfile has written to a pipe, with a comment."""

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            return buffer.write(data)

    buffer = io.BytesIO()
    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in FIELDS.items():
            archive.writestr(key, value)
        archive.comment = b"a comment"
    return buffer.getvalue()


def over(data: bytes, **options: Any) -> Any:
    """The archive that has these bytes."""
    return ZipStore.over(MemoryStore({"k": data}), "k", **options)


def openers(data: bytes, path: Path) -> Iterable[Callable[[], Any]]:
    """The two ways to open an archive."""
    path.write_bytes(data)
    return (lambda: ZipStore(path)), (lambda: over(data))


@st.composite
def damages(draw: st.DrawFn, size: int) -> Callable[[bytes], bytes]:
    """Some bytes changed anywhere, the directory more often than the rest; cut off; or moved."""
    places = st.integers(0, size - 1) | st.integers(max(size - 500, 0), size - 1)
    kind = draw(st.sampled_from(["flip"] * 6 + ["cut", "insert", "remove", "swap"]))
    first, second = draw(places), draw(places)
    if kind == "flip":
        flips = draw(st.lists(st.tuples(places, st.integers(1, 255)), min_size=1, max_size=3))

        def flip(data: bytes) -> bytes:
            changed = bytearray(data)
            for place, mask in flips:
                changed[place] ^= mask
            return bytes(changed)

        return flip
    if kind == "cut":
        return lambda data: data[:first]
    extra = draw(st.binary(min_size=1, max_size=30))
    if kind == "insert":
        return lambda data: data[:first] + extra + data[first:]
    if kind == "remove":
        return lambda data: data[:first] + data[first + len(extra) :]
    low, high = sorted((first, second))
    return lambda data: data[:low] + data[high:] + data[low:high]


@settings(max_examples=400, deadline=None)
@given(damage=damages(len(ours())))
def test_damage_to_ours_is_noticed(damage: Callable[[bytes], bytes]) -> None:
    """Whatever is changed in an archive of ours: an error, or every key with its value."""
    check_damaged(damage(ours()), lossless=True)


@settings(max_examples=300, deadline=None)
@given(damage=damages(len(foreign())))
def test_damage_to_others_gives_no_wrong_value(damage: Callable[[bytes], bytes]) -> None:
    """Whatever is changed in an archive by others: an error, or values that were written."""
    check_damaged(damage(foreign()), lossless=False)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), at=st.sampled_from([b"", b"PK\5\6", b"PK\1\2", b"PK\3\4"]))
def test_any_bytes_are_no_archive(data: bytes, at: bytes) -> None:
    """Bytes of any kind raise `StoreError`, if they are no archive by accident."""
    check_damaged(at + data, lossless=False)
    check_damaged(data + END.pack(b"PK\5\6", 0, 0, 1, 1, len(data), 0, 0), lossless=False)


@contextmanager
def little_memory(most: int) -> Iterator[None]:
    """See that no more bytes are allocated at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def check_damaged(data: bytes, *, lossless: bool) -> None:
    """Read all of an archive, and see that nothing is wrong, absent, or big."""
    with little_memory(5 << 20):
        store = unless_damaged(lambda: over(data))
        if store is None:
            return
        assert not lossless or store.list() == sorted(FIELDS)
        for key in store.list():
            value = unless_damaged(lambda key=key: bytes(store.get(key)))
            if value is not None:
                assert value in ([FIELDS[key]] if lossless else FIELDS.values())
                assert len(value) == store.getsize(key)


def unless_damaged(do: Callable[[], Any]) -> Any:
    """The answer; or None if it is an error, which must not be absence."""
    try:
        return do()
    except StoreError as error:
        absent = isinstance(error, KeyNotFoundError)
    assert not absent
    return None


def test_every_bit_of_a_directory_counts() -> None:
    """Each single bit changed in the directory and the end of ours: an error, or no difference."""
    data = ours()
    start = END.unpack(data[-END.size :])[6]
    for place in range(start, len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            check_damaged(bytes(changed), lossless=True)


# --- archives made to harm ------------------------------------------------------------------------


def member(name: bytes, data: bytes, **facts: Any) -> dict[str, Any]:
    """What makes a member and its entry; facts of either may be told otherwise."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = stream.compress(data) + stream.flush() if facts.pop("deflate", False) else data
    method = 8 if packed is not data else 0
    made = {"name": name, "data": packed, "method": method, "crc": zlib.crc32(data)}
    made |= {"size": len(data), "packed": len(packed), "flags": 0x800, "made_by": 3 << 8}
    return made | facts


def archive(*members: dict[str, Any], **end: Any) -> bytes:
    """An archive of members as they are told."""
    body, records = b"", b""
    for each in members:
        facts = (each["method"], 0, 33, each["crc"], each["packed"], each["size"])
        name = each["name"]
        offset = each.get("offset", len(body))
        extra = each.get("extra", b"")
        where = (len(name), len(extra), 0, 0, 0, 0, offset)
        records += RECORD.pack(b"PK\1\2", each["made_by"], 20, each["flags"], *facts, *where)
        records += name + extra
        if "offset" not in each:
            local = each.get("local", name)
            body += HEADER.pack(b"PK\3\4", 20, each["flags"], *facts, len(local), 0) + local
            body += each["data"]
    count = end.get("count", len(members))
    size, offset = end.get("size", len(records)), end.get("offset", len(body))
    comment = end.get("comment", b"")
    last = END.pack(b"PK\5\6", 0, 0, count, count, size, offset, len(comment)) + comment
    return body + records + end.get("between", b"") + last


def test_the_maker_makes_archives(tmp_path: Path) -> None:
    """What is told without lies can be read."""
    data = archive(member(b"a", b"1"), member(b"b", b"2" * 1000, deflate=True))
    for opened in openers(data, tmp_path / "a.zip"):
        assert bytes(opened().get("b")) == b"2" * 1000
    with zipfile.ZipFile(io.BytesIO(data)) as theirs:
        assert theirs.testzip() is None


TRICKS = {
    "absolute": archive(member(b"/etc/passwd", b"1")),
    "up": archive(member(b"../a", b"1")),
    "up within": archive(member(b"a/../../b", b"1")),
    "here": archive(member(b"./a", b"1")),
    "empty segment": archive(member(b"a//b", b"1")),
    "NUL": archive(member(b"a\0b", b"1")),
    "empty name": archive(member(b"", b"1")),
    "no UTF-8": archive(member(b"a\xff", b"1")),
    "long": archive(member(b"a" * 300, b"1")),
    "reserved": archive(member(b".storekit-x", b"1")),
    "backslashes of DOS": archive(member(b"a\\b", b"1", made_by=0)),
    "drive": archive(member(b"c:\\b", b"1", made_by=10 << 8)),
    "up, a folder": archive(member(b"../", b"")),
}


@pytest.mark.parametrize("data", TRICKS.values(), ids=TRICKS.keys())
def test_names_that_are_no_keys_are_refused(tmp_path: Path, data: bytes) -> None:
    """An archive with a name that cannot be a key is refused as a whole, and says which."""
    for opened in openers(data, tmp_path / "a.zip"):
        with pytest.raises(UnsupportedError, match="of a member"):
            opened()


LIES = {
    "overlap": archive(member(b"a", b"1" * 100), member(b"b", b"1" * 100, offset=0)),
    "beyond": archive(member(b"a", b"1", offset=10_000)),
    "into the directory": archive(member(b"a", b"1", packed=50, size=50)),
    "a stored size": archive(member(b"a", b"1" * 10, size=11)),
    "an impossible ratio": archive(member(b"a", b"1", method=8, size=1 << 31)),
    "a folder with bytes": archive(member(b"a/", b"1")),
    "more entries": archive(member(b"a", b"1"), count=2),
    "many entries": archive(member(b"a", b"1"), count=0xFFFE),
    "fewer entries": archive(member(b"a", b"1"), member(b"b", b"2"), count=1),
    "a short directory": archive(member(b"a", b"1"), size=20),
    "a long directory": archive(member(b"a", b"1"), size=48 + 31 + 1),
    "a huge directory": archive(member(b"a", b"1"), size=0xFFFFFFF0),
    "something between": archive(member(b"a", b"1"), between=b"x" * 30),
    "another end in the comment": archive(
        member(b"a", b"1"), comment=END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)
    ),
    "zip64 that is not there": archive(member(b"a", b"1", size=0xFFFFFFFF)),
    "zip64 too short": archive(
        member(b"a", b"1", size=0xFFFFFFFF, extra=struct.pack("<2HI", 1, 4, 1))
    ),
    "an extra field cut off": archive(member(b"a", b"1", extra=struct.pack("<2H", 1, 40))),
    "nothing": b"",
    "an end only, of more": END.pack(b"PK\5\6", 0, 0, 5, 5, 500, 0, 0),
    "bytes behind": archive(member(b"a", b"1")) + b"x",
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES.keys())
def test_contradictions_are_refused(tmp_path: Path, data: bytes) -> None:
    """An archive that contradicts itself is refused as a whole, and takes no memory."""
    for opened in openers(data, tmp_path / "a.zip"):
        with little_memory(1 << 20), pytest.raises(CorruptArchiveError, match="damaged: "):
            opened()


MEMBERS = {
    "another name": member(b"a", b"1", local=b"b"),
    "another sum": member(b"a", b"1", crc=5),
    "another sum, deflated": member(b"a", b"1" * 3000, deflate=True, crc=5),
    "longer than said": member(b"a", b"1" * 3000, deflate=True) | {"size": 2999},
    "shorter than said": member(b"a", b"1" * 3000, deflate=True) | {"size": 3001},
    "bytes behind the stream": member(b"a", b"1" * 3000, deflate=True),
    "no deflate": member(b"a", b"\xff" * 300, method=8),
    "cut off": member(b"a", b"1" * 3000, deflate=True),
}
MEMBERS["bytes behind the stream"]["data"] += b"xx"
MEMBERS["bytes behind the stream"]["packed"] += 2
MEMBERS["cut off"]["data"] = MEMBERS["cut off"]["data"][:-3]
MEMBERS["cut off"]["packed"] -= 3


@pytest.mark.parametrize("made", MEMBERS.values(), ids=MEMBERS.keys())
def test_members_that_lie_are_refused(tmp_path: Path, made: dict[str, Any]) -> None:
    """A member that is not what the directory says raises, read whole or by its end; others are
    read."""
    for opened in openers(archive(member(b"ok", b"1"), made), tmp_path / "a.zip"):
        store = opened()
        assert bytes(store.get("ok")) == b"1"
        with pytest.raises(CorruptArchiveError, match="damaged: ") as caught:
            store.get("a")
        assert caught.value.key == "a"
        with pytest.raises(CorruptArchiveError, match="damaged: "):
            store.get_partial_values([("a", 0, None), ("a", 0, 1)])
        if made["method"] == 8:
            with pytest.raises(CorruptArchiveError, match="damaged: "):
                store.get_partial_values([("a", -1, None)])


def test_bombs_are_refused_before_they_go_off() -> None:
    """A deflated member beyond `max_member_bytes` is not inflated, not even in part."""
    store = over(archive(member(b"a", bytes(1 << 20), deflate=True)), max_member_bytes=1 << 19)
    for read in (store.get, lambda key: store.get_partial_values([(key, 0, 1)])):
        refused = pytest.raises(UnsupportedError, match="max_member_bytes allows 524288")
        with little_memory(1 << 19), refused:
            read("a")
    assert store.getsize("a") == 1 << 20


def test_a_bomb_that_says_it_is_none() -> None:
    """A member that would inflate to far more than the directory says takes no memory for it."""
    bomb = member(b"a", bytes(50 << 20), deflate=True) | {"size": 1000}
    for read in (lambda s: s.get("a"), lambda s: s.get_partial_values([("a", 5, None)])):
        store = over(archive(bomb))
        with little_memory(1 << 20), pytest.raises(CorruptArchiveError, match="damaged: "):
            read(store)


def test_stored_values_of_any_size_are_read() -> None:
    """`max_member_bytes` is about what is inflated: stored values cannot grow."""
    assert over(archive(member(b"a", b"1" * 1000)), max_member_bytes=0).get("a") == b"1" * 1000


@pytest.mark.parametrize("field", range(6))
def test_two_ends_that_contradict_each_other_are_refused(field: int) -> None:
    """With zip64 an archive has two ends; where both tell, they must tell the same."""
    whole = archive(member(b"a", b"1"))
    body, (*_, size, offset, _) = whole[: -END.size], END.unpack(whole[-END.size :])
    narrow = [0, 0, 1, 1, size, offset]
    for change in (0, 1):
        wide = (44, 45, 45, 0, 0, 1, 1, size, offset)
        narrow[field] += change
        data = body + ZIP64_END.pack(b"PK\6\6", *wide)
        data += LOCATOR.pack(b"PK\6\7", 0, offset + size, 1)
        data += END.pack(b"PK\5\6", *narrow, 0)
        if change:
            with pytest.raises(CorruptArchiveError, match="contradict"):
                over(data)
        else:
            assert over(data).get("a") == b"1"


@pytest.mark.parametrize(
    ("wide", "locator", "error"),
    [
        ({"signature": b"PK\6\5"}, {}, "not where it should be"),
        ({"length": 45}, {}, "not where it should be"),
        ({}, {"position": 7}, "not where it should be"),
        ({}, {"disks": 2}, "several parts"),
    ],
    ids=str,
)
def test_an_end_of_zip64_that_lies_is_refused(
    wide: dict[str, Any], locator: dict[str, Any], error: str
) -> None:
    """The second end of zip64 lies right behind the directory, and is where the locator says."""
    whole = archive(member(b"a", b"1"))
    size, offset = END.unpack(whole[-END.size :])[5:7]
    facts = (wide.get("length", 44), 45, 45, 0, 0, 1, 1, size, offset)
    data = whole[: -END.size] + ZIP64_END.pack(wide.get("signature", b"PK\6\6"), *facts)
    position, disks = locator.get("position", offset + size), locator.get("disks", 1)
    data += LOCATOR.pack(b"PK\6\7", 0, position, disks) + whole[-END.size :]
    with pytest.raises(StoreError, match=error):
        over(data)


def test_an_entry_that_means_an_older_value_is_refused(tmp_path: Path) -> None:
    """An entry whose offset is that of a replaced value does not give parts of that one."""
    path = tmp_path / "a.zip"
    with ZipStore(path, "w") as store:
        store.set("a", b"old value")
        store.set("a", b"new value")
    data = bytearray(path.read_bytes())
    place = END.unpack(data[-END.size :])[6] + RECORD.size - 4
    assert data[place : place + 4] != bytes(4)
    data[place : place + 4] = bytes(4)
    with pytest.raises(CorruptArchiveError, match="damaged: "):
        over(bytes(data)).get_partial_values([("a", 0, 3)])


def test_a_directory_that_cannot_be_is_not_fetched() -> None:
    """Whether a directory can be so long is decided before it is read."""
    last = END.pack(b"PK\5\6", 0, 0, 1, 1, 1 << 30, 0, 0)
    below = TraceStore(MemoryStore({"k": bytes(1 << 20) + last}))
    with pytest.raises(CorruptArchiveError, match="cannot have 1 entries"):
        ZipStore.over(below, "k")
    assert len(below.trace) == 1


def test_headers_of_members_beyond_4_gib() -> None:
    """The header of a member that takes more than 4 GiB is as long as it says, and has its size."""
    entry = new_entry("a/ü", 0, 1, 5 << 30, 5 << 30, 7)
    written = header(entry)
    assert header_size(entry, written) == len(written)
    assert struct.unpack("<2H2Q", written[-20:]) == (1, 16, 5 << 30, 5 << 30)
    records = directory([entry], 6 << 30, b"")
    end = find_end(records)
    assert read_directory(records[: end.size], 1, 0, 6 << 30)[0][:8] == entry[:8]


def test_parts_of_an_archive_in_several_are_refused() -> None:
    """An archive split over several files says so."""
    data = archive(member(b"a", b"1"))
    split = data[: -END.size] + END.pack(b"PK\5\6", 1, 0, *END.unpack(data[-END.size :])[3:])
    with pytest.raises(UnsupportedError, match="several parts"):
        over(split)
