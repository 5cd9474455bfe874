"""
Time, and what waits for it.

Every delay, deadline and lock that is held across a store call comes from a `Clock`, so that a
simulated clock can order the threads. No other module of storekit calls a function of `time`; lint
sees to it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from storekit.tasks import Task

__all__ = ["REAL_CLOCK", "Clock", "Event", "Lock", "RealClock"]

T = TypeVar("T")


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


class Event(Protocol):
    """Something that happens once, and for which threads wait; as `threading.Event`."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has happened, at most so many seconds; whether it has."""

    def set(self) -> object:
        """Let it happen."""

    def clear(self) -> object:
        """Let it not have happened yet."""


class Clock(Protocol):
    """A source of time, and of the things that wait. Clocks are hashable."""

    @property
    def executors(self) -> dict[object, Executor]:
        """Where `storekit.pool` keeps those that it has made, for as long as the clock lives."""
        ...

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

    def event(self) -> Event:
        """A new event, which has not happened."""
        ...

    def executor(self, workers: int) -> Executor:
        """A new executor with at most `workers` threads, whose futures wait by this clock."""
        ...

    def task(self) -> Task[Any]:
        """A new future for a task that can be cancelled while it runs; it waits by this clock."""
        ...

    def wait(
        self,
        futures: Iterable[Future[T]],
        timeout: float | None = None,
        return_when: str = "ALL_COMPLETED",
    ) -> tuple[set[Future[T]], set[Future[T]]]:
        """As `concurrent.futures.wait`: those that are done, and the others."""
        ...

    def as_completed(
        self, futures: Iterable[Future[T]], timeout: float | None = None
    ) -> Iterator[Future[T]]:
        """As `concurrent.futures.as_completed`: each future, in the order in which they end."""
        ...

    def gather(self, futures: Sequence[Future[T]]) -> list[T]:
        """The results of futures, in their order; the error of the first that has one."""
        ...


class RealClock:
    """
    The time of the machine. All instances are equal.

    Threads: safe.
    """

    @cached_property
    def executors(self) -> dict[object, Executor]:
        """Those that `storekit.pool` keeps."""
        return {}

    def now(self) -> float:
        """Seconds on the monotonic clock of the machine."""
        return time.monotonic()

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Block the thread; a sleep of zero returns at once. NaN is a ValueError."""
        if seconds > 0 or seconds != seconds:
            time.sleep(seconds)

    def lock(self) -> Lock:
        """A `threading.Lock`."""
        return threading.Lock()

    def event(self) -> Event:
        """An event that an interrupt leaves whole; a `threading.Event` may keep its lock."""
        return _RealEvent()

    def executor(self, workers: int) -> Executor:
        """A `ThreadPoolExecutor`, whose threads start when they are needed."""
        from storekit.tasks import new_executor  # 4 ms, for those who have tasks

        return new_executor(workers)

    def task(self) -> Task[Any]:
        """A future for a task that can be cancelled while it runs."""
        from storekit.tasks import Task

        return Task()

    def wait(
        self,
        futures: Iterable[Future[T]],
        timeout: float | None = None,
        return_when: str = "ALL_COMPLETED",
    ) -> tuple[set[Future[T]], set[Future[T]]]:
        """`concurrent.futures.wait`."""
        from concurrent.futures import wait

        done, others = wait(futures, timeout, return_when)
        return done, others

    def as_completed(
        self, futures: Iterable[Future[T]], timeout: float | None = None
    ) -> Iterator[Future[T]]:
        """`concurrent.futures.as_completed`."""
        from concurrent.futures import as_completed

        return as_completed(futures, timeout)

    def gather(self, futures: Sequence[Future[T]]) -> list[T]:
        """The results of futures, in their order."""
        return [future.result() for future in futures]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "executors"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RealClock)

    def __hash__(self) -> int:
        return hash(RealClock)

    def __repr__(self) -> str:
        return "RealClock()"


class _RealEvent:
    """As `threading.Event`, of locks alone, in which Ctrl-C comes before or after what they do."""

    def __init__(self) -> None:
        self._has_happened = False
        self._gates: list[threading.Lock] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has happened, at most so many seconds; whether it has."""
        if self._has_happened:
            return True
        gate = threading.Lock()
        gate.acquire()
        self._gates.append(gate)
        if not self._has_happened:  # else it has just now, and perhaps not seen this gate
            gate.acquire(timeout=-1 if timeout is None else max(timeout, 0))
        with suppress(ValueError):
            self._gates.remove(gate)
        return self._has_happened

    def set(self) -> None:
        """Let it happen."""
        self._has_happened = True
        for gate in tuple(self._gates):
            with suppress(RuntimeError):  # open already
                gate.release()

    def clear(self) -> None:
        """Let it not have happened yet."""
        self._has_happened = False


REAL_CLOCK = RealClock()
