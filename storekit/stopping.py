"""
What ends work that has begun and is no longer wanted.

A `Stop` is carried along with the context of whoever works for it, also into the threads that help.
They look at it before each piece of work and before each further attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from storekit.clock import Clock

__all__ = ["Stop", "check_stopped", "current_stop", "on_stop", "pause", "unless_stopped"]

T = TypeVar("T")


class Stop:
    """
    Whether some work is to end.

    Args:
        above: That of the work which this work is a part of, and ends with.

    Threads: safe.
    """

    __slots__ = ("_above", "_calls", "_is_set")

    def __init__(self, above: Stop | None = None) -> None:
        self._above = above
        self._calls: list[Callable[[], object]] = []
        self._is_set = False

    @property
    def is_set(self) -> bool:
        """Whether the work is to end."""
        return self._is_set or (self._above is not None and self._above.is_set)

    def forbid(self) -> None:
        """Let no further piece of the work begin; those who wait go on waiting."""
        self._is_set = True

    def set(self) -> None:
        """End the work."""
        self.forbid()
        for call in tuple(self._calls):
            call()

    def check(self) -> None:
        """
        End the work here, if it is to end.

        Raises:
            CancelledError: Of `concurrent.futures`.
        """
        if self.is_set:
            from concurrent.futures import CancelledError  # 4 ms, for those who have tasks

            raise CancelledError

    def run(self, work: Callable[[], T]) -> T:
        """Do some work in the context of this stop."""
        before = _current.set(self)
        try:
            return work()
        finally:
            _current.reset(before)

    @contextmanager
    def calling(self, call: Callable[[], object]) -> Iterator[None]:
        """A context in which something is called when the work is to end; it raises nothing."""
        stops: list[Stop] = []
        stop: Stop | None = self
        try:
            while stop is not None:
                stop._calls.append(call)
                stops.append(stop)
                stop = stop._above
            self.check()  # set before the call was there, it would never be called
            yield
        finally:
            for stop in stops:
                stop._calls.remove(call)


# Of the context, not of the thread: `TimeoutStore` hands it on to a thread of its own.
_current: ContextVar[Stop | None] = ContextVar("storekit.stop", default=None)


def current_stop() -> Stop | None:
    """That of the work which the caller does; None if nobody can end it."""
    return _current.get()


def check_stopped() -> None:
    """
    End the work here, if it is to end.

    Raises:
        CancelledError: Of `concurrent.futures`.
    """
    stop = _current.get()
    if stop is not None:
        stop.check()


def unless_stopped(items: Iterable[T]) -> Iterable[T]:
    """The items of a plan, until the work is to end; then CancelledError."""
    stop = _current.get()
    return items if stop is None else _checked(items, stop)


def _checked(items: Iterable[T], stop: Stop) -> Iterator[T]:
    for item in items:
        stop.check()
        yield item


@contextmanager
def on_stop(call: Callable[[], object]) -> Iterator[None]:
    """
    A context in which something is called when the work is to end, by the thread that ends it.

    Raises:
        CancelledError: Of `concurrent.futures`, if it is to end already.
    """
    stop = _current.get()
    if stop is None:
        yield
    else:
        with stop.calling(call):
            yield


def pause(clock: Clock, seconds: float) -> None:
    """
    Wait, unless the work is to end.

    Raises:
        CancelledError: Of `concurrent.futures`, as soon as it is.
    """
    if _current.get() is None:
        clock.sleep(seconds)
        return
    event = clock.event()
    with on_stop(event.set):
        event.wait(seconds)
    check_stopped()
