"""What is read by several ranges is of one state of a value, whoever replaces it meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_layouts import HookedStore, PlainStore
from servers.raw_server import running

from storekit import HTTPStore, LocalStore, MemoryStore, PrefixStore, ZarrArray, open_zarr
from storekit.nodes import chunkio
from storekit.stores.base import Latency
from storekit.stores.wrapper import Call

STORES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryStore(),
    "local": LocalStore,
    "states unknown": lambda _: PlainStore(),
    "wrapped": lambda path: PrefixStore(LocalStore(path), "below/"),
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "shards": {"codecs": "none", "shards": 4096, "chunks": 64},
    "shards at start": {"codecs": "zstd", "shards": 4096, "chunks": 64},
    "blocks": {"chunks": 1 << 17},
}


@pytest.fixture(autouse=True)
def always_by_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are read by ranges, however few bytes that saves."""
    monkeypatch.setattr(chunkio, "_MIN_SAVED", dict.fromkeys(Latency, 1))


def states(store: Any, **layout: Any) -> tuple[ZarrArray, list[bytes], str]:
    """An array of one value; the bytes of two states of it, the constant part of both; its key."""
    size = layout.get("shards") or layout["chunks"]
    rng = np.random.default_rng(0)
    array = ZarrArray.create(store, "a", shape=size, dtype="i4", **layout)
    found = []
    for first in (np.zeros(size // 4, "i4"), rng.integers(0, 1 << 30, size // 4, "i4")):
        array[: size // 4] = first
        array[size // 4 :] = np.arange(size // 4, size)
        found.append(bytes(store.get("a/c/0")))
    return array, found, "a/c/0"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("often", [False, True])
def test_a_value_is_replaced_between_two_reads(
    tmp_path: Path, kind: str, layout: str, often: bool
) -> None:
    """Elements that both states have are right: if it is replaced once, and if it always is."""
    store = STORES[kind](tmp_path)
    array, values, key = states(store, **LAYOUTS[layout])
    left = cycle(values) if often else iter(values[:1])

    def hook(call: Call) -> None:
        if call.op == "get_partial_values":
            if seen:
                for value in islice(left, 1):
                    store.set(key, value)
            seen.append(call)

    seen: list[Call] = []
    hooked = open_zarr(HookedStore(store, hook), "a")
    first = len(array) // 2 + 5
    for part in (slice(first, first + 20), [first, first + 9, first + 300]):
        assert (hooked[part] == np.arange(len(array))[part]).all()
    assert seen


def test_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose ETag says that the value is another one is asked again; with no more requests
    than before, as long as it is the same."""
    memory = MemoryStore()
    _, values, key = states(memory, **LAYOUTS["shards"])
    with running() as server:
        server.contents.update({each: bytes(memory.get(each)) for each in memory.list()})
        with HTTPStore(server.url) as store:
            store.request_cost = 0
            array = open_zarr(store, "a")
            server.requests.clear()
            assert (array[2050:2060] == np.arange(2050, 2060)).all()
            assert len(server.requests) == 2
            ask = server.right

            def right(exchange: Any) -> Any:
                answer = ask(exchange)
                server.replace(key, values[0])
                return answer

            monkeypatch.setattr(server, "right", right)
            assert (array[2050:2060] == np.arange(2050, 2060)).all()


@pytest.mark.parametrize("kind", ["local", "states unknown"])
def test_a_writer_in_another_thread(tmp_path: Path, kind: str) -> None:
    """Parts of a shard that nobody writes are always right, while others of it are."""
    store = STORES[kind](tmp_path)
    _, values, key = states(store, **LAYOUTS["shards"])
    array, done = open_zarr(store, "a"), threading.Event()

    def write() -> None:
        for value in cycle(values):
            store.set(key, value)
            if done.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            assert (array[2050:2060] == np.arange(2050, 2060)).all()
    finally:
        done.set()
        writer.join()
