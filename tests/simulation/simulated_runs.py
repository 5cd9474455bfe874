"""Programs that are run again and again, here and in other processes, and must not differ."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import numpy as np

from storekit import ZarrArray
from storekit.simulation import VirtualClock
from storekit.stores import MemoryStore, SlowStore

Order = Literal["fifo", "random"]


def run_threads(order: Order, seed: int) -> str:
    """Twenty tasks that sleep, take locks, wait for events and submit others."""
    clock = VirtualClock(seed=seed, order=order)
    locks, event, seen = [clock.lock() for _ in range(3)], clock.event(), []
    executor = clock.executor(5)

    def work(index: int) -> int:
        clock.sleep(0.001 * (index % 4))
        with locks[index % 3]:
            clock.sleep(0.002)
            seen.append((index, clock.now()))
        event.wait(0.003 * (index % 2 + 1))
        return index if index % 7 else executor.submit(work, index + 1).result(60)

    futures = [executor.submit(work, index) for index in range(1, 20)]
    clock.sleep(0.01)
    event.set()
    ended = [futures.index(future) for future in clock.as_completed(futures)]
    return digest(seen, ended, clock.now(), clock.fingerprint)


def run_array(order: Order, seed: int) -> str:
    """An array far away, read and written by tasks that get into each other's way."""
    clock = VirtualClock(seed=seed, order=order)
    store = SlowStore(MemoryStore(), base_delay=0.05, clock=clock)
    array = ZarrArray.create(store, "a", shape=(64, 64), chunks=(8, 8), dtype="i4")
    array[...] = np.arange(4096).reshape(64, 64)
    executor = clock.executor(4)

    def work(index: int) -> int:
        array[index::4, 3:60] += 1
        return int(array[index * 8 : index * 8 + 20].sum())

    sums = clock.gather([executor.submit(work, index) for index in range(4)])
    futures = [array.read_future((slice(8 * row, 8 * row + 8),)) for row in range(8)]
    sums += [int(future.result().sum()) for future in clock.as_completed(futures)]
    assert store.concurrency == 64
    return digest(sums, clock.now(), clock.fingerprint)


def digest(*values: Any) -> str:
    """A short text that tells these values from others."""
    return hashlib.blake2b(repr(values).encode(), digest_size=8).hexdigest()


def run_all() -> str:
    """Both, in both orders."""
    orders: tuple[Order, ...] = ("fifo", "random")
    return " ".join(run(order, 7) for run in (run_threads, run_array) for order in orders)


if __name__ == "__main__":
    print(run_all())
