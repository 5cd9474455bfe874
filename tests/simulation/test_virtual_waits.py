"""Locks and events that are waited for in simulated time."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from storekit.simulation import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that the test is a member of."""
    return VirtualClock()


def test_a_lock_may_be_held_while_time_passes(clock: VirtualClock) -> None:
    """One at a time holds it, in the order in which they came, however long each sleeps."""
    lock, held = clock.lock(), []

    def work(index: int) -> None:
        clock.sleep(index / 1000)
        with lock:
            begin = clock.now()
            clock.sleep(1)
            held.append((index, begin, clock.now()))

    with clock.executor(5) as executor:
        clock.gather([executor.submit(work, index) for index in (3, 1, 2, 4, 0)])
    assert held == [(index, index, index + 1) for index in range(5)]


@pytest.mark.parametrize("order", ["fifo", "random"])
def test_a_lock_that_is_given_back_goes_to_who_waits(clock: VirtualClock, order: Any) -> None:
    """Who gives a lock back and asks again at once comes last."""
    clock = VirtualClock(order=order)
    lock, holders = clock.lock(), []

    def work(index: int) -> None:
        clock.sleep(1 + index / 10)
        for _ in range(3):
            with lock:
                holders.append(index)
                clock.sleep(1)

    with clock.executor(3) as executor:
        clock.gather([executor.submit(work, index) for index in range(3)])
    assert holders == [0, 1, 2] * 3


def test_an_error_gives_a_lock_back(clock: VirtualClock) -> None:
    """Whoever leaves a lock by an error lets the next one in."""
    lock = clock.lock()
    with pytest.raises(ZeroDivisionError), lock:
        _ = 1 / 0
    with lock:
        clock.sleep(1)
    assert clock.now() == 1


def test_an_event_wakes_all_who_wait(clock: VirtualClock) -> None:
    """At the moment at which it happens all go on, in the order in which they came."""
    event, woken = clock.event(), []

    def work(index: int) -> None:
        woken.append((index, event.wait(), clock.now()))

    with clock.executor(3) as executor:
        futures = [executor.submit(work, index) for index in range(3)]
        clock.sleep(7)
        event.set()
        assert event.wait()
        assert clock.now() == 7
        clock.gather(futures)
    assert woken == [(0, True, 7), (1, True, 7), (2, True, 7)]


def test_an_event_is_waited_for_so_many_seconds(clock: VirtualClock) -> None:
    """Without the event `wait` takes its timeout and says no; with it, none and yes."""
    event = clock.event()
    for timeout in (2, 0, -1):
        assert not event.wait(timeout)
    assert clock.now() == 2
    event.set()
    for timeout in (2, 0, -1, None):
        assert event.wait(timeout)
    event.clear()
    assert not event.wait(0.5)
    assert clock.now() == 2.5


def test_what_came_first_at_one_moment_counts(clock: VirtualClock) -> None:
    """Of a timeout and an event of one nanosecond the one that was arranged first wins."""
    early, late = clock.event(), clock.event()

    def happen() -> None:
        clock.sleep(1)
        early.set()
        late.set()

    with clock.executor(3) as executor:
        before = executor.submit(early.wait, 1)
        executor.submit(happen)
        after = executor.submit(late.wait, 1)
        assert clock.gather([before, after]) == [False, True]
    assert clock.now() == 1


def test_a_timeout_that_is_not_needed_leaves_nothing(clock: VirtualClock) -> None:
    """Waits with timeouts that end before it do not pile up, nor hold back or move the time."""
    event = clock.event()

    def ring() -> None:
        for _ in range(1000):
            clock.sleep(1)
            event.set()

    with clock.executor(1) as executor:
        executor.submit(ring)
        for index in range(1000):
            assert event.wait(10**6)
            assert clock.now() == index + 1
            event.clear()
    assert len(clock._baton._turns._sleepers) < 300
    assert clock.now() == 1000


def test_a_timeout_forgets_the_event(clock: VirtualClock) -> None:
    """Who has given up waiting is not woken by the event later, out of turn."""
    event = clock.event()
    assert not event.wait(1)
    event.set()
    clock.sleep(1)
    assert clock.now() == 2


def test_any_thread_may_set_an_event(clock: VirtualClock) -> None:
    """A thread outside of the simulation wakes a member; which waits while somebody is outside."""
    event, done = clock.event(), threading.Event()
    with clock.executor(1) as executor:
        future = executor.submit(event.wait)
        with clock.released():
            thread = threading.Thread(target=lambda: (event.set(), done.set()))
            thread.start()
            assert done.wait(30)
            thread.join()
        assert future.result()
    assert clock.now() == 0


def test_outsiders_never_come_too_early_or_too_late(clock: VirtualClock, restless: None) -> None:
    """An event that outsiders set at any moment is never missed, nor seen twice."""
    rounds = 200
    events = [clock.event() for _ in range(rounds)]

    def outsider() -> None:
        for event in events:
            event.set()

    def member() -> int:
        return sum(event.wait() for event in events)

    with clock.executor(4) as executor:
        futures = [executor.submit(member) for _ in range(4)]
        with clock.released():
            threads = [threading.Thread(target=outsider) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert clock.gather(futures) == [rounds] * 4
