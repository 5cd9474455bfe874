"""A number of permits, given out in the order asked for, by any clock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from storekit.clock import Clock, Event

__all__ = ["Semaphore"]

T = TypeVar("T")


class Semaphore:
    """
    Permits, of which each thread that asks gets one, first come, first served.

    A thread needs no second one: what it does under a permit may ask for one again.

    Args:
        permits: How many there are.

    Raises:
        ValueError: If there is none.

    Threads: safe. Ctrl-C, whenever it comes, leaves no permit taken.
    """

    def __init__(self, permits: int) -> None:
        if permits < 1:
            raise ValueError(f"permits must be at least 1, found {permits!r}")
        self._most = permits
        # Which threads have one, and not how many are free: each step can be done twice.
        self._holders: set[int] = set()
        self._queue: deque[tuple[int, Event]] = deque()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """How many threads have a permit."""
        return len(self._holders)

    @property
    def free(self) -> int:
        """How many permits nobody has; negative as long as more are out than are allowed now."""
        return self._most - self.taken

    def allow(self, permits: int) -> None:
        """Change how many there are, at least 1. Nobody loses a permit by that."""
        with self._lock:
            self._most = permits
            self._hand_out()

    def run(self, clock: Clock, work: Callable[[], T]) -> T:
        """
        Do something under a permit.

        Args:
            clock: By which the thread waits for it.

            work: What is done; its answer is returned.
        """
        me = threading.get_ident()
        if me in self._holders:
            return work()
        try:
            try:
                self._acquire(me, clock)
                return work()
            finally:
                self._release(me)
        except BaseException:
            self._release(me)  # an interrupt may have come in the midst of it
            raise

    def _acquire(self, me: int, clock: Clock) -> None:
        with self._lock:
            if self.free > 0 and not self._queue:
                self._holders.add(me)
                return
            turn = clock.event()
            self._queue.append((me, turn))
        turn.wait()

    def _release(self, me: int) -> None:
        """Give the permit back, or do not want it any longer."""
        with self._lock:
            if me in self._holders:
                self._holders.discard(me)
            else:
                self._queue = deque(entry for entry in self._queue if entry[0] != me)
            self._hand_out()

    def _hand_out(self) -> None:
        while self._queue and (self.free > 0 or self._queue[0][0] in self._holders):
            follower, turn = self._queue[0]
            self._holders.add(follower)
            turn.set()
            self._queue.popleft()
