"""What was read first of a value, its index or its head, is read once as long as it stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from email.utils import formatdate
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_layouts import HookedStore, PlainStore
from servers.raw_server import running

from storekit import (
    CacheStore,
    HTTPStore,
    LocalStore,
    MemoryStore,
    MirrorStore,
    PrefixStore,
    ZarrArray,
    open_zarr,
)
from storekit.clock import RealClock
from storekit.codecs.bound import FirstRead
from storekit.errors import ConnectionLostError
from storekit.nodes import chunkio, kept
from storekit.stores.base import Latency
from storekit.stores.states import States
from storekit.stores.wrapper import Call
from storekit.typing import AnyArray

COUNT = 4096
NOISE = np.random.default_rng(1).integers(-(1 << 30), 1 << 30, 1 << 17, "i4")
STORES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryStore(),
    "local": LocalStore,
    "wrapped": lambda path: PrefixStore(LocalStore(path), "below/"),
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "shards": {"codecs": "none", "shards": COUNT, "chunks": 64},
    "shards of zstd": {"codecs": "zstd", "shards": COUNT, "chunks": 64},
    "blocks": {"chunks": 1 << 17},
}


@pytest.fixture(autouse=True)
def always_by_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are read by ranges, however few bytes that saves."""
    monkeypatch.setattr(chunkio, "_MIN_SAVED", dict.fromkeys(Latency, 1))


_passed = 0  # never less than before: no stamp of a process is earlier than another that it gave


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets three seconds pass: files were not written a moment ago."""

    def wait() -> None:
        global _passed
        _passed += 3 * 10**9

    monkeypatch.setattr(RealClock, "now_ns", lambda _: time.time_ns() + _passed)
    return wait


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How the array is stored."""
    return LAYOUTS[request.param]


def create(store: Any, layout: dict[str, Any]) -> ZarrArray:
    """An array of noise."""
    size = layout.get("shards") or layout["chunks"]
    array = ZarrArray.create(store, "a", shape=size, dtype="i4", **layout)
    array[:] = NOISE[:size]
    return array


def watched(store: Any) -> tuple[ZarrArray, list[Call]]:
    """The array in a store, and the calls that parts of values have taken."""
    calls: list[Call] = []

    def hook(call: Call) -> None:
        if call.op == "get_partial_values":
            calls.append(call)

    return open_zarr(HookedStore(store, hook), "a"), calls


def window(array: ZarrArray, start: int) -> AnyArray:
    """Some elements in the middle of a chunk."""
    found: AnyArray = array[start : start + 10]
    return found


@pytest.mark.parametrize("kind", STORES)
def test_the_second_window_takes_one_call(
    tmp_path: Path, kind: str, layout: dict[str, Any], wait: Callable[[], None]
) -> None:
    """After a first window, another of the same value, anywhere in it, is one call of the store."""
    store = STORES[kind](tmp_path)
    create(store, layout)
    wait()
    array, calls = watched(store)
    for start, took in ((100, 2), (100, 1), (3000, 1)):
        calls.clear()
        assert (window(array, start) == NOISE[start : start + 10]).all()
        assert len(calls) == took


def test_where_nobody_says_the_state_the_index_is_read_each_time(layout: dict[str, Any]) -> None:
    """A store that does not say which state it reads is asked twice for each window."""
    store = PlainStore()
    create(store, layout)
    array, calls = watched(store)
    for _ in range(2):
        calls.clear()
        assert (window(array, 100) == NOISE[100:110]).all()
        assert len(calls) == 2


@pytest.mark.parametrize("kind", STORES)
def test_what_was_written_since_is_read(
    tmp_path: Path, kind: str, layout: dict[str, Any], wait: Callable[[], None]
) -> None:
    """Whoever writes, through the same array or another, the next window is of what was written."""
    store = STORES[kind](tmp_path)
    writer, rng = create(store, layout), np.random.default_rng(0)
    array, _ = watched(store)
    for turn in range(6):
        start = 700 * turn % COUNT
        wait()
        window(array, start)
        values = rng.integers(-(1 << 30), 1 << 30, 10 + turn)
        (writer if turn % 2 else array)[start : start + len(values)] = values
        assert (array[start : start + len(values)] == values).all()
        assert (window(array, 4000) == NOISE[4000:4010]).all()


@pytest.mark.parametrize("kind", STORES)
def test_what_was_empty_is_looked_at_again(
    tmp_path: Path, kind: str, wait: Callable[[], None]
) -> None:
    """A window without anything stored, by an index that was kept, is fill values only if it still
    has nothing; and all of it once the shard is gone."""
    store = STORES[kind](tmp_path)
    writer = ZarrArray.create(store, "a", shape=COUNT, dtype="i4", **LAYOUTS["shards"])
    writer[:100] = 1
    wait()
    array, calls = watched(store)
    window(array, 0)
    for _ in range(2):
        calls.clear()
        assert not window(array, 2000).any()
        assert len(calls) == 1
    writer[2000:2010] = 2
    assert (window(array, 2000) == 2).all()
    window(array, 0)
    store.erase("a/c/0")
    assert not window(array, 2000).any()
    assert not window(array, 0).any()


def replace_in_place(path: Path, value: bytes, moment: float) -> None:
    """Write over a file as other programs do, and set its time."""
    with open(path, "r+b") as file:
        file.write(value)
        file.truncate()
    os.utime(path, ns=(int(moment) * 10**9,) * 2)


def test_what_others_write_within_one_tick_is_read(
    tmp_path: Path, wait: Callable[[], None]
) -> None:
    """
    A file that another program wrote a moment ago may change and keep its time stamps: nothing of
    it is kept until that cannot happen any more.
    """
    store = LocalStore(tmp_path)
    writer, path = create(store, LAYOUTS["shards"]), tmp_path / "a" / "c" / "0"
    first = path.read_bytes()
    writer[:64] = 0  # the first chunk is empty now, and all others move
    second = path.read_bytes()
    replace_in_place(path, first, now := store.clock.now_ns() / 1e9)
    array, calls = watched(store)
    for _ in range(2):
        calls.clear()
        assert (window(array, 100) == NOISE[100:110]).all()
        assert len(calls) == 2
    wait()
    window(array, 100)
    calls.clear()
    assert (window(array, 100) == NOISE[100:110]).all()
    assert len(calls) == 1
    replace_in_place(path, second, now)
    assert (array[60:110] == [0] * 4 + NOISE[64:110].tolist()).all()


def test_copies_of_a_value_are_never_mixed(tmp_path: Path) -> None:
    """An index of one copy is not used for bytes of another, though both may be in order."""
    lost = False

    def hook(call: Call) -> None:
        if lost and call.op.startswith("get"):
            raise ConnectionLostError("lost")

    copies = MemoryStore(), MemoryStore()
    for number, copy in enumerate(copies):
        array = ZarrArray.create(copy, "a", shape=COUNT, dtype="i4", **LAYOUTS["shards"])
        array[64 * number :] = NOISE[64 * number : COUNT]  # the second has its chunks elsewhere
    array = open_zarr(MirrorStore(HookedStore(copies[0], hook), copies[1]), "a")
    for _ in range(3):
        assert (window(array, 3000) == NOISE[3000:3010]).all()
        lost = not lost


def test_copies_that_answer_in_turns_are_read_in_part() -> None:
    """Of copies that are the same, either may answer any call, and no more is read than needed."""
    memory, turns, asked = MemoryStore(), cycle([True, False]), []
    create(memory, LAYOUTS["shards"])

    def hook(call: Call) -> None:
        asked.extend(call.ranges)
        if call.op == "get_partial_values" and next(turns):
            raise ConnectionLostError("lost")

    copy = MemoryStore()
    for key in memory.list():
        copy.set(key, memory.get(key))
    array = open_zarr(MirrorStore(HookedStore(memory, hook), copy), "a")
    for start in (100, 3000, 200):
        assert (window(array, start) == NOISE[start : start + 10]).all()
    assert asked
    assert (0, None) not in asked


@pytest.mark.parametrize("kind", STORES)
def test_a_cache_that_has_it_asks_nobody(
    tmp_path: Path, kind: str, layout: dict[str, Any], wait: Callable[[], None]
) -> None:
    """Through a cache, a window that was read before takes no call, and another one at most."""
    store, calls = STORES[kind](tmp_path), []
    create(store, layout)
    wait()
    array = open_zarr(CacheStore(HookedStore(store, calls.append)), "a")
    for start, took in ((100, 2), (100, 0), (100, 0), (3000, 1), (100, 0), (3000, 0)):
        calls.clear()
        assert (window(array, start) == NOISE[start : start + 10]).all()
        assert len(calls) <= took


@pytest.mark.parametrize("room", [1 << 20, 1500], ids=["for all", "for the index"])
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_cache_never_mixes_what_was_replaced(tmp_path: Path, kind: str, room: int) -> None:
    """
    A window is right if the shard is replaced while its index is in the cache and its chunk on the
    way; also if another puts a newer index there in between.
    """
    store = STORES[kind](tmp_path)
    writer = create(store, LAYOUTS["shards"])
    full = bytes(store.get("a/c/0"))
    writer[:64] = 0  # the first chunk empty: others move
    states, acts = [full, bytes(store.get("a/c/0"))], []

    def hook(call: Call) -> None:
        if call.op == "get_partial_values" and acts:
            acts.pop()()

    cache = CacheStore(HookedStore(store, hook), max_bytes=room)
    array = open_zarr(cache, "a")
    for turn in range(4):
        window(array, 200)

        def replace(turn: int = turn, again: bool = False) -> None:
            cache.set("a/c/0", states[turn % 2])
            if again:
                window(open_zarr(cache, "a"), 200)

        acts[:] = [replace, lambda turn=turn, act=replace: act(turn + 1, again=True)][turn // 2 :]
        assert (window(array, 3000) == NOISE[3000:3010]).all()


@pytest.mark.parametrize(
    ("etag", "age", "took"),
    [
        ('"x"', 10, 1),
        ('"x"', None, 1),
        ('"x"', 0, 2),
        ('"x"', 1, 2),
        ('W/"x"', 10, 2),
        ('"3b9ac9f6-4000"', 10, 2),
        ("", 10, 3),
    ],
)
def test_an_etag_that_may_come_again_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, etag: str, age: int | None, took: int
) -> None:
    """An index is kept by a strong ETag of what was not written a moment before it was sent."""
    memory = MemoryStore()
    create(memory, LAYOUTS["shards"])
    with running() as server:
        server.contents.update({each: bytes(memory.get(each)) for each in memory.list()})
        right = server.right

        def dated(exchange: Any) -> Any:
            status, headers, body = right(exchange)
            headers = {**headers, "ETag": etag, "Date": formatdate(1e9, usegmt=True)}
            if age is not None:
                headers["Last-Modified"] = formatdate(1e9 - age, usegmt=True)
            return status, headers, body

        monkeypatch.setattr(server, "right", dated)
        with HTTPStore(server.url) as store:
            store.request_cost = 0
            array = open_zarr(store, "a")
            window(array, 100)
            server.requests.clear()
            assert (window(array, 3000) == NOISE[3000:3010]).all()
            assert len(server.requests) == took


def test_what_is_kept_is_bounded() -> None:
    """Of one array so many bytes are kept at most: the oldest go, the largest stay out."""
    kept_reads = kept.Kept()
    reads = {
        f"{number}": FirstRead([(0, None)], [bytes(kept._BYTES // 8)], States())
        for number in range(20)
    }
    for key, read in reads.items():
        kept_reads.put(key, read)
    there = [key for key, read in reads.items() if kept_reads.get(key) is read]
    assert there == [f"{number}" for number in range(13, 20)]
    kept_reads.put("19", FirstRead([(0, None)], [bytes(kept._BYTES)], States()))
    assert kept_reads.get("19") is None
    for key in reads:
        kept_reads.put(key, None)
    assert kept_reads._size == 0
