"""Random programs of random threads, against simple models of what they ought to do."""

from __future__ import annotations

import heapq
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from storekit.simulation import VirtualClock

MILLISECONDS = st.integers(0, 20)
STEP = st.one_of(
    st.tuples(st.just("sleep"), MILLISECONDS),
    st.tuples(st.just("hold"), st.integers(0, 2), MILLISECONDS),
    st.tuples(st.just("set"), st.integers(0, 1)),
    st.tuples(st.just("clear"), st.integers(0, 1)),
    st.tuples(st.just("await"), st.integers(0, 1), st.integers(-1, 20)),
    st.tuples(st.just("submit"), MILLISECONDS),
    st.tuples(st.just("gather")),
)
PROGRAMS = st.lists(st.lists(STEP, max_size=6), min_size=1, max_size=5)
ORDER = st.sampled_from(["fifo", "random"])


def trace_of(programs: list[list[Any]], order: Any, workers: int) -> list[Any]:
    """What happens, and when, if each program is run by a task."""
    clock, trace = VirtualClock(order=order, seed=1), []
    locks, events = [clock.lock() for _ in range(3)], [clock.event() for _ in range(2)]
    executor, helpers = clock.executor(workers), clock.executor(2)
    holders: list[int | None] = [None] * 3

    def run(index: int, program: list[Any]) -> None:
        pending: list[Any] = []
        for op, *parameters in program:
            trace.append((index, op, clock.now()))
            if op == "sleep":
                before = clock.now_ns()
                clock.sleep(parameters[0] / 1000)
                assert clock.now_ns() - before == parameters[0] * 10**6
            elif op == "hold":
                number, milliseconds = parameters
                with locks[number]:
                    assert holders[number] is None
                    holders[number] = index
                    clock.sleep(milliseconds / 1000)
                    assert holders[number] == index
                    holders[number] = None
            elif op == "set":
                events[parameters[0]].set()
            elif op == "clear":
                events[parameters[0]].clear()
            elif op == "await":
                before = clock.now_ns()
                happened = events[parameters[0]].wait(parameters[1] / 1000)
                passed = clock.now_ns() - before
                assert passed <= max(parameters[1], 0) * 10**6
                assert happened or passed == max(parameters[1], 0) * 10**6
                trace.append((index, happened, clock.now()))
            elif op == "submit":
                pending.append(helpers.submit(clock.sleep, parameters[0] / 1000))
            else:
                clock.gather(pending)
                assert all(future.done() for future in pending)
        trace.append((index, "end", clock.now()))

    with helpers, executor:
        futures = [executor.submit(run, *each) for each in enumerate(programs)]
        clock.gather(futures)
    return [*trace, clock.now(), clock.fingerprint]


@settings(deadline=None)
@given(PROGRAMS, ORDER, st.integers(1, 5))
def test_a_program_runs_the_same_twice(programs: Any, order: Any, workers: int) -> None:
    """Whatever threads do, they do it again at the same moments; and waits are what they say."""
    assert trace_of(programs, order, workers) == trace_of(programs, order, workers)


@settings(deadline=None)
@given(st.lists(st.lists(MILLISECONDS, max_size=5), max_size=8), ORDER, st.integers(1, 4))
def test_sleeps_add_up(programs: list[list[int]], order: Any, workers: int) -> None:
    """Tasks that only sleep begin when a worker is free, in order, and end when their sleeps do."""
    free, expected = [0] * workers, []
    for program in programs:
        begin = heapq.heappop(free)
        expected.append((begin, begin + sum(program)))
        heapq.heappush(free, begin + sum(program))

    clock = VirtualClock(order=order)
    begin_ns = clock.now_ns()

    def moment() -> int:
        return (clock.now_ns() - begin_ns) // 10**6

    def run(program: list[int]) -> tuple[int, int]:
        begin = moment()
        for milliseconds in program:
            clock.sleep(milliseconds / 1000)
        return begin, moment()

    with clock.executor(workers) as executor:
        found = clock.gather([executor.submit(run, program) for program in programs])
    assert found == expected
    assert moment() == max(free)


@settings(deadline=None)
@given(st.lists(st.tuples(MILLISECONDS, MILLISECONDS), max_size=8))
def test_a_lock_is_a_queue(programs: list[tuple[int, int]]) -> None:
    """Who comes first holds it first, each as long as it wants, as at a counter."""
    tie, expected, free = count(), [], 0
    for come, _, index, hold in sorted((c, next(tie), i, h) for i, (c, h) in enumerate(programs)):
        free = max(free, come) + hold
        expected.append((index, free))

    clock, served = VirtualClock(), []
    lock, begin_ns = clock.lock(), clock.now_ns()

    def run(index: int, come: int, hold: int) -> None:
        clock.sleep(come / 1000)
        with lock:
            clock.sleep(hold / 1000)
            served.append((index, (clock.now_ns() - begin_ns) // 10**6))

    with clock.executor(8) as executor:
        clock.gather([executor.submit(run, i, *program) for i, program in enumerate(programs)])
    assert served == expected
