"""Bandwidth is shared in equal parts, at each moment, to the byte."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storekit.clock import Clock
from storekit.simulation import VirtualClock
from storekit.stores._pipe import Pipe

FLOWS = st.lists(
    st.tuples(st.integers(0, 50).map(lambda n: n / 10), st.integers(1, 4000)),
    min_size=1,
    max_size=8,
)


def by_small_steps(flows: list[tuple[float, int]], capacity: float, one: float) -> list[float]:
    """When each of the flows (start, size) ends, found from one event to the next."""
    left = {i: float(size) for i, (_, size) in enumerate(flows)}
    ends = [0.0] * len(flows)
    now = 0.0
    while left:
        active = [i for i in left if flows[i][0] <= now]
        starts = [flows[i][0] for i in left if flows[i][0] > now]
        if not active:
            now = min(starts)
            continue
        rate = min(one, capacity / len(active))
        until = min([now + left[i] / rate for i in active] + starts)
        for i in active:
            left[i] -= rate * (until - now)
            if left[i] <= 1e-6:
                ends[i] = until
                del left[i]
        now = until
    return ends


def by_pipe(flows: list[tuple[float, int]], capacity: float, one: float) -> list[float]:
    """The same by threads that transfer through a pipe."""
    clock, pipe = VirtualClock(), Pipe(capacity, one)

    def move(start: float, size: int) -> float:
        clock.sleep(start)
        end = pipe.transfer(size, clock.now(), math.inf, clock)
        assert clock.now() == pytest.approx(end, abs=1e-6)
        return end

    pool = clock.executor(len(flows))
    return clock.gather([pool.submit(move, *flow) for flow in flows])


@given(FLOWS, st.sampled_from([1000.0, math.inf]), st.sampled_from([300.0, math.inf]))
def test_all_flows_move_alike(flows: list[tuple[float, int]], capacity: float, one: float) -> None:
    """Each transfer ends when it would if the bandwidth were divided anew at each event."""
    if min(capacity, one) < math.inf:
        expected = by_small_steps(flows, capacity, one)
        assert by_pipe(flows, capacity, one) == pytest.approx(expected, abs=1e-5)


def test_without_a_limit_nothing_takes_time() -> None:
    """A pipe of infinite width, and nothing to transfer, end when they begin."""
    clock = VirtualClock()
    assert Pipe(math.inf, math.inf).transfer(10**9, 3.0, math.inf, clock) == 3.0
    assert Pipe(1, 1).transfer(0, 3.0, math.inf, clock) == 3.0
    assert clock.now() == 0


def test_a_transfer_that_breaks_off_leaves_the_rest_to_others() -> None:
    """From the moment when one stops, the others share what it had."""
    clock, pipe = VirtualClock(), Pipe(100, math.inf)
    pool = clock.executor(2)
    cut = pool.submit(pipe.transfer, 1000, 0.0, 2.0, clock)
    whole = pool.submit(pipe.transfer, 300, 0.0, math.inf, clock)
    assert cut.result() > 2
    assert clock.now() == 2
    assert whole.result() == pytest.approx(4)


class Torn(BaseException):
    """What tears a thread out of what it does, as Ctrl-C would."""


class TearingClock:
    """A clock by which waiting for an event ends with an error, after a second."""

    def __init__(self, clock: VirtualClock) -> None:
        self.now, self._clock = clock.now, clock

    def event(self) -> Any:
        """An event for which nobody waits to its end."""
        return self

    def clear(self) -> None:
        """Nothing to do."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait a second, and no longer."""
        self._clock.sleep(1)
        raise Torn


def test_an_interrupted_transfer_leaves_the_rest_to_others() -> None:
    """A thread that is torn out of its transfer holds no share any more."""
    clock, pipe = VirtualClock(), Pipe(100, math.inf)
    pool = clock.executor(2)
    torn = pool.submit(pipe.transfer, 1000, 0.0, math.inf, cast(Clock, TearingClock(clock)))
    clock.sleep(0.5)
    other = pool.submit(pipe.transfer, 300, 0.5, math.inf, clock)
    with pytest.raises(Torn):
        torn.result()
    assert other.result() == pytest.approx(1 + (300 - 25) / 100)


def test_a_late_start_is_made_up_for() -> None:
    """A transfer that begins a little before now ends as if it had been begun in time."""
    clock, pipe = VirtualClock(), Pipe(100, math.inf)
    clock.sleep(1)
    assert pipe.transfer(100, 0.99, math.inf, clock) == pytest.approx(1.99)
    assert clock.now() == pytest.approx(1.99)
