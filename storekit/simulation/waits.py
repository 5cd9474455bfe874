"""A lock and an event for which threads wait in simulated time."""

from __future__ import annotations

import math
from collections import deque
from types import TracebackType

from storekit.simulation.baton import Baton
from storekit.simulation.turns import Member, Wait

__all__ = ["VirtualEvent", "VirtualLock", "moment_after"]


def moment_after(baton: Baton, seconds: float) -> int:
    """The nanosecond in so many seconds, or the next one; not the present one."""
    # A thousandth less, because 0.067 s are 67000000.00000001 ns.
    return baton.now + max(math.ceil(seconds * 1e9 - 1e-3), 1)


class VirtualLock:
    """A lock that may be held while its owner waits in simulated time; first come, first served."""

    def __init__(self, baton: Baton) -> None:
        self._baton = baton
        self._owner: Member | None = None
        self.waits: deque[Wait] = deque()

    def take(self, member: Member) -> bool:
        """Let a member have it, if nobody does. With the baton's `mutex` held."""
        if self._owner is not None:
            return False
        self._owner = member
        return True

    def __enter__(self) -> None:
        self._baton.wait(self)  # whoever gives the lock back hands it on

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        with self._baton.mutex:
            self._owner = None
            if self.waits:
                wait = self.waits.popleft()
                self._owner = wait.member
                self._baton.wake(wait)


class VirtualEvent:
    """As `threading.Event`, for which threads wait in simulated time."""

    def __init__(self, baton: Baton) -> None:
        self._baton = baton
        self._has_happened = False
        self.waits: deque[Wait] = deque()

    def take(self, member: Member) -> bool:
        """Whether it has happened. With the baton's `mutex` held."""
        return self._has_happened

    def wait(self, timeout: float | None = None) -> bool:
        """
        Wait until it has happened, at most so many simulated seconds; whether it has.

        Raises:
            SimulationError: If the thread is not part of the simulation.
        """
        baton = self._baton
        if timeout is None:
            return baton.wait(self)
        if timeout <= 0:
            baton.member()
            return self._has_happened
        return baton.wait(self, moment_after(baton, timeout))

    def set(self) -> None:
        """Let it happen. Any thread may."""
        with self._baton.mutex:
            self._has_happened = True
            while self.waits:
                self._baton.wake(self.waits.popleft())

    def clear(self) -> None:
        """Let it not have happened yet."""
        with self._baton.mutex:
            self._has_happened = False
