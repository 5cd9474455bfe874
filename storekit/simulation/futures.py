"""Futures and an executor that wait in simulated time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from storekit.simulation.carriers import carry

if TYPE_CHECKING:
    from storekit.simulation.baton import Member
    from storekit.simulation.clock import VirtualClock, VirtualEvent

__all__ = ["VirtualExecutor", "VirtualFuture"]

P = ParamSpec("P")
T = TypeVar("T")


class VirtualFuture(Future[T]):
    """A future for whose result members of a simulation wait by its clock."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def result(self, timeout: float | None = None) -> T:
        """As `Future.result`; the timeout is in simulated seconds."""
        return super().result(self._until_done(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `Future.exception`; the timeout is in simulated seconds."""
        return super().exception(self._until_done(timeout))

    def _until_done(self, timeout: float | None) -> float | None:
        """Wait, and say how many real seconds are left to wait."""
        if not self._clock.is_member:
            return timeout
        if not self.done():
            event = self._clock.event()
            self.add_done_callback(lambda _: event.set())
            event.wait(timeout)
        return 0


class VirtualExecutor(Executor):
    """
    Runs tasks in members of a simulation, which come when there is work and go when there is none.

    Args:
        clock: Whose simulation.

        workers: The most tasks to run at once.

    Threads: safe; tasks may also be given from outside of the simulation.
    """

    def __init__(self, clock: VirtualClock, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"an executor needs a worker; found {workers}")
        self._clock, self._workers = clock, workers
        self._queue: deque[tuple[VirtualFuture[Any], Callable[[], Any]]] = deque()
        self._running = 0
        self._closed = False
        self._ended: VirtualEvent | None = None

    def submit(
        self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> VirtualFuture[T]:
        """Run a task when a worker has its turn."""
        future = VirtualFuture[T](self._clock)
        baton = self._clock._baton
        with baton.mutex:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._queue.append((future, partial(task, *args, **kwargs)))
            if self._running == self._workers:
                return future
            self._running += 1
            member = baton.new_member()
        carry(partial(self._work, member))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further tasks."""
        with self._clock._baton.mutex:
            self._closed = True
            cancelled = list(self._queue) if cancel_futures else []
            if cancel_futures:
                self._queue.clear()
            if self._ended is None and self._running:
                self._ended = self._clock.event()
        for future, _ in cancelled:
            future.cancel()
        if wait and self._ended is not None and self._clock.is_member:
            self._ended.wait()

    def _work(self, member: Member) -> None:
        baton = self._clock._baton
        try:
            baton.enter(member)
        except RuntimeError as error:  # the simulation is over
            self._give_up(error)
            return
        while True:
            with baton.mutex:
                if not self._queue:
                    self._running -= 1
                    ended = None if self._running else self._ended
                    break
                future, task = self._queue.popleft()
            _do(future, task)
        if ended is not None:
            ended.set()
        baton.leave()

    def _give_up(self, error: RuntimeError) -> None:
        while self._queue:
            future, _ = self._queue.popleft()
            if future.set_running_or_notify_cancel():
                future.set_exception(error)


def _do(future: VirtualFuture[T], task: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = task()
    except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
        future.set_exception(error)
    else:
        future.set_result(result)
