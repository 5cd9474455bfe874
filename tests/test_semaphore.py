"""Permits, first come, first served, by any clock."""

from __future__ import annotations

import signal
import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from storekit.clock import REAL_CLOCK
from storekit.semaphore import Semaphore
from storekit.simulation import VirtualClock


@pytest.mark.parametrize("permits", [0, -1])
def test_there_must_be_a_permit(permits: int) -> None:
    """None at all is a ValueError that says so."""
    with pytest.raises(ValueError, match="permits"):
        Semaphore(permits)


@pytest.mark.parametrize("permits", [1, 2, 5])
def test_so_many_have_a_permit_at_once(permits: int) -> None:
    """Ten tasks of a second take as long as their permits allow, and come in order."""
    clock, semaphore, begun = VirtualClock(), Semaphore(permits), []

    def work(index: int) -> None:
        begun.append((index, clock.now()))
        clock.sleep(1)

    with clock.executor(10) as executor:
        tasks = [partial(semaphore.run, clock, partial(work, index)) for index in range(10)]
        clock.gather([executor.submit(task) for task in tasks])
    assert begun == [(index, index // permits) for index in range(10)]
    assert semaphore.free == permits


def test_a_thread_needs_one_permit() -> None:
    """What is done under a permit may ask for it again."""
    semaphore = Semaphore(1)
    assert semaphore.run(REAL_CLOCK, lambda: semaphore.run(REAL_CLOCK, lambda: 3)) == 3
    assert semaphore.free == 1


def test_an_error_gives_a_permit_back() -> None:
    """A permit ends with the work, however that ends."""
    semaphore = Semaphore(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            semaphore.run(REAL_CLOCK, lambda: 1 / 0)
    assert semaphore.free == 1


def test_real_threads_have_permits(restless: None) -> None:
    """By the real clock, too, there are never more holders than permits, and all get one."""
    semaphore, guard = Semaphore(3), threading.Lock()
    holders = most = done = 0

    def work() -> None:
        nonlocal holders, most, done
        with guard:
            holders += 1
            most = max(most, holders)
        with guard:
            holders -= 1
            done += 1

    def many() -> None:
        for _ in range(200):
            semaphore.run(REAL_CLOCK, work)

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (holders, done) == (0, 1600)
    assert most <= 3


@pytest.mark.parametrize("comes_first", [False, True])
def test_who_is_interrupted_takes_no_permit(comes_first: bool) -> None:
    """Ctrl-C while one waits leaves the queue as it was without, also if the permit had come."""
    semaphore, begin, end = Semaphore(1), threading.Event(), threading.Event()

    def hold() -> None:
        begin.set()
        end.wait()

    holder = threading.Thread(target=semaphore.run, args=(REAL_CLOCK, hold))
    holder.start()
    begin.wait()

    class Interrupted:
        def wait(self, timeout: float | None = None) -> bool:
            if comes_first:
                end.set()
                holder.join()
            signal.raise_signal(signal.SIGINT)
            return True

        def set(self) -> None:
            pass

    clock: Any = SimpleNamespace(event=Interrupted)
    with pytest.raises(KeyboardInterrupt):
        semaphore.run(clock, pytest.fail)
    end.set()
    holder.join()
    assert semaphore.free == 1
    assert not semaphore._queue
