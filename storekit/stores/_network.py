"""What goes on on a link, by one clock."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from storekit.clock import Clock
from storekit.errors import ConnectionLostError
from storekit.semaphore import Semaphore
from storekit.stores._pipe import Pipe
from storekit.stores.distributions import Constant

if TYPE_CHECKING:
    from storekit.draws import Draws
    from storekit.stores._forward import Call
    from storekit.stores.link import Link

__all__ = ["Network", "Trip"]

T = TypeVar("T")

_OWN = 10e-6
"""Seconds: what lies between two calls of a thread, if it is less, is our own code: 3 us."""

_MOST_LATE = 0.01
"""
Seconds that a thread which woke up too late may make up for, and within which it has to go on. A
sleep takes 0.06 to 1 ms longer than asked for; at 1 GB/s that is as long as 64 KiB take.
"""

_TICK = 5e-10
"""Seconds: half a nanosecond, of which clocks have whole ones."""


class Network:
    """
    The state of a link: its connections, its pace, what it moves.

    Args:
        link: Whose.

        now: The moment from which outages are counted.

    Threads: safe.
    """

    def __init__(self, link: Link, now: float) -> None:
        one = link.per_connection or math.inf
        self.link, self.begin = link, now
        self.up, self.down = Pipe(link.up or math.inf, one), Pipe(link.down or math.inf, one)
        self.connections = Semaphore(link.max_connections) if link.max_connections else None
        self.local = _Local()
        self._lock = threading.Lock()
        self._next_request = -math.inf

    def pace(self, moment: float, rate: float) -> float:
        """When a request may begin that could begin at a moment, at so many a second."""
        with self._lock:
            moment = max(moment, self._next_request)
            self._next_request = moment + 1 / rate
            return moment


class _Local(threading.local):
    """What is a thread's own."""

    late = 0.0
    """Seconds by which it woke up too late after its last trip."""

    woke = 0.0
    """When that was, by the clock."""


class Trip:
    """
    A connection over a link, and the requests made by it one after the other.

    A trip has a time of its own, in which each request and transfer takes exactly what the link
    says. At the end of each step the clock catches up with it.

    Args:
        network: The link.

        clock: Whose time passes.

        draws: Where the delays and losses come from.
    """

    def __init__(self, network: Network, clock: Clock, draws: Draws) -> None:
        self._network, self._clock, self._draws = network, clock, draws
        self._link, self._local = network.link, network.local
        self._at = 0.0
        self._answer_lost: str | None = None

    def carry_out(
        self,
        call: Call,
        requests: Iterable[str],
        proceed: Callable[[], T],
        weigh: Callable[[T], tuple[int, float]],
    ) -> T:
        """
        Do a call at the other end of the link. Once for each trip.

        Args:
            call: What is asked.

            requests: The key of each request that the call needs before it has its effect.

            proceed: Does it there.

            weigh: Of an answer, how many requests it took and how many bytes it has.

        Raises:
            ConnectionLostError: If a request, its answer or the link is lost.
        """
        asked, connections = self._clock.now(), self._network.connections

        def connected() -> T:
            self._begin(asked)
            return self._carry_out(call, requests, proceed, weigh)

        # A link inside a store of the same link needs no second connection: see `Semaphore`.
        return connected() if connections is None else connections.run(self._clock, connected)

    def _begin(self, asked: float) -> None:
        """Set the time of the trip, which was asked for at a moment and then waited, perhaps."""
        now, local = self._clock.now(), self._local
        gap = asked - local.woke
        late = local.late if gap < _MOST_LATE and now - asked < _OWN else 0.0
        if late and gap < _OWN:
            late += now - local.woke
        self._at = now - late

    def _carry_out(
        self,
        call: Call,
        requests: Iterable[str],
        proceed: Callable[[], T],
        weigh: Callable[[T], tuple[int, float]],
    ) -> T:
        op, name = call.op, call.keys[0] if call.keys else call.prefix or ""
        for key in requests:
            self._request(op, key)
        self._send(call.upload, op, name)
        try:
            answer = self._through(proceed)
        except Exception:
            self._receive(0, op, name)  # the answer that there is none
            raise
        count, size = weigh(answer)
        for _ in range(1, count):
            self._request(op, name)
        self._receive(size, op, name)
        return answer

    def _request(self, op: str, key: str) -> None:
        """
        Begin a request: wait for its turn, and for its latency.

        Raises:
            ConnectionLostError: If the request gets lost; later if the answer does.
        """
        link, uniform = self._link, self._draws.uniform
        if link.requests_per_second is not None:
            self._settle()
            self._at = self._network.pace(self._at, link.requests_per_second)
        varies = not isinstance(link.delay, Constant)
        u = uniform("latency", op, key) if varies else 0.5
        self._pass_time(link.delay.sample(u), op, key)
        if link.loss and uniform("loss", op, key) < link.loss:
            if link.loss_delay is not None:
                self._pass_time(link.loss_delay, op, key)
            elif uniform("direction", op, key) < 0.5:
                self._lose("the request got lost", op, key)
            else:
                self._answer_lost = "the answer got lost"

    def _send(self, size: float, op: str, key: str) -> None:
        """Move bytes up the link, and let the clock catch up."""
        self._move(self._network.up, size, op, key)
        self._settle()

    def _receive(self, size: float, op: str, key: str) -> None:
        """
        Move bytes down the link, and let the clock catch up.

        Raises:
            ConnectionLostError: If the answer gets lost.
        """
        self._move(self._network.down, size, op, key)
        if self._answer_lost is not None:
            self._lose(self._answer_lost, op, key)
        self._settle()

    def _through(self, call: Callable[[], T]) -> T:
        """Do what takes a time of its own."""
        before = self._clock.now()
        try:
            return call()
        finally:
            self._at += self._clock.now() - before

    def _settle(self) -> None:
        """Wait until the clock has come to the time of the trip."""
        now = self._clock.now()
        if self._at - now > _TICK:
            self._clock.sleep(self._at - now)
            now = self._clock.now()
        late = now - self._at
        # By a clock that is exact nobody is late; the rounding to nanoseconds does not count.
        self._local.late = min(late, _MOST_LATE) if late > 1e-6 else 0.0
        self._local.woke = now

    def _pass_time(self, seconds: float, op: str, key: str) -> None:
        if not 0 <= seconds < math.inf:
            raise ValueError(
                f"a latency must be finite and not negative: {self._link} gave {seconds}"
            )
        cut = self._next_outage(self._at)
        if cut <= self._at:  # down already: to find that out takes the time of the answer
            cut = self._at + seconds
        elif cut >= self._at + seconds:
            self._at += seconds
            return
        self._at = cut
        self._lose("the link is down", op, key)

    def _move(self, pipe: Pipe, size: float, op: str, key: str) -> None:
        if size:
            self._settle()  # the pipe is shared from when bytes move, not from when it was planned
        cut = self._next_outage(self._at)
        end = pipe.transfer(size, self._at, cut, self._clock)
        self._at = min(end, cut)
        if end > cut:
            self._lose("the link went down", op, key)

    def _next_outage(self, moment: float) -> float:
        outages, begin = self._link.outages, self._network.begin
        if outages is None:
            return math.inf
        since = moment - begin + _TICK  # else the moment of a cut may lie a rounding before it
        return moment if outages.is_down(since) else begin + outages.next_after(since)

    def _lose(self, what: str, op: str, key: str) -> None:
        self._settle()
        raise ConnectionLostError(what, store=self._link, op=op, key=key)
