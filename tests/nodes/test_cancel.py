"""What is cancelled begins nothing more, and is over when what it began is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, wait
from typing import Any

import numpy as np
import pytest
from array_layouts import HookedStore

from storekit import MemoryStore, ZarrArray
from storekit.errors import AccessDeniedError, ServerError
from storekit.simulation import VirtualClock
from storekit.stores import FaultyStore, RetryStore, SlowStore, TimeoutStore
from storekit.stores.base import Latency
from storekit.stores.fault import Fault
from storekit.stores.wrapper import Call

WIDTH = 4
"""How many requests at once help the stores of these tests."""


class Watched(HookedStore):
    """A store that notes its calls for chunks, and takes few at once."""

    concurrency = WIDTH

    def __init__(self, store: Any, hook: Callable[[Call], None] = lambda call: None) -> None:
        self.calls: list[str] = []

        def note(call: Call) -> None:
            if "c/" in "".join(call.keys):
                self.calls.append(call.op)
                hook(call)

        super().__init__(store, note)
        self.latency = Latency.NETWORK


@pytest.fixture(params=["fifo", "random"])
def clock(request: pytest.FixtureRequest) -> VirtualClock:
    """A clock that the test is a member of."""
    return VirtualClock(order=request.param, patience=5)


def array_of(memory: MemoryStore, store: Any, **options: Any) -> ZarrArray:
    """An array of 40 chunks of ones, read and written by way of another store."""
    options = {"shape": 80, "chunks": 2, "dtype": "i4", "codecs": "none", **options}
    ZarrArray.create(memory, "a", **options)[...] = 1
    return ZarrArray(store, "a")


def slowly(clock: VirtualClock, **options: Any) -> tuple[ZarrArray, Watched]:
    """An array of which each chunk takes a second, and what notes its calls."""
    memory = MemoryStore()
    store = Watched(SlowStore(memory, base_delay=1, clock=clock))
    array = array_of(memory, store, **options)
    return array, store


def test_a_read_that_is_cancelled_asks_for_no_further_chunk(clock: VirtualClock) -> None:
    """It is cancelled, and over as soon as the chunks that have begun are there."""
    array, store = slowly(clock)
    begin = clock.now()
    future = array.read_future()
    clock.sleep(2.5)
    assert future.running()
    assert len(store.calls) == 3 * WIDTH
    assert future.cancel()
    assert not future.done()
    with pytest.raises(CancelledError):
        future.result()
    assert clock.now() == begin + 3
    assert future.cancelled()
    assert not future.running()
    clock.sleep(100)
    assert len(store.calls) == 3 * WIDTH


def test_one_worker_stops_between_chunks(clock: VirtualClock, monkeypatch: Any) -> None:
    """Where the store takes one request at a time, it is no different."""
    monkeypatch.setattr(Watched, "concurrency", 1)
    array, store = slowly(clock)
    begin = clock.now()
    future = array.read_future()
    clock.sleep(2.5)
    future.cancel()
    assert isinstance(_error(future), CancelledError)
    assert (clock.now() - begin, len(store.calls)) == (3, 3)


@pytest.mark.parametrize("layout", ["chunks", "shards"])
def test_a_write_that_is_cancelled_leaves_whole_chunks(clock: VirtualClock, layout: str) -> None:
    """Each chunk is as before or as written, as many as have begun are written."""
    array, store = slowly(clock, shards=10 if layout == "shards" else None)
    size = 10 if layout == "shards" else 2
    future = array.write_future(np.full(80, 2))
    clock.sleep(1.5)
    future.cancel()
    clock.wait([future])
    assert future.cancelled()
    begun = store.calls.count("set")
    assert begun == min(2 * WIDTH, 80 // size)
    values = np.asarray(array).reshape(-1, size)
    assert np.all(values == values[:, :1])
    assert np.sum(values == 2) == begun * size


def test_a_future_that_has_not_begun_never_does(clock: VirtualClock) -> None:
    """Cancelled while all threads are busy, it is done at once, and nothing is asked for it."""
    array, store = slowly(clock)
    busy = [array.get_chunk_future((index,)) for index in range(WIDTH)]
    future = array.read_future()
    clock.sleep(0.5)
    assert not future.running()
    assert future.cancel()
    assert future.cancel()
    assert future.done()
    assert wait([future], timeout=0).done == {future}
    clock.gather(busy)
    clock.sleep(10)
    assert len(store.calls) == WIDTH


def test_what_is_done_cannot_be_cancelled(clock: VirtualClock) -> None:
    """The result stays."""
    array, _ = slowly(clock)
    future = array.get_chunk_future((0,))
    assert future.result().tolist() == [1, 1]
    assert not future.cancel()
    assert not future.cancelled()
    assert future.result().tolist() == [1, 1]


def test_cancelling_is_the_last_word(clock: VirtualClock) -> None:
    """A task that has all its chunks, or fails, after it was cancelled, is cancelled."""
    array, store = slowly(clock)
    seen: list[Any] = []
    for index, hook in enumerate([lambda call: None, _refuse]):
        future = array.get_chunk_future((index,))
        future.add_done_callback(seen.append)
        clock.sleep(0.5)
        assert future.cancel()
        assert future.cancel()
        store.hook = hook
        assert isinstance(_error(future), CancelledError)
        assert seen.pop() is future
        assert not seen


def test_other_futures_go_on(clock: VirtualClock) -> None:
    """To cancel one of several reads of an array changes nothing for the others."""
    array, _ = slowly(clock)
    futures = [array.read_future() for _ in range(3)]
    clock.sleep(1.5)
    futures[1].cancel()
    assert [np.sum(futures[index].result()) for index in (0, 2)] == [80, 80]
    assert futures[1].cancelled()


@pytest.mark.parametrize("chunks", [1, 40])
@pytest.mark.parametrize("wrap", [lambda store: store, lambda store: TimeoutStore(store, 1e6)])
def test_a_wait_for_another_attempt_ends(
    clock: VirtualClock, chunks: int, wrap: Callable[[Any], Any]
) -> None:
    """Who waits to try again stops to wait, also in a thread of another store."""
    memory = MemoryStore()
    watched = Watched(FaultyStore(memory, [Fault("get", "a/c/*")]))
    retry = RetryStore(watched, first=1000, cap=1000, budget=1e6, clock=clock)
    array = array_of(memory, wrap(retry))
    begin = clock.now()
    future = array.read_future(slice(2 * chunks))
    clock.sleep(10)
    assert len(watched.calls) == min(chunks, WIDTH)
    future.cancel()
    assert isinstance(_error(future), CancelledError)
    assert clock.now() == begin + 10
    clock.sleep(1e5)
    assert len(watched.calls) == min(chunks, WIDTH)


def test_an_attempt_that_fails_is_not_followed_by_another(clock: VirtualClock) -> None:
    """A request that has begun, and fails after the cancellation, was the last one."""
    memory = MemoryStore()

    def fail_later(call: Call) -> None:
        clock.sleep(1)
        raise ServerError("busy", store=memory, op=call.op, key=call.keys[0])

    store = Watched(memory, fail_later)
    slow, events = SlowStore(store, base_delay=1, clock=clock), []
    array = array_of(memory, RetryStore(slow, on_retry=events.append))
    begin = clock.now()
    future = array.read_future()
    clock.sleep(1.5)
    future.cancel()
    assert isinstance(_error(future), CancelledError)
    assert clock.now() == begin + 2
    assert len(store.calls) == array.nchunks
    assert not events


def test_the_first_error_ends_the_attempts_of_others(clock: VirtualClock) -> None:
    """When one chunk is lost the others are not tried again, and the error is that of the first."""
    memory = MemoryStore()
    rules = [Fault("get", "a/c/1"), Fault("get", "a/c/2", AccessDeniedError)]
    store = Watched(SlowStore(FaultyStore(memory, rules), base_delay=1, clock=clock))
    array = array_of(memory, RetryStore(store, first=1000, cap=1000, budget=1e6))
    begin = clock.now()
    with pytest.raises(AccessDeniedError):
        array.read()
    assert clock.now() < begin + 100


def test_ten_runs_are_one() -> None:
    """What happens when something is cancelled in simulated time is the same each time."""

    def once() -> tuple[Any, ...]:
        clock = VirtualClock(order="random", seed=7)
        array, store = slowly(clock)
        futures = [array.read_future() for _ in range(6)]
        clock.sleep(3)
        for future in futures[::2]:
            future.cancel()
        clock.wait(futures)
        return clock.now(), clock.fingerprint, len(store.calls), [f.cancelled() for f in futures]

    assert len({str(once()) for _ in range(10)}) == 1


def test_asyncio_cancels() -> None:
    """When an asyncio task is cancelled, its read asks for no further chunk."""
    memory = MemoryStore()
    begun, go_on = threading.Semaphore(0), threading.Event()

    def hold(call: Call) -> None:
        begun.release()
        assert go_on.wait(60)

    store = Watched(memory, hold)
    array = array_of(memory, store)
    futures: list[Any] = []

    async def main() -> None:
        futures.append(array.read_future())
        task = asyncio.wrap_future(futures[0])
        await asyncio.to_thread(lambda: [begun.acquire(timeout=60) for _ in range(WIDTH)])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    go_on.set()
    assert wait(futures, timeout=60).done
    assert futures[0].cancelled()
    assert len(store.calls) == WIDTH


def _error(future: Any) -> BaseException | None:
    try:
        error: BaseException | None = future.exception()
    except CancelledError as cancelled:
        return cancelled
    return error


def _refuse(call: Call) -> None:
    raise ValueError
