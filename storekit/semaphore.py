"""A number of permits, given out in the order asked for, by any clock."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

from storekit.clock import Clock, Event

__all__ = ["Semaphore"]


class Semaphore:
    """
    Permits, of which each thread that asks gets one, first come, first served.

    Args:
        permits: How many there are.

    Raises:
        ValueError: If there is none.

    Threads: safe.
    """

    def __init__(self, permits: int) -> None:
        if permits < 1:
            raise ValueError(f"permits must be at least 1, found {permits!r}")
        self._free = permits
        self._queue: deque[Event] = deque()
        self._lock = threading.Lock()

    def acquire(self, clock: Clock) -> None:
        """Take a permit, and wait for it as long as there is none."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = clock.event()
            self._queue.append(turn)
        try:
            turn.wait()
        except BaseException:  # Ctrl-C, or the end of the simulation
            with self._lock:
                waiting = turn in self._queue
                if waiting:
                    self._queue.remove(turn)
            if not waiting:  # the permit came with the interrupt
                self.release()
            raise

    def release(self) -> None:
        """Give a permit back: to who has waited longest, if anybody does."""
        with self._lock:
            turn = self._queue.popleft() if self._queue else None
            if turn is None:
                self._free += 1
        if turn is not None:
            turn.set()

    def permit(self, clock: Clock) -> Permit:
        """A context that holds a permit."""
        return Permit(self, clock)


class Permit:
    """A context in which a permit of a `Semaphore` is held."""

    def __init__(self, semaphore: Semaphore, clock: Clock) -> None:
        self._semaphore, self._clock = semaphore, clock

    def __enter__(self) -> None:
        self._semaphore.acquire(self._clock)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._semaphore.release()
