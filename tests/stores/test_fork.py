"""A forked child can use the stores that the threads of its parent are using."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from forking import in_child
from signal_points import in_time, interrupted
from store_samples import FakeClock

from storekit.errors import QuotaExceededError
from storekit.stores import (
    CacheStore,
    Call,
    LocalStore,
    MemoryStore,
    QuotaStore,
    Recording,
    RecordStore,
    SlowStore,
    Trace,
    TraceStore,
    WrapperStore,
    _forklock,
)
from storekit.stores._forklock import fork_lock

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

STORES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda path: MemoryStore(),
    "local": LocalStore,
    "wrapped": lambda path: SlowStore(WrapperStore(MemoryStore()), 1, clock=FakeClock()),
    "cache": lambda path: CacheStore(MemoryStore(), max_bytes=3, negative=True),
    "quota": lambda path: QuotaStore(MemoryStore(), max_keys=1000),
    "trace": lambda path: TraceStore(MemoryStore(), Trace(limit=9)),
    "record": lambda path: RecordStore(MemoryStore(), Recording()),
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
    assert _forklock._forking.held == []


def test_ctrl_c_during_a_fork_leaves_all_locks_free() -> None:
    """
    Whenever it comes in one of the functions that are called around a fork, whose errors Python
    ignores, other threads get the locks.
    """
    lock = fork_lock()
    fork = [_forklock._before, _forklock._after, _forklock._after]

    def take() -> None:
        with _forklock._guard, lock:
            pass

    for number in range(len(fork)):
        for moment in count():
            for each in fork[:number]:
                each()
            error = interrupted(fork[number], moment)
            for each in fork[number + 1 :]:
                each()
            assert _forklock._forking.held == []
            in_time(take)
            if error is None:
                break


def test_threads_may_fork_at_the_same_time() -> None:
    """Each gives back what it has taken, and nothing of what another one has."""
    locks = [fork_lock() for _ in range(20)]

    def take() -> None:
        for lock in (_forklock._guard, *locks):
            lock.acquire()
            lock.release()

    def fork() -> None:
        for _ in range(200):
            _forklock._before()
            for _ in range(2):  # it is called twice on each side
                _forklock._after()

    threads = [threading.Thread(target=in_time, args=(fork,), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    in_time(take)
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: in_child(take), range(20))] == [0] * 20


def test_a_lock_is_forgotten_with_its_owner() -> None:
    """Locks that nobody refers to any more are not kept for the sake of a fork."""
    before = len(_forklock._locks)
    locks = [fork_lock() for _ in range(10)]
    assert len(_forklock._locks) == before + 10
    del locks
    assert len(_forklock._locks) == before


class Stopping(WrapperStore):
    """The first call of an operation waits until it may go on."""

    def __init__(self, store: Any, op: str) -> None:
        super().__init__(store)
        self.op = op
        self.reached, self.may_go_on = threading.Event(), threading.Event()

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        if call.op == self.op and not self.reached.is_set():
            self.reached.set()
            assert self.may_go_on.wait(20)
        return proceed()


@contextmanager
def under_way(store: Any, work: Callable[[], object]) -> Iterator[None]:
    """A thread in the midst of a call of the store that stops."""
    thread = threading.Thread(target=work)
    thread.start()
    assert store.reached.wait(20)
    try:
        yield
    finally:
        store.may_go_on.set()
        thread.join()


def test_a_child_waits_for_no_reader_of_its_parent() -> None:
    """What the parent was reading through a cache at the fork the child reads itself, and keeps."""
    inner = Stopping(MemoryStore({"a": b"1"}), "get")
    store: Any = CacheStore(inner)

    def work() -> None:
        assert [store.get("a"), store.get("a")] == [b"1"] * 2
        assert store.stats.hits == 1

    with under_way(inner, lambda: store.get("a")):
        assert in_child(work) == 0


def test_a_change_of_the_parent_may_reach_the_child() -> None:
    """What the parent was changing at the fork is not kept by the child until it changes it."""
    inner = Stopping(MemoryStore({"a": b"1"}), "set")
    store: Any = CacheStore(inner)

    def work() -> None:
        assert [store.get("a"), store.get("a")] == [b"1"] * 2
        assert store.stats.hits == 0
        store.set("a", b"3")
        assert [store.get("a"), store.get("a")] == [b"3"] * 2
        assert store.stats.hits == 1

    with under_way(inner, lambda: store.set("a", b"2")):
        assert in_child(work) == 0
    assert store.get("a") == b"2"


def test_a_child_counts_what_its_parent_was_counting() -> None:
    """A child writes within its quota, though the parent was counting at the fork."""
    inner = Stopping(MemoryStore({"a": b"1"}), "list")
    store: Any = QuotaStore(inner, max_keys=2)

    def work() -> None:
        store.set("b", b"1")
        assert store.used_keys == 2
        with pytest.raises(QuotaExceededError):
            store.set("c", b"1")

    with under_way(inner, lambda: store.used_keys):
        assert in_child(work) == 0
    work()


def test_a_child_changes_what_its_parent_was_changing() -> None:
    """The size of what the parent was writing at the fork is known after a write of the child."""
    inner = Stopping(MemoryStore(), "set")
    store: Any = QuotaStore(inner, max_bytes=100)

    def work() -> None:
        assert store.used_bytes == 10
        store.set("a", b"12345")
        assert store.used_bytes == 5

    with under_way(inner, lambda: store.set("a", b"1234567890")):
        assert in_child(work) == 0
    work()


def test_the_slots_of_a_child_are_its_own() -> None:
    """Calls that the parent had under way at the fork take no slot of the child's trace."""
    inner = Stopping(MemoryStore({"a": b"1"}), "get")
    store: Any = TraceStore(inner)

    def work() -> None:
        store.get("a")
        assert store.trace.records[-1].slot == 0

    with under_way(inner, lambda: store.get("a")):
        assert in_child(work) == 0
    work()
