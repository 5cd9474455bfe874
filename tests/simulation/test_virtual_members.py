"""Who takes part in a simulation, and who does not just now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from storekit.errors import SimulationError
from storekit.simulation import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that the test is a member of."""
    return VirtualClock(patience=5)


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    """A thread that has been started."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_the_maker_and_the_workers_are_members(clock: VirtualClock) -> None:
    """So is not any other thread, and a member is none while it is outside."""
    assert clock.is_member
    strangers: list[bool] = []
    in_thread(lambda: strangers.append(clock.is_member)).join()
    assert strangers == [False]
    assert clock.executor(1).submit(lambda: clock.is_member).result()
    with clock.released():
        assert not clock.is_member
        with pytest.raises(SimulationError, match="released"):
            clock.sleep(1)
    assert clock.is_member


def test_a_worker_of_one_clock_is_a_stranger_to_another(clock: VirtualClock) -> None:
    """Threads that are used again by another clock are members of that one only."""
    executor, other = clock.executor(1), VirtualClock()
    assert isinstance(executor.submit(other.sleep, 1).exception(), SimulationError)
    assert not executor.submit(lambda: other.is_member).result()


def test_threads_of_others_join(clock: VirtualClock) -> None:
    """A thread takes turns inside `joined`, and ends its part with it."""
    times: list[float] = []

    def work() -> None:
        with clock.joined():
            clock.sleep(1)
            times.append(clock.now())
        with pytest.raises(SimulationError):
            clock.sleep(1)
        with clock.joined():
            clock.sleep(1)
            times.append(clock.now())

    with clock.released():
        in_thread(work).join()
    assert times == [1, 2]
    clock.sleep(1)
    assert clock.now() == 3


def test_whoever_joins_waits_for_its_turn(clock: VirtualClock) -> None:
    """A thread that joins runs when the members wait, and holds up those who come back."""
    entered, order = threading.Event(), []

    def work() -> None:
        entered.set()
        with clock.joined():
            order.append("joined")
            clock.sleep(1)
            order.append("slept")

    thread = in_thread(work)
    entered.wait()
    order.append("maker")
    with clock.released():
        thread.join()
    assert order == ["maker", "joined", "slept"]


def test_joining_twice_is_joining_once(clock: VirtualClock) -> None:
    """A member that joins stays what it is, and so it does when it leaves the inner context."""
    with clock.joined(), clock.joined():
        clock.sleep(1)
    clock.sleep(1)
    assert clock.now() == 2


def test_releasing_twice_is_releasing_once(clock: VirtualClock) -> None:
    """Who is outside already stays there; and so does a thread that was never inside."""
    with clock.released():
        with clock.released():
            assert not clock.is_member
        assert not clock.is_member
    clock.sleep(1)

    def stranger() -> None:
        with clock.released():
            seen.append(clock.is_member)

    seen: list[bool] = []
    with clock.released():
        in_thread(stranger).join()
    assert seen == [False]


def test_an_outsider_may_join_again(clock: VirtualClock) -> None:
    """Inside `released` one may take part for a while."""
    with clock.released():
        with clock.joined():
            clock.sleep(1)
        with pytest.raises(SimulationError):
            clock.sleep(1)
    clock.sleep(1)
    assert clock.now() == 2


def test_time_passes_while_a_member_is_outside(clock: VirtualClock) -> None:
    """The others sleep and wake meanwhile, and the one that comes back finds their time."""
    ended = threading.Event()

    def work() -> None:
        clock.sleep(3600)
        ended.set()

    clock.executor(1).submit(work)
    with clock.released():
        assert ended.wait(30)
    assert clock.now() == 3600


def test_nobody_gives_up_while_somebody_is_outside(clock: VirtualClock) -> None:
    """Members that all wait for one who is outside are no deadlock."""
    event = clock.event()
    future = clock.executor(1).submit(event.wait)
    with clock.released():
        for _ in range(2):
            in_thread(lambda: None).join()
        assert not future.done()
    event.set()
    assert future.result()


def test_work_comes_from_outside(clock: VirtualClock, restless: None) -> None:
    """Threads that are not part of it submit and wait in real time, and nothing gets lost."""
    executor = clock.executor(4)
    results: list[float] = []

    def work(index: int) -> float:
        clock.sleep(1)
        return index

    def stranger(first: int) -> None:
        futures = [executor.submit(work, index) for index in range(first, first + 25)]
        results.extend(future.result(timeout=30) for future in futures)

    with clock.released():
        threads = [in_thread(lambda first=first: stranger(first)) for first in range(0, 100, 25)]
        for thread in threads:
            thread.join()
    assert sorted(results) == list(range(100))
    assert clock.now() >= 25


def test_an_error_comes_out_of_its_context(clock: VirtualClock) -> None:
    """What is raised inside `joined` or `released` goes on, and the thread is where it was."""
    with pytest.raises(KeyError), clock.released():
        raise KeyError
    with pytest.raises(KeyError), clock.released(), clock.joined():
        raise KeyError
    clock.sleep(1)
    assert clock.now() == 1


def test_a_member_may_work_for_two_clocks() -> None:
    """The maker of two clocks waits by either, and neither moves the other."""
    one, two = VirtualClock(), VirtualClock()
    with one.executor(2) as executor, two.executor(2) as other:
        futures = [executor.submit(one.sleep, 1), executor.submit(one.sleep, 2)]
        others = [other.submit(two.sleep, 3), other.submit(two.sleep, 4)]
        one.gather(futures)
        two.gather(others)
    assert (one.now(), two.now()) == (2, 4)
