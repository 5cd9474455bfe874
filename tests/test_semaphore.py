"""Permits, first come, first served, by any clock."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from storekit.clock import REAL_CLOCK
from storekit.errors import SimulationStalledError
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
        with semaphore.permit(clock):
            begun.append((index, clock.now()))
            clock.sleep(1)

    with clock.executor(10) as executor:
        clock.gather([executor.submit(work, index) for index in range(10)])
    assert begun == [(index, index // permits) for index in range(10)]


def test_an_error_gives_a_permit_back() -> None:
    """A permit ends with its context, however that ends."""
    clock, semaphore = VirtualClock(), Semaphore(1)
    for _ in range(3):
        with pytest.raises(KeyError), semaphore.permit(clock):
            raise KeyError
    with semaphore.permit(clock), pytest.raises(SimulationStalledError):
        semaphore.permit(clock).acquire()


def test_real_threads_have_permits(restless: None) -> None:
    """By the real clock, too, there are never more holders than permits, and all get one."""
    semaphore, guard = Semaphore(3), threading.Lock()
    holders = most = done = 0

    def work() -> None:
        nonlocal holders, most, done
        for _ in range(200):
            with semaphore.permit(REAL_CLOCK):
                with guard:
                    holders += 1
                    most = max(most, holders)
                with guard:
                    holders -= 1
                    done += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (holders, done) == (0, 1600)
    assert most <= 3


def test_who_is_interrupted_takes_no_permit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while one waits leaves the queue as it was without, also if the permit had come."""
    semaphore = Semaphore(1)
    held = semaphore.permit(REAL_CLOCK)
    held.acquire()

    class Interrupted:
        def __init__(self, comes_first: bool) -> None:
            self.comes_first = comes_first

        def wait(self, timeout: float | None = None) -> bool:
            if self.comes_first:
                held.release()
            signal.raise_signal(signal.SIGINT)
            return True

        def set(self) -> None:
            pass

    for comes_first in (False, True):
        clock: Any = type("Clock", (), {"event": lambda self, c=comes_first: Interrupted(c)})()
        with pytest.raises(KeyboardInterrupt), semaphore.permit(clock):
            pass
    assert semaphore.free == 1
    assert not semaphore._queue
