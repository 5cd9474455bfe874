"""What reading and writing asks of the store, and by how many threads."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from array_layouts import CountingStore, HookedStore

from storekit import LocalStore, MemoryStore, SlowStore, ZarrArray
from storekit.errors import CodecError
from storekit.nodes import chunkio
from storekit.simulation import VirtualClock
from storekit.stores.base import Latency, ReadableStore
from storekit.stores.wrapper import Call
from storekit.testing import run_at_once


def make(store: ReadableStore, **options: Any) -> ZarrArray:
    """An array of 64 chunks of 16 elements; uncompressed unless told otherwise."""
    settings: dict[str, Any] = {"shape": (1024,), "chunks": 16, "dtype": "f4", "codecs": "none"}
    return ZarrArray.create(store, "a", **{**settings, **options})


def test_small_chunks_are_written_together() -> None:
    """Whole chunks of some bytes go to the store in one call, empty ones leave it in another."""
    store = CountingStore(MemoryStore())
    array = make(store)
    store.seen  # noqa: B018 - forgets what creating asked for
    array[...] = 1
    assert [op for op, _ in store.seen] == ["set_values"]
    array[...] = 0
    assert [op for op, _ in store.seen] == ["erase_values"]


def test_what_is_written_together_is_bounded() -> None:
    """No more than a megabyte and a chunk of encoded bytes is held back, however many there are."""
    sizes: list[int] = []

    def hook(call: Call) -> None:
        if call.op in ("set", "set_values"):
            sizes.append(len(call.keys))

    array = make(HookedStore(MemoryStore(), hook), shape=(1 << 20,), chunks=1 << 14)
    array._io._run = lambda plan, work, *_, **__: work(plan)  # type: ignore[method-assign]
    array[...] = 1
    assert sum(sizes) == 64
    assert max(sizes) == 16


@pytest.mark.parametrize("dtype", ["u1", "f2", "i4", "f8", "c8", "c16", "M8[s]", [("x", "i2")]])
def test_an_element_of_an_uncompressed_chunk_is_written_where_it_lies(dtype: Any) -> None:
    """One element of a chunk without codecs is a request for its bytes alone, and nothing else."""
    store = CountingStore(MemoryStore())
    expected = np.arange(1, 61).astype("u1").view("u1").reshape(3, 4, 5).astype(dtype)
    array = make(store, data=expected, shape=(3, 4, 5), chunks=(2, 3, 5), dtype=expected.dtype)
    store.seen  # noqa: B018
    array[2, 1, 3] = expected[2, 3, 4]
    expected[2, 1, 3] = expected[2, 3, 4]
    assert [op for op, _ in store.seen] == ["getsize", "set_partial_values"]
    array[2:3, 1:2, -1:] = expected[0, 0, 0]
    expected[2:3, 1:2, -1:] = expected[0, 0, 0]
    assert [op for op, _ in store.seen] == ["getsize", "set_partial_values"]
    assert (array[...] == expected).all()


def test_an_element_that_makes_a_chunk_empty_removes_it() -> None:
    """The last element that is not the fill value takes the chunk with it, as everywhere else."""
    array = make(MemoryStore())
    array[3] = 5
    assert array.stored_keys() == ["a/c/0"]
    array[3] = 0
    assert array.stored_keys() == []


@pytest.mark.parametrize("size", [0, 12, 16, 63, 65])
def test_an_element_of_a_damaged_chunk_is_not_written(size: int) -> None:
    """A chunk of the wrong size is an error for who writes to it, too, and stays as it is."""
    store = MemoryStore()
    array = make(store)
    store.set("a/c/0", bytes(size))
    with pytest.raises(CodecError, match="a/c/0"):
        array[3] = 5
    assert store.get("a/c/0") == bytes(size)


@pytest.mark.parametrize("codecs", [["bytes", "crc32c"], ["bytes", "zstd"], "b2nd"])
def test_an_element_under_a_codec_is_never_written_in_place(codecs: Any) -> None:
    """Where bytes depend on each other, the chunk is encoded anew."""
    codecs = [{"name": name} for name in codecs] if isinstance(codecs, list) else codecs
    if isinstance(codecs, list):
        codecs[0]["configuration"] = {"endian": "little"}
    store = CountingStore(MemoryStore())
    array = make(store, codecs=codecs)
    array[...] = 1
    store.seen  # noqa: B018
    array[3] = 5
    assert [op for op, _ in store.seen] == ["get_versioned", "compare_and_set"]
    assert array[2:5].tolist() == [1, 5, 1]


def test_elements_written_at_once_are_all_there(tmp_path: Any) -> None:
    """Single elements and parts of one chunk, written by many threads, never undo each other."""
    array = make(LocalStore(tmp_path), shape=(256,), chunks=256, dtype="i2")
    array[...] = -1

    def write(first: int) -> None:
        for i in range(first, 256, 8):
            if i % 3:
                array[i] = i
            else:
                array[i : i + 1 : 2] = [i]

    def write_pairs() -> None:
        for _ in range(20):
            array[0:1] = 0

    run_at_once(write_pairs, *(partial(write, first) for first in range(8)))
    assert array[...].tolist() == list(range(256))


@pytest.mark.parametrize(
    ("codecs", "edge", "threads"),
    [("none", 64, False), ("none", 256, True), ("zstd", 64, True), ("zstd", 16, False)],
)
def test_threads_help_where_native_code_is_long_enough(
    codecs: str, edge: int, threads: bool
) -> None:
    """Many chunks are read by several threads if a chunk keeps native code busy for a while."""
    store = MemoryStore()
    make(store, data=np.ones((512, 512), "f4"), shape=(512, 512), chunks=edge, codecs=codecs)
    seen: set[int] = set()
    array = ZarrArray(HookedStore(store, lambda _: seen.add(threading.get_ident())), "a")
    with (
        patch("storekit.pool._has_gil", lambda: True),
        patch("storekit.nodes.chunkio.run", wraps=chunkio.run) as run,
    ):
        for _ in range(4):
            assert (array[...] == 1).all()
    assert run.called == threads
    if not threads:
        assert seen == {threading.get_ident()}


def test_without_the_lock_of_the_interpreter_threads_always_help() -> None:
    """A free-threaded Python reads small chunks by several threads, too."""
    array = make(MemoryStore(), data=np.ones((512, 512), "f4"), shape=(512, 512), chunks=64)
    with (
        patch("storekit.pool._has_gil", lambda: False),
        patch("storekit.nodes.chunkio.run", wraps=chunkio.run) as run,
    ):
        assert (array[...] == 1).all()
    assert run.called


def test_a_future_of_little_is_done_at_once() -> None:
    """What is read faster than a thread wakes up is read here; the future says how it went."""
    store = MemoryStore()
    make(store)[...] = 7
    seen: set[int] = set()
    array = ZarrArray(HookedStore(store, lambda _: seen.add(threading.get_ident())), "a")
    for future in (array.read_future(5), array.vindex.read_future([5])):
        assert future.done()
        assert (future.result() == 7).all()
    assert array.read_future(1024).exception() is not None
    assert array.read_future(5, out=np.zeros(3)).exception() is not None
    store.set("a/c/0", b"x")
    assert isinstance(array.read_future(5).exception(), CodecError)
    assert seen == {threading.get_ident()}


@pytest.mark.parametrize("far", [False, True])
def test_a_future_of_much_is_read_elsewhere(far: bool) -> None:
    """Many chunks, and any chunk behind a network, are read by another thread."""
    store = MemoryStore()
    make(store, shape=(1 << 14,))[...] = 7
    seen: set[int] = set()
    array = ZarrArray(HookedStore(store, lambda _: seen.add(threading.get_ident())), "a")
    seen.clear()
    if far:
        array.store.latency = Latency.NETWORK
    assert (array.read_future(slice(1) if far else ...).result() == 7).all()
    assert threading.get_ident() not in seen


@pytest.mark.parametrize(("chunks", "most"), [(16, 16), (8, 8), (2, 4)])
def test_large_chunks_are_fewer_at_once(chunks: int, most: int) -> None:
    """Chunks on their way from a network are bounded in bytes, but some are always side by side."""
    clock = VirtualClock()
    store = SlowStore(MemoryStore(), base_delay=1, clock=clock)
    array = make(store, data=np.ones((32, 1024), "u1"), shape=None, chunks=(1, 1024), dtype=None)
    begin = clock.now()
    with patch.object(chunkio, "_IN_FLIGHT", chunks * 1024):
        assert array[...].all()
    assert clock.now() - begin == 32 / most


def test_far_steps_read_only_what_they_meet() -> None:
    """A step of many bytes is as many ranges as elements, not all that lies between them."""
    asked: list[Any] = []
    store = HookedStore(MemoryStore(), lambda call: asked.append(call.ranges))
    array = make(store, data=np.arange(1 << 18, dtype="i4"), shape=None, chunks=1 << 18, dtype=None)
    with patch.object(chunkio, "_MIN_SAVED", dict.fromkeys(Latency, 1)):
        asked.clear()
        assert array[5 :: 1 << 17].tolist() == [5, 5 + (1 << 17)]
    assert asked == [((20, 4), (20 + (1 << 19), 4))]
