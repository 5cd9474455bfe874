"""A number of permits, given out in the order asked for, by any clock."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

from storekit.clock import Clock, Event

__all__ = ["Permit", "Semaphore"]


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
        self._most = permits
        # Who holds one, and not how many are free: an interrupt between two steps loses nothing.
        self._held: set[Permit] = set()
        self._queue: deque[tuple[Permit, Event]] = deque()
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """How many permits nobody has."""
        return self._most - len(self._held)

    def permit(self, clock: Clock) -> Permit:
        """A permit that is not yet held; a context that holds it."""
        return Permit(self, clock)

    def _acquire(self, permit: Permit, clock: Clock) -> None:
        with self._lock:
            if self.free and not self._queue:
                self._held.add(permit)
                return
            turn = clock.event()
            self._queue.append((permit, turn))
        turn.wait()

    def _release(self, permit: Permit) -> None:
        with self._lock:
            if permit in self._held:
                self._held.discard(permit)
            else:
                self._queue = deque(entry for entry in self._queue if entry[0] is not permit)
            while self._queue and (self.free or self._queue[0][0] in self._held):
                follower, turn = self._queue[0]
                self._held.add(follower)
                turn.set()
                self._queue.popleft()


class Permit:
    """One permit of a `Semaphore`, for one thread."""

    def __init__(self, semaphore: Semaphore, clock: Clock) -> None:
        self._semaphore, self._clock = semaphore, clock

    def acquire(self) -> None:
        """Wait until it is given."""
        self._semaphore._acquire(self, self._clock)

    def release(self) -> None:
        """Give it back, if it is held; do not want it any longer, if not."""
        self._semaphore._release(self)

    def __enter__(self) -> None:
        try:
            self.acquire()
        except BaseException:  # Ctrl-C, or the end of the simulation
            self.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.release()
