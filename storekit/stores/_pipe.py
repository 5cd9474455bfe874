"""Bandwidth that is shared fairly."""

from __future__ import annotations

import heapq
import math
import threading
from itertools import count

from storekit.clock import Clock, Event

__all__ = ["Pipe"]


class _Flow:
    """One transfer under way."""

    __slots__ = ("end", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.end: float | None = None


class Pipe:
    """
    One direction of a link: at any moment all transfers move at the same rate.

    The rate is that of a connection, or an equal share of the capacity if that is less. It changes
    whenever a transfer begins or ends, so what a transfer takes depends on all others. Since all
    move alike, one number says how far each has come: the bytes that a transfer which had always
    been there would have moved. A transfer ends when this number has grown by its size.

    Time in here is that of the model. It is exact however late a thread wakes up: what ended is
    computed from when it ended, not from when that was noticed.

    Args:
        capacity: Bytes a second, of all transfers together.

        connection: Bytes a second, of one. Either may be infinite.

    Threads: safe.
    """

    def __init__(self, capacity: float, connection: float) -> None:
        self._capacity, self._connection = capacity, connection
        self._lock = threading.Lock()
        self._flows: list[tuple[float, int, _Flow]] = []  # by the number at which they end
        self._order = count()
        self._time, self._served = -math.inf, 0.0

    def transfer(self, size: float, start: float, stop: float, clock: Clock) -> float:
        """
        Wait until so many bytes have been moved.

        Args:
            size: In bytes.

            start: When the transfer begins, at most a little before the time of the clock.

            stop: When it breaks off, if it has not ended.

            clock: Whose time it is.

        Returns:
            When it ended by the model; more than `stop` if it broke off.
        """
        if not size or min(self._capacity, self._connection) == math.inf:
            return start
        flow = _Flow(clock.event())
        try:
            with self._lock:
                self._advance(max(start, self._time))
                heapq.heappush(self._flows, (self._served + size, next(self._order), flow))
            return self._wait(flow, stop, clock)
        finally:
            if flow.end is None:  # broken off, or interrupted: the others have more from now on
                self._leave(flow, min(stop, clock.now()))

    def _wait(self, flow: _Flow, stop: float, clock: Clock) -> float:
        while True:
            with self._lock:
                # Only the flow that ends first sets its alarm; when it ends it wakes the next one.
                # If others join meanwhile, the alarm rings too early, and is set anew.
                alarm = self._next_end() if self._flows and self._flows[0][2] is flow else math.inf
                if flow.end is not None:
                    return flow.end
                flow.event.clear()
            until = min(alarm, stop)
            if flow.event.wait(None if until == math.inf else max(until - clock.now(), 0)):
                continue
            with self._lock:
                self._advance(max(until, self._time))
            if until == stop and flow.end is None:
                return math.inf

    def _leave(self, flow: _Flow, moment: float) -> None:
        with self._lock:
            self._advance(max(moment, self._time))
            self._flows = [entry for entry in self._flows if entry[2] is not flow]
            heapq.heapify(self._flows)
            self._wake_first()

    def _rate(self) -> float:
        return min(self._connection, self._capacity / len(self._flows))

    def _next_end(self) -> float:
        return self._time + max(self._flows[0][0] - self._served, 0) / self._rate()

    def _advance(self, moment: float) -> None:
        """Bring the model to a moment that is not before its time."""
        ended = []
        try:
            while self._flows and (end := self._next_end()) <= moment:
                number, _, flow = self._flows[0]
                ended.append(flow)
                flow.end = end
                heapq.heappop(self._flows)
                self._time, self._served = end, number
        finally:  # also after Ctrl-C
            for flow in ended:
                flow.event.set()
        if self._flows:
            self._served += (moment - self._time) * self._rate()
            if ended:
                self._wake_first()
        else:
            self._served = 0.0  # so that the numbers stay small, and exact
        self._time = moment

    def _wake_first(self) -> None:
        if self._flows:
            self._flows[0][2].event.set()
