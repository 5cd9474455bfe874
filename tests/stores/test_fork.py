"""A forked child can use the stores that the threads of its parent are using."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from forking import in_child
from store_samples import FakeClock

from storekit.stores import LocalStore, MemoryStore, SlowStore, WrapperStore, _forklock
from storekit.stores._forklock import fork_lock

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

STORES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda path: MemoryStore(),
    "local": LocalStore,
    "wrapped": lambda path: SlowStore(WrapperStore(MemoryStore()), 1, clock=FakeClock()),
}


@contextmanager
def busy(store: Any) -> Iterator[None]:
    """Threads that change and list the store all the time."""
    done = threading.Event()
    warm = threading.Barrier(4)

    def work(number: int) -> None:
        while not done.is_set():
            for turn in range(20):
                store.set(f"{number}/{turn % 5}/x", b"")
                store.list_dir(f"{number}/")
                store.erase(f"{number}/{turn % 5}/x")
            if not warm.broken:
                with suppress(threading.BrokenBarrierError):
                    warm.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    warm.wait()
    warm.abort()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("make", STORES.values(), ids=STORES.keys())
def test_a_child_uses_a_store_that_was_in_use(make: Callable[[Path], Any], tmp_path: Path) -> None:
    """Forked at any moment, a child finds a store that is whole, and free to read and write."""
    store = make(tmp_path / "root")
    store.set("kept", b"1")

    def work() -> None:
        key = f"child/{os.getpid()}"
        store.set(key, b"2")
        assert store.get("kept") == b"1"
        version = store.get_versioned(key)[1]
        store.compare_and_set(key, b"3", version)
        assert key in store.list()
        assert store.list_dir("child/").count(key) == 1
        store.erase(key)
        assert key not in store.list()

    work()
    with busy(store):
        assert [in_child(work) for _ in range(15)] == [0] * 15
    store.erase_prefix("child/")
    assert store.list() == ["kept"]


def test_a_child_has_a_memory_of_its_own() -> None:
    """What a child writes to a MemoryStore does not appear in the parent."""
    store = MemoryStore({"a": b"1"})
    assert in_child(lambda: store.set("a", b"2")) == 0
    assert store.get("a") == b"1"


def test_the_index_of_a_child_is_whole() -> None:
    """The forking thread waits until no other is in the middle of a change."""
    store = MemoryStore()

    def check() -> None:
        assert sorted(store.list()) == sorted(store.list_prefix(""))
        store.erase_prefix("")
        assert store._children == {}

    check()
    with busy(store):
        assert [in_child(check) for _ in range(15)] == [0] * 15


def test_locks_are_free_again_on_both_sides() -> None:
    """After a fork nobody holds a lock that was made for it, neither here nor there."""
    lock = fork_lock()

    def check() -> None:
        free = threading.Event()
        thread = threading.Thread(target=lambda: lock.acquire(timeout=5) and free.set())
        thread.start()
        thread.join()
        assert free.is_set()

    assert in_child(check) == 0
    check()
    assert _forklock._held == []


def test_a_lock_is_forgotten_with_its_owner() -> None:
    """Locks that nobody refers to any more are not kept for the sake of a fork."""
    before = len(_forklock._locks)
    locks = [fork_lock() for _ in range(10)]
    assert len(_forklock._locks) == before + 10
    del locks
    assert len(_forklock._locks) == before
