"""A server gets as many requests at once as it bears."""

from __future__ import annotations

from functools import partial

import pytest

from storekit.clock import REAL_CLOCK
from storekit.draws import Draws
from storekit.errors import ConnectionLostError, RateLimitedError, ServerError, StoreError
from storekit.simulation import VirtualClock
from storekit.stores._http_gate import Gate
from storekit.stores.retries import RetryPolicy


def fail(kind: type[StoreError], **more: object) -> None:
    """What a request does that fails."""
    raise kind("no", store=None, op="get", key="a", **more)


def test_all_pass_as_long_as_the_server_says_nothing() -> None:
    """Answers, and errors that are not about work, leave the number as it is."""
    gate = Gate(16)
    assert gate.run(REAL_CLOCK, lambda: 3) == 3
    for kind in (ConnectionLostError, StoreError):
        with pytest.raises(kind):
            gate.run(REAL_CLOCK, partial(fail, kind))
    with pytest.raises(ServerError):
        gate.run(REAL_CLOCK, partial(fail, ServerError, retryable=False))
    assert gate.limit == 16


@pytest.mark.parametrize("kind", [RateLimitedError, ServerError])
def test_one_that_fails_halves_the_number(kind: type[StoreError]) -> None:
    """It is half of what was on its way, at least 1; each answer raises it by an eighth."""
    gate = Gate(16)
    with pytest.raises(kind):
        gate.run(REAL_CLOCK, partial(fail, kind))
    assert gate.limit == 1
    limits = []
    for _ in range(130):
        gate.run(REAL_CLOCK, lambda: None)
        limits.append(gate.limit)
    assert limits[:17] == [1] * 3 + [1] * 4 + [2] * 8 + [3] * 2
    assert limits[-10:] == [16] * 10


def test_requests_that_were_on_their_way_together_count_once() -> None:
    """Sixteen refusals at one time are one piece of news."""
    clock, gate = VirtualClock(), Gate(16)

    def request() -> None:
        clock.sleep(1)
        fail(RateLimitedError)

    with clock.executor(16) as executor:
        tasks = [executor.submit(gate.run, clock, request) for _ in range(16)]
    assert all(isinstance(task.exception(), RateLimitedError) for task in tasks)
    assert gate.limit == 8


def test_the_number_finds_what_the_server_bears() -> None:
    """Behind a server that bears five of sixty-four, soon few requests are refused."""
    clock, gate, refused = VirtualClock(), Gate(64), []
    inside = done = 0
    policy = RetryPolicy(attempts=50, budget=10_000)

    def request() -> None:
        nonlocal inside, done
        inside += 1
        try:
            if inside > 5:
                refused.append(done)
                fail(RateLimitedError)
            clock.sleep(1)
            done += 1
        finally:
            inside -= 1

    def task(number: int) -> None:
        policy.run(
            lambda: gate.run(clock, request),
            who="test",
            clock=clock,
            delays=policy.delays(Draws(number), "get", str(number)),
            forbidden=lambda error: None,
        )

    with clock.executor(64) as executor:
        clock.gather([executor.submit(task, number) for number in range(500)])
    assert done == 500
    assert len([before for before in refused if before > 100]) < 100
