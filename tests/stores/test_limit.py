"""A LimitStore lets so many calls through at once, in order, and never stands in its own way."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_samples import DictStore, PlainDict
from test_contract import over, restored

from storekit import ZarrArray
from storekit.errors import KeyNotFoundError
from storekit.simulation import VirtualClock
from storekit.stores import LocalStore, MemoryStore, SlowStore, Store, WrapperStore, WritableStore
from storekit.stores.limit import LimitStore
from storekit.stores.wrapper import Call
from storekit.testing import StoreContract


@pytest.fixture
def clock() -> VirtualClock:
    """Time that costs nothing."""
    return VirtualClock()


class Crowd(WrapperStore):
    """Counts how many calls are inside at once, each of which takes a second."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        super().__init__(store)
        self.clock = clock
        self.inside = self.most = 0
        self.order: list[str] = []

    concurrency = 64  # type: ignore[assignment]

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.order.append(call.keys[0])
        self.clock.sleep(1)
        try:
            return proceed()
        finally:
            self.inside -= 1


class TestContract(StoreContract):
    many = 300
    store = over(
        {
            "memory": lambda _: LimitStore(MemoryStore(), 1000),
            "one": lambda _: LimitStore(MemoryStore(), 1),
            "local": lambda root: LimitStore(LocalStore(root), 1000),
            "restored": lambda root: restored(LimitStore(LocalStore(root), 3)),
        }
    )


@pytest.mark.parametrize("limit", [1, 3, 8, 20])
def test_so_many_calls_are_inside(clock: VirtualClock, limit: int) -> None:
    """Eight threads with three calls each take turns: so many are inside, never more."""
    crowd = Crowd(MemoryStore({"a": b""}), clock)
    store = LimitStore(crowd, limit)
    pool = clock.executor(8)
    clock.gather([pool.submit(store.get, "a") for _ in range(24)])
    assert crowd.most == min(limit, 8)
    assert clock.now() == 24 / min(limit, 8)


def test_who_comes_first_is_served_first(clock: VirtualClock) -> None:
    """Waiting calls go in in the order in which they came."""
    crowd = Crowd(MemoryStore({str(i): b"" for i in range(9)}), clock)
    store = LimitStore(crowd, 2)

    def late(i: int) -> None:
        clock.sleep(0.01 * (i * 5 % 9))
        store.get(str(i))

    pool = clock.executor(9)
    clock.gather([pool.submit(late, i) for i in range(9)])
    assert crowd.order == sorted(map(str, range(9)), key=lambda i: int(i) * 5 % 9)


def test_an_error_gives_the_permit_back(clock: VirtualClock) -> None:
    """A call that fails frees its place as any other."""
    store = LimitStore(MemoryStore(), 1, clock=clock)
    for _ in range(3):
        with pytest.raises(KeyNotFoundError):
            store.get("a")
    store.set("a", b"1")
    assert store.get("a") == b"1"


def test_a_call_from_within_needs_no_permit(clock: VirtualClock) -> None:
    """What an inner store asks of the limited store during a call does not wait for itself."""

    class Asking(WrapperStore):
        def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
            if call.op == "get":
                assert outer.exists("a")
                assert outer.exists("a")
            return proceed()

    outer = LimitStore(Asking(MemoryStore({"a": b"1"})), 1, clock=clock)
    assert outer.get("a") == b"1"
    assert outer.get("a") == b"1"
    # The permit was not given away twice.
    crowd = Crowd(outer, clock)
    again = LimitStore(crowd, 1)
    pool = clock.executor(2)
    clock.gather([pool.submit(again.get, "a") for _ in range(2)])
    assert crowd.most == 1


def test_limits_within_limits_do_not_block(clock: VirtualClock) -> None:
    """Of nested limits the smallest counts, whichever way round, and everybody comes through."""
    for limits in ((1, 3), (3, 1), (2, 2)):
        begin = clock.now()
        crowd = Crowd(MemoryStore({"a": b""}), clock)
        store = LimitStore(LimitStore(crowd, limits[0]), limits[1])
        pool = clock.executor(12)
        clock.gather([pool.submit(store.get, "a") for _ in range(12)])
        assert crowd.most == min(limits)
        assert clock.now() == begin + 12 / min(limits)


def test_the_permit_is_not_held_while_values_are_made(clock: VirtualClock) -> None:
    """A generator of values for `set_values` may read the store that it is written to."""
    store = LimitStore(PlainDict({"a": b"1"}), 1, clock=clock)
    store.set_values((f"b{i}", store.get("a")) for i in range(100))
    assert store.get("b99") == b"1"


def test_useful_concurrency_is_the_limit() -> None:
    """Array code is told to use no more threads than there are permits, or than help inside."""
    far = SlowStore(MemoryStore(), 1)
    assert LimitStore(far, 7).concurrency == 7
    assert LimitStore(far, 100).concurrency == far.concurrency == 64


def test_an_array_is_read_within_the_limit(clock: VirtualClock) -> None:
    """An array of 16 chunks over a store for four takes four round trips, as the plan says."""
    memory = MemoryStore()
    data = np.arange(64)
    ZarrArray.create(memory, "a", data=data, chunks=(4,))
    store = LimitStore(SlowStore(memory, 1, clock=clock), 4)
    array = ZarrArray(store, "a")
    begin = clock.now()
    assert (array[...] == data).all()
    assert clock.now() == begin + 4


def test_it_is_configured_and_restored() -> None:
    """The limit shows, makes equality, and survives pickling; capabilities are kept."""
    store = LimitStore(MemoryStore(), 5)
    assert repr(store) == "LimitStore(MemoryStore(0 keys), max_in_flight=5)"
    assert pickle.loads(pickle.dumps(store)) == store != LimitStore(MemoryStore(), 6)
    assert not isinstance(LimitStore(DictStore(), 1), WritableStore)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None, "3", float("inf")])
def test_impossible_limits_are_refused(limit: Any) -> None:
    """What is no int of at least 1 is refused at once, by name."""
    with pytest.raises(ValueError, match="max_in_flight"):
        LimitStore(MemoryStore(), limit)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_has_permits_of_its_own() -> None:
    """A fork while another thread has the only permit leaves a store that works in the child."""
    inside, leave = threading.Event(), threading.Event()

    class Holding(DictStore):
        def _get(self, key: str) -> bytes:
            inside.set()
            leave.wait()
            return b""

    store = LimitStore(Holding(), 1)
    holder = threading.Thread(target=store.get, args=("a",))
    holder.start()
    inside.wait()
    child = os.fork()
    if not child:
        signal.alarm(20)  # if it hangs it fails
        leave.set()
        os._exit(0 if store.get("a") == b"" else 1)
    leave.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_limited_store_on_disk(tmp_path: Path) -> None:
    """It works by the real clock, too: eight threads come through one permit."""
    store = LimitStore(LocalStore(tmp_path), 1)
    pool = store.clock.executor(8)
    store.clock.gather([pool.submit(store.set, f"k{i}", b"1") for i in range(32)])
    assert len(store.list()) == 32
    pool.shutdown()
