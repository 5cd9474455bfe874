"""Arrays and the pool in simulated time: the same code paths, and no update is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
import pytest

from storekit import ZarrArray, ZarrGroup, open_zarr, pool
from storekit.errors import SimulationStalledError
from storekit.simulation import VirtualClock
from storekit.stores import MemoryStore, SlowStore


@pytest.fixture(params=["fifo", "random"])
def clock(request: pytest.FixtureRequest) -> VirtualClock:
    """A clock that the test is a member of."""
    return VirtualClock(order=request.param, patience=5)


@pytest.fixture
def store(clock: VirtualClock) -> SlowStore:
    """An empty store of which each request takes a second."""
    return SlowStore(MemoryStore(), base_delay=1, clock=clock)


def test_requests_are_made_side_by_side(clock: VirtualClock, store: SlowStore) -> None:
    """Sixty-four chunks take one second to read and one to write, sixty-five take two."""
    array = ZarrArray.create(store, "a", shape=65, chunks=1, dtype="u1")
    begin = clock.now()
    array[:64] = np.arange(64)
    assert clock.now() == begin + 1
    assert np.array_equal(array[:64], np.arange(64))
    assert clock.now() == begin + 2
    assert array[:].sum() == 2016
    assert clock.now() == begin + 4


def test_futures_come_side_by_side(clock: VirtualClock, store: SlowStore) -> None:
    """Reads and writes by futures overlap, and need not be waited for one by one."""
    array = ZarrArray.create(store, "a", shape=(8, 4), chunks=(1, 4), dtype="i4")
    begin = clock.now()
    clock.gather([array.write_future(np.full(4, row), (row,)) for row in range(8)])
    assert clock.now() == begin + 1
    chunks = clock.gather([array.get_chunk_future((row, 0)) for row in range(8)])
    assert clock.now() == begin + 2
    assert [int(chunk[0, 0]) for chunk in chunks] == list(range(8))


def test_no_update_of_a_chunk_is_lost(clock: VirtualClock, store: SlowStore) -> None:
    """Tasks that change elements of their own in one chunk all succeed."""
    array = ZarrArray.create(store, "a", shape=(4, 16), chunks=(2, 16), dtype="i4", fill_value=0)

    def work(mine: int) -> None:
        for _ in range(3):
            array[:, mine::8] += 1

    with clock.executor(8) as executor:
        clock.gather([executor.submit(work, mine) for mine in range(8)])
    assert np.all(array[...] == 3)


def test_no_append_is_lost(clock: VirtualClock, store: SlowStore) -> None:
    """Tasks that append to one array, and a task that resizes another, end with all of it."""
    array = ZarrArray.create(store, "a", shape=(0, 3), chunks=(2, 3), dtype="i4")
    other = ZarrArray.create(store, "b", shape=4, chunks=2, dtype="i4")

    def work(index: int) -> None:
        array.append(np.full((1, 3), index))

    with clock.executor(5) as executor:
        futures = [executor.submit(work, index) for index in range(5)]
        futures.append(executor.submit(other.resize, (9,)))
        clock.gather(futures)
    fresh = open_zarr(store, "a")
    assert fresh.shape == (5, 3)
    assert sorted(fresh[:, 0].tolist()) == list(range(5))
    assert open_zarr(store, "b").shape == (9,)


def test_groups_are_read_by_many(clock: VirtualClock, store: SlowStore) -> None:
    """The children of a group are opened side by side."""
    group = ZarrGroup.create(store)
    for index in range(20):
        group.create_array(f"a{index}", shape=1, dtype="u1")
    begin = clock.now()
    assert len(dict(group.items())) == 20
    assert clock.now() - begin < 20


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_plan_is_worked_on_by_so_many(clock: VirtualClock, workers: int, batch: int) -> None:
    """`pool.run` takes as long as its busiest worker, and does everything once."""
    done: list[int] = []

    def work(items: Iterable[int]) -> None:
        for item in items:
            clock.sleep(1)
            done.append(item)

    pool.run(range(30), work, clock=clock, workers=workers, batch=batch)
    assert sorted(done) == list(range(30))
    assert clock.now() == 30 / workers


def test_plans_are_nested_and_shared(clock: VirtualClock) -> None:
    """A plan in a plan, and parts that are shared out, come to an end though all workers wait."""
    done: list[tuple[int, int]] = []

    def inner(items: Iterable[tuple[int, int]]) -> None:
        for item in items:
            clock.sleep(1)
            done.append(item)

    def shared(items: Iterable[int]) -> None:
        for item in items:
            pool.share([(item, part) for part in range(4)], inner)

    def nested(items: Iterable[int]) -> None:
        for item in items:
            parts = [(item, part) for part in range(4)]
            pool.run(parts, inner, clock=clock, workers=2, crew=4)

    pool.run(range(6), shared, clock=clock, workers=4)
    assert clock.now() == 5  # the caller and a crew of four do 24 parts
    pool.run(range(6), nested, clock=clock, workers=4)
    futures = [pool.submit(clock, 4, nested, [index]) for index in range(4)]
    clock.gather(futures)
    assert len(done) == 6 * 4 + 6 * 4 + 4 * 4


def test_an_error_ends_a_plan(clock: VirtualClock) -> None:
    """The first error is raised when what was begun has ended."""
    running = 0

    def work(items: Iterable[int]) -> None:
        nonlocal running
        for item in items:
            running += 1
            clock.sleep(1 + item)
            running -= 1
            if item == 3:
                raise ValueError(item)

    with pytest.raises(ValueError, match="3"):
        pool.run(range(100), work, clock=clock, workers=4)
    assert running == 0


def test_a_lock_across_a_store_call_is_found(store: SlowStore, clock: VirtualClock) -> None:
    """Code that holds a lock of threads while it reads from a store is named, and does not hang."""
    impatient = VirtualClock(patience=0.05)
    slow, lock = SlowStore(MemoryStore({"a": b"1"}), 1, clock=impatient), threading.Lock()

    def cached() -> bytes:
        with lock:  # a cache, say, that wants to ask only once
            return bytes(slow.get("a"))

    executor = impatient.executor(2)
    with pytest.raises(SimulationStalledError, match=r"in cached \(with lock"):
        impatient.gather([executor.submit(cached) for _ in range(2)])
