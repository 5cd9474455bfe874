"""
Time, and what waits for it.

Every delay, deadline and lock that is held across a store call comes from a `Clock`, so that a
simulated clock can order the threads. No other module of storekit calls a function of `time`; lint
sees to it.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["REAL_CLOCK", "Clock", "Lock", "RealClock"]


class Lock(Protocol):
    """A mutual exclusion that may be held while a store call waits."""

    def __enter__(self) -> object:
        """Wait until the lock is free, and take it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Give it back."""


class Clock(Protocol):
    """
    A source of time, and of the things that wait.

    Clocks are hashable: executors are kept per clock and worker count.
    """

    def now(self) -> float:
        """Seconds since some fixed moment; never runs backwards."""
        ...

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, for time stamps on stored values."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let the calling thread wait; not at all for zero."""

    def lock(self) -> Lock:
        """A new lock."""
        ...

    def executor(self, workers: int) -> Executor:
        """A new executor with at most `workers` threads, whose futures wait by this clock."""
        ...


class RealClock:
    """
    The time of the machine. All instances are equal.

    Threads: safe.
    """

    def now(self) -> float:
        """Seconds on the monotonic clock of the machine."""
        return time.monotonic()

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Block the thread; a sleep of zero returns at once."""
        if seconds > 0:
            time.sleep(seconds)

    def lock(self) -> Lock:
        """A `threading.Lock`."""
        return threading.Lock()

    def executor(self, workers: int) -> Executor:
        """A `ThreadPoolExecutor`, whose threads start when they are needed."""
        from concurrent.futures import ThreadPoolExecutor  # 4 ms, for those who have tasks

        return ThreadPoolExecutor(workers, thread_name_prefix="storekit")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RealClock)

    def __hash__(self) -> int:
        return hash(RealClock)

    def __repr__(self) -> str:
        return "RealClock()"


REAL_CLOCK = RealClock()
