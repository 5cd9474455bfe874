"""A TimeoutStore answers within its time, whatever the inner store does."""

from __future__ import annotations

import builtins
import contextvars
import gc
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from store_samples import DictStore
from test_contract import over, restored

from storekit import ZarrArray
from storekit.errors import KeyNotFoundError, TimeoutError, TransportError
from storekit.simulation import VirtualClock
from storekit.stores import LocalStore, MemoryStore, SlowStore, WrapperStore, WritableStore
from storekit.stores.limit import LimitStore
from storekit.stores.retry import RetryStore
from storekit.stores.timeout import TimeoutStore
from storekit.stores.wrapper import Call
from storekit.testing import StoreContract


@pytest.fixture
def clock() -> VirtualClock:
    """Time that costs nothing."""
    return VirtualClock()


class Slept(WrapperStore):
    """Each call takes as many seconds as the next number says; then none."""

    def __init__(self, store: Any, clock: VirtualClock, *seconds: float) -> None:
        super().__init__(store)
        self.clock, self.seconds = clock, list(seconds)
        self.inside = self.most = 0

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.seconds:
            self.clock.sleep(self.seconds.pop(0))
        self.inside -= 1
        return proceed()


class TestContract(StoreContract):
    many = 300
    rounds = 10
    store = over(
        {
            "memory": lambda _: TimeoutStore(MemoryStore(), float("inf")),
            "threads": lambda _: TimeoutStore(MemoryStore(), 600),
            "local": lambda root: TimeoutStore(LocalStore(root), 600),
            "restored": lambda root: restored(TimeoutStore(LocalStore(root), float("inf"))),
        }
    )


def test_a_late_answer_is_an_error_in_time(clock: VirtualClock) -> None:
    """After just so many seconds the error comes, with what it was about, and can be retried."""
    store = TimeoutStore(Slept(MemoryStore({"a": b"1"}), clock, 10), 2.5)
    with pytest.raises(TimeoutError, match=r"2\.5 s; it goes on") as caught:
        store.get("a")
    assert clock.now() == 2.5
    error = caught.value
    assert (error.op, error.key, error.retryable) == ("get", "a", True)
    assert error.store == repr(store)
    assert isinstance(error, TransportError)
    with pytest.raises(TimeoutError) as caught:
        TimeoutStore(Slept(MemoryStore(), clock, 10), 1).list_prefix("b/")
    assert caught.value.key == "b/"


def test_an_answer_in_time_is_the_answer(clock: VirtualClock) -> None:
    """What comes in time comes when it comes; what would come at the very end is late."""
    store = TimeoutStore(Slept(MemoryStore({"a": b"1"}), clock, 2.499, 2.5), 2.5)
    assert store.get("a") == b"1"
    assert clock.now() == 2.499
    with pytest.raises(TimeoutError):
        store.get("a")
    assert clock.now() == 4.999


def test_errors_come_through_as_they_are(clock: VirtualClock) -> None:
    """The inner store's error is the very object, also one that is about time itself."""
    for error in (KeyNotFoundError("no"), builtins.TimeoutError("mine"), ValueError("a bug")):

        class Failing(DictStore):
            def _get(self, key: str, error: Exception = error) -> bytes:
                raise error

        with pytest.raises(type(error)) as caught:
            TimeoutStore(Failing(), 2, clock=clock).get("a")
        assert caught.value is error
    assert clock.now() == 0


def test_a_write_may_land_late(clock: VirtualClock) -> None:
    """What was given up goes on, and has its effect when the inner store comes to it."""
    inner = MemoryStore()
    store = TimeoutStore(Slept(inner, clock, 10), 1)
    with pytest.raises(TimeoutError):
        store.set("a", b"late")
    assert not inner.exists("a")
    clock.sleep(9.5)
    assert inner.get("a") == b"late"


@pytest.mark.parametrize("op", ["set", "set_partial_values", "compare_and_set", "set_values"])
def test_a_late_write_has_the_bytes_that_were_given(clock: VirtualClock, op: str) -> None:
    """A caller may use its buffer again after the error; what lands is what it held before."""
    inner = MemoryStore({"b": b"...."})
    store = TimeoutStore(Slept(inner, clock, 10), 1)
    buffer = bytearray(b"then")
    arguments: dict[str, Any] = {
        "set": ("a", buffer),
        "set_partial_values": ([("b", 0, buffer)],),
        "compare_and_set": ("a", buffer, None),
        "set_values": ([("a", buffer)],),
    }
    with pytest.raises(TimeoutError):
        getattr(store, op)(*arguments[op])
    buffer[:] = b"now!"
    clock.sleep(10)
    assert inner.get("b" if op == "set_partial_values" else "a") == b"then"


def test_stuck_calls_do_not_starve_the_next(clock: VirtualClock) -> None:
    """While calls are stuck others answer at once, as many as there are threads."""
    stuck = Slept(MemoryStore({"a": b"1"}), clock, *[1e6] * 100)
    store = TimeoutStore(stuck, 1)
    for _ in range(100):
        with pytest.raises(TimeoutError):
            store.get("a")
    assert store.get("a") == b"1"
    assert (clock.now(), stuck.inside) == (100, 100)


def test_where_all_threads_are_stuck_calls_time_out(clock: VirtualClock) -> None:
    """A call for which there is no thread is late in time, too, and never begins afterwards."""
    inner = MemoryStore()
    with patch("storekit.stores.timeout._THREADS", 2):
        store = TimeoutStore(Slept(inner, clock, 100, 100), 1)
        for key in "ab":
            with pytest.raises(TimeoutError, match="goes on"):
                store.set(key, b"")
        with pytest.raises(TimeoutError, match="not begun"):
            store.set("c", b"")
    assert clock.now() == 3
    clock.sleep(200)
    assert inner.list() == ["a", "b"]


def test_an_interrupted_call_is_not_begun_later(clock: VirtualClock) -> None:
    """A call that its caller gave up by Ctrl-C, before a thread was free for it, never begins."""
    inner = MemoryStore()
    with patch("storekit.stores.timeout._THREADS", 1):
        store = TimeoutStore(Slept(inner, clock, 100), 1)
        with pytest.raises(TimeoutError):
            store.set("a", b"")
        with (
            patch.object(VirtualClock, "wait", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            store.set("b", b"")
    clock.sleep(200)
    assert inner.list() == ["a"]


def test_by_the_real_clock_a_stuck_store_is_left() -> None:
    """A backend that never answers is an error for its caller, and no obstacle for others."""
    release = threading.Event()

    class Stuck(DictStore):
        def _get(self, key: str) -> bytes:
            release.wait()
            return b"late"

        def _exists(self, key: str) -> bool:
            return True

    store = TimeoutStore(Stuck(), 0.02)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            store.get("a")
    release.set()
    assert TimeoutStore(store.inner, 600).exists("a")
    store.close()


def test_an_array_with_many_threads_comes_through(clock: VirtualClock) -> None:
    """64 workers of an array, each with a call in a thread of the store, do not block."""
    data = np.arange(1000)
    memory = MemoryStore()
    ZarrArray.create(memory, "a", data=data, chunks=(5,))
    store = TimeoutStore(SlowStore(memory, 1, clock=clock), 2)
    assert store.concurrency == 64
    array = ZarrArray(store, "a")
    begin = clock.now()
    assert (array[...] == data).all()
    assert clock.now() == begin + 4  # 200 chunks, 64 at a time
    array[3:998] = 0
    futures = [array.read_future(np.s_[i : i + 20]) for i in range(0, 1000, 20)]
    assert sum(int(part.sum()) for part in clock.gather(futures)) == data[:3].sum() + 998 + 999


def test_an_array_is_late_as_a_whole_or_not(clock: VirtualClock) -> None:
    """A chunk that comes too late is an error of the read, not a piece of fill value."""
    memory = MemoryStore()
    ZarrArray.create(memory, "a", data=np.ones(64), chunks=(4,))
    array = ZarrArray(TimeoutStore(Slept(memory, clock, 0, 0, 0, 5), 1), "a")
    with pytest.raises(TimeoutError):
        array[...]
    assert (array[...] == 1).all()


def test_the_context_goes_along(clock: VirtualClock) -> None:
    """The inner store sees the caller's context variables; what it sets there stays there."""
    word = contextvars.ContextVar("word", default="none")
    seen = []

    class Seeing(WrapperStore):
        def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
            seen.append(word.get())
            word.set("inner")
            return proceed()

    store = TimeoutStore(Seeing(MemoryStore()), 1, clock=clock)
    word.set("outer")
    store.exists("a")
    store.exists("a")
    assert seen == ["outer", "outer"]
    assert word.get() == "outer"


def test_an_endless_timeout_needs_no_thread() -> None:
    """With `math.inf` the call is made by the caller itself."""
    threads = []

    class Seeing(WrapperStore):
        def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
            threads.append(threading.get_ident())
            return proceed()

    TimeoutStore(Seeing(MemoryStore()), float("inf")).exists("a")
    assert threads == [threading.get_ident()]


def test_an_error_holds_on_to_nothing() -> None:
    """When the error is forgotten, so is all that belonged to the call, without the collector."""

    errors: list[weakref.ref[KeyNotFoundError]] = []

    def absence() -> KeyNotFoundError:
        error = KeyNotFoundError("no")
        errors.append(weakref.ref(error))
        return error

    class Failing(DictStore):
        def _get(self, key: str) -> bytes:
            raise absence()

    store = TimeoutStore(Failing(), 600)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(KeyNotFoundError):
            store.get("a")
        store._executors[os.getpid()].shutdown()  # its thread had the error, too
        assert errors[0]() is None
    finally:
        gc.enable()


def test_a_closed_store_can_be_used_again(clock: VirtualClock) -> None:
    """Closing gives the threads back; a later call gets new ones."""
    store = TimeoutStore(MemoryStore({"a": b"1"}), 1, clock=clock)
    for _ in range(2):
        assert store.get("a") == b"1"
        store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(tmp_path: Path) -> None:
    """After a fork the store works in the child, whose parent's threads do not exist."""
    store = TimeoutStore(LocalStore(tmp_path), 60)
    store.set("a", b"1")
    child = os.fork()
    if not child:
        signal.alarm(20)  # if it hangs it fails
        ok = False
        try:
            ok = store.get("a") == b"1"
        finally:
            os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.close()


def test_it_is_configured_and_restored(clock: VirtualClock) -> None:
    """The seconds show, make equality, and survive pickling, as does the clock."""
    store = TimeoutStore(MemoryStore(), 5, clock=clock)
    assert pickle.loads(pickle.dumps(store)) == store != TimeoutStore(MemoryStore(), 5)
    assert pickle.loads(pickle.dumps(store)).clock is clock
    assert repr(TimeoutStore(MemoryStore(), 5)) == "TimeoutStore(MemoryStore(0 keys), seconds=5.0)"
    assert not isinstance(TimeoutStore(DictStore(), 1), WritableStore)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), -float("inf"), "1", None, True, 1j])
def test_impossible_times_are_refused(seconds: Any) -> None:
    """What is no positive number of seconds is refused at once, by name."""
    with pytest.raises(ValueError, match="seconds"):
        TimeoutStore(MemoryStore(), seconds)


# --- the order of layers


def test_a_retry_belongs_outside_of_the_timeout(clock: VirtualClock) -> None:
    """Retry around Timeout overcomes a stuck call; Timeout around Retry gives up at the first."""
    right = RetryStore(TimeoutStore(Slept(MemoryStore({"a": b"1"}), clock, 1000, 1), 5))
    assert right.get("a") == b"1"
    assert clock.now() == pytest.approx(5 + 0.1 + 1)
    begin = clock.now()
    wrong = TimeoutStore(RetryStore(Slept(MemoryStore({"a": b"1"}), clock, 1000, 1)), 5)
    with pytest.raises(TimeoutError):
        wrong.get("a")
    assert clock.now() == begin + 5


def test_a_limit_belongs_inside_of_the_timeout(clock: VirtualClock) -> None:
    """Timeout around Limit never has more inside than permitted; Limit around Timeout has."""

    def most(build: Callable[[Any], Any]) -> int:
        inner = Slept(MemoryStore({"a": b"1"}), clock, *[1000] * 9)
        store = build(inner)
        for _ in range(9):
            with pytest.raises(TimeoutError):
                store.get("a")
        return inner.most

    assert most(lambda inner: TimeoutStore(LimitStore(inner, 2), 5)) == 2
    assert most(lambda inner: LimitStore(TimeoutStore(inner, 5), 2)) == 9


def test_a_limit_belongs_inside_of_the_retry(clock: VirtualClock) -> None:
    """Retry around Limit lets others in while it waits; Limit around Retry lets them wait, too."""

    class OnceLimited(WrapperStore):
        failed = False

        def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
            if not self.failed:
                self.failed = True
                raise TransportError("busy")
            return proceed()

    def times(build: Callable[[Any], Any]) -> list[float]:
        store = build(OnceLimited(SlowStore(MemoryStore({"a": b"1"}), 1, clock=clock)))
        begin, pool = clock.now(), clock.executor(2)

        def get() -> float:
            store.get("a")
            return clock.now() - begin

        return clock.gather([pool.submit(get) for _ in range(2)])

    wait = {"first": 10, "cap": 10}
    assert times(lambda inner: RetryStore(LimitStore(inner, 1), **wait)) == [11, 1]
    assert times(lambda inner: LimitStore(RetryStore(inner, **wait), 1)) == [11, 12]
