"""A program does the same by the clock of the machine and by a virtual one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from storekit.clock import Clock, RealClock
from storekit.simulation import VirtualClock

TICK = 0.02  # seconds, as long in real time as in simulated


def errors(clock: Clock) -> list[Any]:
    """The results and errors of tasks."""

    def work(index: int) -> int:
        clock.sleep(index * TICK)
        return 1 // index

    with clock.executor(3) as executor:
        futures = [executor.submit(work, index) for index in (1, 0, 2)]
        done, others = clock.wait(futures, return_when="FIRST_EXCEPTION")
        seen: list[Any] = [len(done), len(others)]
        try:
            clock.gather(futures)
        except ZeroDivisionError as error:
            seen.append(str(error))
        seen += [type(future.exception()) for future in futures]
    return seen


def ends(clock: Clock) -> list[Any]:
    """In which order tasks end, and what a timeout leaves."""
    with clock.executor(4) as executor:
        futures = [executor.submit(clock.sleep, ticks * TICK) for ticks in (8, 1, 4)]
        seen: list[Any] = [futures.index(f) for f in clock.as_completed(futures)]
        slow = executor.submit(clock.sleep, 6 * TICK)
        for wait in (slow.result, slow.exception):
            with pytest.raises(TimeoutError):
                wait(timeout=TICK)
        with pytest.raises(TimeoutError) as caught:
            list(clock.as_completed([slow, *futures], timeout=TICK))
        seen += [str(caught.value), [len(part) for part in clock.wait([slow, futures[0]], 0)]]
        seen += [slow.result(), clock.wait([slow]) == ({slow}, set())]
    return seen


def cancels(clock: Clock) -> list[Any]:
    """What can be cancelled, and who hears of it."""
    seen: list[Any] = []

    def note(future: Future[Any]) -> None:
        seen.append((futures.index(future), future.cancelled()))

    executor = clock.executor(1)
    futures = [executor.submit(clock.sleep, 2 * TICK) for _ in range(3)]
    for future in futures:
        future.add_done_callback(note)
    clock.sleep(TICK)
    seen += [future.cancel() for future in futures[:2]]
    with pytest.raises(CancelledError):
        futures[1].result()
    executor.shutdown(cancel_futures=True)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(clock.sleep, 0)
    return [*seen, [future.cancelled() for future in futures], [f.running() for f in futures]]


def events(clock: Clock) -> list[Any]:
    """Events, with timeouts and without, and a lock."""
    event, lock, seen = clock.event(), clock.lock(), [clock.event().wait(0)]

    def work(index: int) -> None:
        clock.sleep(index * TICK)
        with lock:
            seen.append(event.wait(TICK / 4))
            seen.append((index, event.wait()))

    with clock.executor(2) as executor:
        futures = [executor.submit(work, index) for index in range(2)]
        clock.sleep(4 * TICK)
        event.set()
        clock.gather(futures)
    event.clear()
    return [*seen, event.wait(-1)]


def maps(clock: Clock) -> list[Any]:
    """`map`, also with a timeout."""
    with clock.executor(2) as executor:
        seen: list[Any] = list(executor.map(pow, [2, 3, 4], [2, 2, 2]))
        results = executor.map(clock.sleep, [TICK, 12 * TICK], timeout=6 * TICK)
        seen.append(next(results))
        with pytest.raises(TimeoutError):
            next(results)
        seen.append(list(results))
    return seen


@pytest.mark.parametrize("program", [errors, ends, cancels, events, maps])
def test_a_program_does_the_same_by_both_clocks(program: Callable[[Clock], list[Any]]) -> None:
    """Results, errors and orders are those of the machine's clock; only the waiting is not."""
    assert program(VirtualClock()) == program(RealClock())
