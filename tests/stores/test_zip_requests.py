"""What is asked of the store below, and read of a file, to read an archive."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from servers.moto_server import Moto
from servers.raw_server import ignore_ranges, running

from storekit.errors import ConnectionLostError
from storekit.simulation import VirtualClock
from storekit.stores import (
    Fault,
    FaultyStore,
    Link,
    LocalStore,
    MemoryStore,
    SlowStore,
    TraceStore,
    WritableStore,
)
from storekit.stores.http import HTTPStore
from storekit.stores.object import ObjectStore
from storekit.stores.zip import ZipStore

BIG = os.urandom(3 << 20)


def archive_of(fields: dict[str, bytes], tmp_path: Path, **options: Any) -> bytes:
    """The bytes of an archive of ours."""
    with ZipStore(tmp_path / "made.zip", "w", **options) as store:
        store.set_values(fields.items())
    return (tmp_path / "made.zip").read_bytes()


@pytest.fixture
def small(tmp_path: Path) -> bytes:
    """An archive whose directory is short."""
    return archive_of({f"c/{number}": BIG[number:][:5000] for number in range(200)}, tmp_path)


class TestCalls:
    def test_an_archive_is_opened_by_one_call(self, small: bytes) -> None:
        """The last 128 KiB are read, which have the end and the directory."""
        below = TraceStore(MemoryStore({"x/a.zip": small}))
        store = ZipStore.over(below, "x/a.zip")
        (record,) = below.trace.records
        assert (record.op, record.down) == ("get_partial_values", 1 << 17)
        assert len(store.list()) == 200

    def test_a_long_directory_takes_a_second_call(self, tmp_path: Path) -> None:
        """A directory of more than 128 KiB is read whole by a call of its own."""
        fields = {f"c/{number:060}": b"" for number in range(2000)}
        below = TraceStore(MemoryStore({"x/a.zip": archive_of(fields, tmp_path)}))
        store = ZipStore.over(below, "x/a.zip")
        below.trace.assert_calls(exactly=True, get_partial_values=2)
        assert store.list() == sorted(fields)

    def test_a_value_is_read_by_one_call(self, small: bytes) -> None:
        """Each value takes one call, at first and again, of its bytes and a few more."""
        below = TraceStore(MemoryStore({"x/a.zip": small}))
        store = ZipStore.over(below, "x/a.zip")
        below.trace.clear()
        for number in (7, 7, 150):
            assert store.get(f"c/{number}") == BIG[number:][:5000]
        assert [record.op for record in below.trace] == ["get_partial_values"] * 3
        assert max(record.down for record in below.trace) < 5200

    def test_parts_of_a_value_are_one_call(self, tmp_path: Path) -> None:
        """Several parts of one stored value are read by one call, without the rest."""
        below = TraceStore(MemoryStore({"x/a.zip": archive_of({"big": BIG}, tmp_path)}))
        store = ZipStore.over(below, "x/a.zip")
        for _ in range(2):
            below.trace.clear()
            parts = [("big", 2_000_000, 10), ("big", -5, None), ("big", 0, 7), ("big", 9, 0)]
            found = [bytes(part) for part in store.get_partial_values(parts)]
            assert found == [BIG[2_000_000:2_000_010], BIG[-5:], BIG[:7], b""]
            (record,) = below.trace.records
            assert record.down < 500

    def test_facts_take_no_call(self, small: bytes) -> None:
        """Sizes, names, listings and absence are known from the directory."""
        below = TraceStore(MemoryStore({"x/a.zip": small}))
        store = ZipStore.over(below, "x/a.zip")
        below.trace.clear()
        assert store.getsize("c/5") == 5000
        assert not store.exists("d")
        assert len(store.list_dir("c/")) == 200
        assert store.get_partial_values([("d", 0, 1), ("c/5", 3, 0)]) == [None, b""]
        assert len(below.trace) == 0

    def test_headers_that_are_longer_than_thought_take_one_more(self) -> None:
        """A header with an extra field that the directory does not tell of is read on, once."""
        info = zipfile.ZipInfo("a")
        info.extra = b"zz\xe8\x03" + bytes(1000)
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(info, BIG)
            info.extra = b""
        below = TraceStore(MemoryStore({"x/a.zip": buffer.getvalue()}))
        store = ZipStore.over(below, "x/a.zip")
        for calls in (2, 1):
            below.trace.clear()
            assert (
                bytes(store.get_partial_values([("a", 2_000_000, 10)])[0]) == BIG[2_000_000:][:10]
            )
            below.trace.assert_calls(get_partial_values=calls)
        below.trace.clear()
        assert store.get("a") == BIG
        below.trace.assert_calls(get_partial_values=1)

    def test_deflated_values_are_read_as_far_as_needed(self, tmp_path: Path) -> None:
        """Of a deflated value, what lies behind the parts asked for is not read."""
        data = archive_of({"big": BIG[:1_500_000].hex().encode()}, tmp_path, level=1)
        below = TraceStore(MemoryStore({"x/a.zip": data}))
        store = ZipStore.over(below, "x/a.zip")
        text = BIG[:1_500_000].hex().encode()
        for start, length, most in ((0, 100, 1 << 17), (1000, 5, 1 << 17), (-100, None, 1 << 21)):
            below.trace.clear()
            (part,) = store.get_partial_values([("big", start, length)])
            assert part == (text[start:] if length is None else text[start : start + length])
            assert sum(record.down for record in below.trace) < most
            assert len(below.trace) <= 6

    def test_time_is_that_of_the_calls(self, small: bytes) -> None:
        """Behind a network, opening takes one round trip, and each value another one."""
        clock = VirtualClock()
        link = Link(latency=0.05, down=10e6)
        inner = SlowStore(MemoryStore({"a.zip": small}), link=link, clock=clock)
        store = ZipStore.over(inner, "a.zip")
        assert 0.05 < clock.now() < 0.07
        before = clock.now()
        store.get("c/3")
        assert 0.05 < clock.now() - before < 0.052
        assert store.latency == inner.latency
        assert store.concurrency == inner.concurrency
        assert store.clock is clock

    def test_faults_below_stay_faults(self, small: bytes) -> None:
        """A connection that breaks below is that error, when opening and when reading."""
        faulty = FaultyStore(
            MemoryStore({"a.zip": small}), [Fault(error=ConnectionLostError, nth=2)]
        )
        store = ZipStore.over(faulty, "a.zip")
        with pytest.raises(ConnectionLostError):
            store.get("c/1")
        assert store.get("c/1") == BIG[1:][:5000]

    def test_what_is_below_is_closed_along(self, small: bytes) -> None:
        """Closing the archive closes the store that holds it."""
        closed = []

        class Noting(MemoryStore):
            def close(self) -> None:
                closed.append(self)

        inner = Noting({"a.zip": small})
        with ZipStore.over(inner, "a.zip") as store:
            assert not isinstance(store, WritableStore)
        assert len(closed) == 1


class TestServers:
    @pytest.fixture(params=["http", "s3"])
    def far(self, request: pytest.FixtureRequest, moto: Moto) -> Iterator[tuple[Any, Any]]:
        """A store behind a server, and a function that tells the requests since it was asked."""
        if request.param == "s3":
            store: Any = ObjectStore(f"s3://{moto.bucket()}/x", **moto.obstore)
            yield store, lambda: taken(moto.requests)
            return
        with running() as server, HTTPStore(f"{server.url}/x", writable=True) as store:
            yield store, lambda: taken(server.requests)

    def test_a_small_archive_is_opened_by_one_request(self, far: Any, small: bytes) -> None:
        """Behind a server an archive is opened by one request, and each value read by one."""
        below, requests = far
        below.set("a.zip", small)
        requests()
        store = ZipStore.over(below, "a.zip")
        assert len(requests()) == 1
        for number in (7, 7, 150):
            assert store.get(f"c/{number}") == BIG[number:][:5000]
            assert len(requests()) == 1
        assert store.exists("c/8")
        assert not store.exists("d")
        assert len(store.list()) == 200
        assert requests() == []

    def test_a_long_directory_takes_two_requests(self, far: Any, tmp_path: Path) -> None:
        """If the directory is longer than what is read first, it takes one request more."""
        below, requests = far
        fields = {f"c/{number:060}": b"" for number in range(2000)}
        below.set("a.zip", archive_of(fields, tmp_path))
        requests()
        assert ZipStore.over(below, "a.zip").list() == sorted(fields)
        assert len(requests()) == 2

    def test_near_parts_are_one_request(self, far: Any, tmp_path: Path) -> None:
        """Parts of a value are a request for each group of them that are near to each other."""
        below, requests = far
        below.set("a.zip", archive_of({"big": BIG}, tmp_path))
        store = ZipStore.over(below, "a.zip")
        requests()
        parts = [("big", 2_500_000, 10), ("big", -5, None), ("big", 0, 7), ("big", 2_600_000, 9)]
        for _ in range(2):
            found = [bytes(part) for part in store.get_partial_values(parts)]
            assert found == [BIG[2_500_000:][:10], BIG[-5:], BIG[:7], BIG[2_600_000:][:9]]
            assert len(requests()) == 2

    def test_a_server_without_ranges_will_do(self, small: bytes) -> None:
        """A server that always sends all of the archive is read just so, a request each time."""
        with running() as server, HTTPStore(server.url) as below:
            server.contents["a.zip"] = small
            server.misbehave(ignore_ranges)
            store = ZipStore.over(below, "a.zip")
            assert store.get("c/3") == BIG[3:][:5000]
            assert bytes(store.get_partial_values([("c/9", -3, None)])[0]) == BIG[9:][4997:5000]
            assert len(server.requests) == 3


def taken(requests: list[Any]) -> list[Any]:
    """What a list holds; it is empty then."""
    found = requests[:]
    requests.clear()
    return found


class TestFiles:
    def test_parts_of_stored_values_are_read_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a stored value in a file only what is asked for is read."""
        archive_of({"big": BIG}, tmp_path)
        store = ZipStore(tmp_path / "made.zip")
        sizes: list[int] = []
        real = os.pread

        def pread(fd: int, size: int, position: int) -> bytes:
            sizes.append(size)
            return real(fd, size, position)

        monkeypatch.setattr(os, "pread", pread)
        assert store.get_partial_values([("big", 1_000_000, 100)])[0] == BIG[1_000_000:][:100]
        assert store.get_partial_values([("big", 2_000_000, 100)])[0] == BIG[2_000_000:][:100]
        assert sum(sizes) < 600

    def test_archives_in_local_stores_are_files(self, tmp_path: Path) -> None:
        """An archive over a store of files reads like one that was opened by its path."""
        archive_of({"a/b": BIG, "c": b""}, tmp_path, level=1)
        below = ZipStore.over(LocalStore(tmp_path), "made.zip")
        direct = ZipStore(tmp_path / "made.zip")
        for store in (below, direct):
            assert store.list() == ["a/b", "c"]
            assert store.get("a/b") == BIG
            assert bytes(store.get_partial_values([("a/b", -9, 4)])[0]) == BIG[-9:-5]

    def test_inflating_holds_little(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Parts at the end of a long deflated value are found without holding the value."""
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", bytes(20 << 20) + b"end")
        store = ZipStore.over(MemoryStore({"k": buffer.getvalue()}), "k")
        held = []
        real = zlib.crc32

        def crc32(data: bytes, *start: int) -> int:
            held.append(len(data))
            return real(data, *start)

        monkeypatch.setattr(zlib, "crc32", crc32)
        (part,) = store.get_partial_values([("a", -5, None)])
        assert bytes(part) == b"\0\0end"
        assert max(held) <= 1 << 18
