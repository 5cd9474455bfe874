"""Simulated time passes while all wait, exactly as long as they say."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from storekit.clock import Clock
from storekit.errors import SimulationError
from storekit.simulation import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that the test is a member of."""
    return VirtualClock()


def test_sleeping_takes_the_time_that_it_says(clock: VirtualClock) -> None:
    """Each sleep adds its seconds, none for zero or less, and computing adds nothing."""
    assert clock.now() == 0
    for seconds in (1, 0, 0.1, -1, 0.25, 0.0):
        clock.sleep(seconds)
        sum(range(1000))
    assert clock.now() == 1.35


def test_stamps_are_nanoseconds_from_the_year_2000_on(clock: VirtualClock) -> None:
    """`now_ns` counts the same time, exactly, from the first of January 2000."""
    begin = clock.now_ns()
    clock.sleep(1e-9)
    clock.sleep(3600)
    assert begin == 946_684_800 * 10**9
    assert clock.now_ns() - begin == 3_600_000_000_001


@pytest.mark.parametrize("seconds", [0.1, 0.067, 1e-9, 1.068, 3600.1, 12345.6789])
def test_decimal_seconds_are_whole_nanoseconds(clock: VirtualClock, seconds: float) -> None:
    """What is written as a decimal number is not rounded up by what floats cannot express."""
    clock.sleep(seconds)
    assert clock.now_ns() - 946_684_800 * 10**9 == round(seconds * 10**9)


def test_the_least_sleep_is_a_nanosecond(clock: VirtualClock) -> None:
    """However short a sleep is, time passes: who polls comes to an end."""
    clock.sleep(1e-30)
    assert clock.now() == 1e-9


@pytest.mark.parametrize(("seconds", "error"), [(float("inf"), OverflowError), ("1", TypeError)])
def test_what_is_no_time_is_refused(clock: VirtualClock, seconds: Any, error: Any) -> None:
    """As `time.sleep` does, `sleep` and `wait` refuse it, and the simulation goes on."""
    for wait in (clock.sleep, clock.event().wait):
        with pytest.raises(error):
            wait(seconds)
    clock.sleep(1)
    assert clock.now() == 1


def test_an_hour_of_sleeping_is_that_many_turns(clock: VirtualClock) -> None:
    """However long many threads sleep, the thread that is waited for takes one turn a sleep."""
    turns = 0

    def work(index: int) -> None:
        nonlocal turns
        for _ in range(36):
            clock.sleep(100)
            turns += 1

    with clock.executor(8) as executor:
        clock.gather([executor.submit(work, index) for index in range(8)])
    assert clock.now() == 3600
    assert turns == 8 * 36


def test_sleeps_side_by_side_overlap(clock: VirtualClock) -> None:
    """What threads wait at once takes as long as the longest of them."""
    with clock.executor(3) as executor:
        clock.gather([executor.submit(clock.sleep, seconds) for seconds in (1, 5, 3)])
    assert clock.now() == 5


def test_time_stands_still_while_somebody_runs(clock: VirtualClock) -> None:
    """A thread that does not wait sees no time pass, and nobody else run."""
    ran: list[int] = []
    executor = clock.executor(4)
    futures = [executor.submit(ran.append, index) for index in range(4)]
    for _ in range(100):
        assert clock.now() == 0
        assert ran == []
    clock.sleep(1e-9)
    assert ran == [0, 1, 2, 3]
    assert all(future.done() for future in futures)


def test_who_wakes_at_the_same_time_wakes_in_order(clock: VirtualClock) -> None:
    """Of several sleepers of one moment the one that slept first runs first."""
    woken: list[int] = []

    def work(index: int) -> None:
        clock.sleep(index)
        clock.sleep(10 - index)
        woken.append(index)

    with clock.executor(10) as executor:
        clock.gather([executor.submit(work, index) for index in range(10)])
    assert woken == list(range(10))
    assert clock.now() == 10


def woken_in(seed: int, by_event: bool) -> tuple[int, ...]:
    """The order in which eight threads wake at one moment."""
    clock = VirtualClock(seed=seed, order="random")
    event, woken = clock.event(), []

    def work(index: int) -> None:
        if by_event:
            event.wait()
        else:
            clock.sleep(1)
        woken.append(index)

    with clock.executor(8) as executor:
        futures = [executor.submit(work, index) for index in range(8)]
        clock.sleep(1)
        event.set()
        clock.gather(futures)
    assert clock.now() == 1
    return tuple(woken)


@pytest.mark.parametrize("by_event", [True, False], ids=["event", "sleep"])
def test_a_random_order_is_that_of_its_seed(by_event: bool) -> None:
    """One seed has one order, others have others, and all run."""
    orders = [woken_in(seed, by_event) for seed in range(20)]
    assert [woken_in(seed, by_event) for seed in range(20)] == orders
    assert len(set(orders)) > 15
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(8))}


def raced(order: str, seed: int) -> int:
    """What four threads have counted that read, wait for nobody in particular, and write."""
    clock = VirtualClock(seed=seed, order=order)  # type: ignore[arg-type]
    total, events = 0, [clock.event() for _ in range(4)]

    def work(index: int) -> None:
        nonlocal total
        events[index].wait()
        seen = total
        events[index ^ 1].set()
        events[index].wait()
        if index % 2:
            clock.sleep(1)
        total = seen + 1

    with clock.executor(4) as executor:
        futures = [executor.submit(work, index) for index in range(4)]
        clock.sleep(1)
        for event in events:
            event.set()
        clock.gather(futures)
    return total


def test_a_random_order_finds_what_a_fair_one_does_not() -> None:
    """A race that always ends alike in the order of coming ends differently for some seeds."""
    assert len({raced("fifo", seed) for seed in range(30)}) == 1
    assert len({raced("random", seed) for seed in range(30)}) > 1


@pytest.mark.parametrize(
    "parameters",
    [{"order": "lifo"}, {"order": None}]
    + [{"patience": bad} for bad in (0, -1, float("inf"), float("nan"), "1")],
)
def test_impossible_parameters_are_refused(parameters: dict[str, Any]) -> None:
    """A parameter that makes no sense is named in a ValueError."""
    with pytest.raises(ValueError, match=next(iter(parameters))):
        VirtualClock(**parameters)


def test_a_clock_is_one_object_in_a_process(clock: VirtualClock) -> None:
    """A clock that is pickled and restored here is the same clock, and equal to no other."""
    typed: Clock = clock
    assert pickle.loads(pickle.dumps(typed)) is clock
    assert clock != VirtualClock()
    assert len({clock, VirtualClock()}) == 2


def aged(clocks: tuple[VirtualClock, VirtualClock]) -> tuple[Any, ...]:
    """What a pair of clocks, which is one, does in another process."""
    one, two = clocks
    one.sleep(2)
    return one is two, one.seed, one.order, one.patience, one.now()


def test_another_process_has_a_clock_of_its_own() -> None:
    """There the clock has the same parameters, is shared as here, and begins anew."""
    clock = VirtualClock(seed=5, order="random", patience=7)
    clock.sleep(1)
    with clock.released(), ProcessPoolExecutor(1) as processes:
        there = processes.submit(aged, (clock, clock)).result()
    assert there == (True, 5, "random", 7, 2)
    assert clock.now() == 1


def test_the_repr_tells_the_time(clock: VirtualClock) -> None:
    """The parameters and the moment are shown."""
    clock.sleep(1.5)
    assert repr(clock) == "VirtualClock(seed=0, order='fifo') at 1.5 s"


def test_anybody_may_ask_for_the_time(clock: VirtualClock) -> None:
    """A thread that is not part of the simulation may read the clock, but not wait by it."""
    clock.sleep(3)
    seen: list[Any] = []

    def outsider() -> None:
        seen.append(clock.now())
        for wait in (lambda: clock.sleep(0), clock.event().wait, lambda: clock.event().wait(0)):
            try:
                wait()
            except SimulationError as error:
                seen.append(str(error))

    thread = threading.Thread(target=outsider, name="stranger")
    thread.start()
    thread.join()
    assert seen[0] == 3
    assert len(seen) == 4
    assert all("'stranger'" in text and "clock.joined" in text for text in seen[1:])
