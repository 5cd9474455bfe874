"""Futures and an executor that wait in simulated time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, InvalidStateError
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from storekit.errors import SimulationError, SimulationStalledError
from storekit.simulation.carriers import carry
from storekit.tasks import Task

if TYPE_CHECKING:
    from storekit.simulation.baton import Baton
    from storekit.simulation.clock import VirtualClock
    from storekit.simulation.turns import Member
    from storekit.simulation.waits import VirtualEvent

__all__ = ["VirtualExecutor", "VirtualFuture", "VirtualTask"]

P = ParamSpec("P")
T = TypeVar("T")


class VirtualFuture(Future[T]):
    """
    A future for whose result members of a simulation wait by its clock.

    Other threads, and members inside `released`, wait in real time.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self._ended: VirtualEvent | None = None
        # The first callback: the others may take their time. A function, as a method would keep the
        # future, and its result, alive until the garbage collector comes.
        self.add_done_callback(_wake)

    def result(self, timeout: float | None = None) -> T:
        """As `Future.result`; the timeout is in simulated seconds."""
        return super().result(self._until_done(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `Future.exception`; the timeout is in simulated seconds."""
        try:
            left = self._until_done(timeout)
        except SimulationStalledError as error:  # what the task gets, too, perhaps a little later
            return error
        return super().exception(left)

    def _until_done(self, timeout: float | None) -> float | None:
        """Wait, and say how many real seconds are left to wait."""
        if self.done():
            return 0
        if not self._clock.is_member:
            return timeout
        event = self._ended = self._ended or self._clock.event()
        if not self.done():  # an outsider may have cancelled it, and seen no event to set
            event.wait(timeout)
        return 0


class VirtualTask(Task[T], VirtualFuture[T]):
    """A future that can be cancelled while its task runs, and is waited for in simulated time."""


def _wake(future: Future[Any]) -> None:
    if isinstance(future, VirtualFuture) and future._ended is not None:
        future._ended.set()


class VirtualExecutor(Executor):
    """
    Runs tasks in members of a simulation, which come when there is work and go when there is none.

    Args:
        clock: Whose simulation.

        workers: The most tasks to run at once.

    Raises:
        ValueError: If there would be no worker.

    Threads: safe; tasks may also be given from outside of the simulation.
    """

    def __init__(self, clock: VirtualClock, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, found {workers!r}")
        self._clock, self._most = clock, workers
        self._baton: Baton = clock._baton
        self._queue: deque[tuple[VirtualFuture[Any], Callable[[], Any]]] = deque()
        self._workers = 0
        self._is_closed = False
        self._ended = VirtualFuture[None](clock)  # done when it is closed and nobody works

    def submit(
        self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> VirtualFuture[T]:
        """Run a task when a worker has its turn."""
        future = VirtualFuture[T](self._clock)
        entry = future, partial(task, *args, **kwargs)
        member: Member | None = None
        try:
            with self._baton.mutex:
                if self._is_closed:
                    raise RuntimeError("cannot schedule new futures after shutdown")
                self._queue.append(entry)
                if self._workers < self._most:
                    member = self._baton.new_member()
                    self._workers += 1
            if member is not None:
                carry(partial(self._work, member))
        except BaseException:  # no more threads to be had; Ctrl-C
            with self._baton.mutex:
                if member is not None:
                    self._baton.dismiss(member)
                    self._workers -= 1
                if entry in self._queue:
                    self._queue.remove(entry)
            raise
        return future

    def map(
        self,
        task: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]:
        """As `Executor.map`; the timeout is in simulated seconds from now."""
        deadline = None if timeout is None else self._clock.now() + timeout
        futures = deque([self.submit(task, *args) for args in zip(*iterables, strict=False)])

        def results() -> Iterator[T]:
            try:
                while futures:
                    left = None if deadline is None else deadline - self._clock.now()
                    futures[0].result(left)
                    yield futures.popleft().result()
            finally:
                for future in futures:
                    future.cancel()

        return results()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """
        Take no further tasks.

        Args:
            wait: For those that have been taken. There is no waiting for a simulation that failed.

            cancel_futures: Of the tasks that have not begun.
        """
        with self._baton.mutex:
            has_ended = not self._is_closed and not self._workers
            self._is_closed = True
            cancelled = list(self._queue) if cancel_futures else []
            if cancel_futures:
                self._queue.clear()
        for future, _ in cancelled:
            future.cancel()
            future.set_running_or_notify_cancel()
        if has_ended:
            _fulfil(self._ended, None)
        if wait and self._baton.error is None:
            self._ended.result()

    def _work(self, member: Member) -> None:
        """Do tasks until there is none."""
        try:
            self._baton.enter(member)
            try:
                while entry := self._next():
                    member.give_up = partial(self._give_up, entry[0])
                    _do(*entry)
                    member.give_up = None  # else it and the error of a task keep each other alive
            finally:
                self._baton.leave()
        except SimulationError:
            self._give_up()

    def _next(self) -> tuple[VirtualFuture[Any], Callable[[], Any]] | None:
        with self._baton.mutex:
            self._baton.member()  # no further task when the simulation has failed
            if self._queue:
                return self._queue.popleft()
            self._workers -= 1
            has_ended = self._is_closed and not self._workers
        if has_ended:
            _fulfil(self._ended, None)
        return None

    def _give_up(self, *running: VirtualFuture[Any]) -> None:
        """Let nobody wait for a task, since the simulation has failed."""
        error = SimulationStalledError(self._baton.error or "")
        with self._baton.mutex:
            entries = list(self._queue)
            self._queue.clear()
        for future in (*running, self._ended):
            _fulfil(future, None, error)
        for future, _ in entries:
            if future.set_running_or_notify_cancel():
                _fulfil(future, None, error)


def _do(future: VirtualFuture[T], task: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = task()
    except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
        _fulfil(future, None, error)
        del future  # else the error, its traceback and this frame keep each other alive
    else:
        _fulfil(future, result)


def _fulfil(future: Future[Any], result: object, error: BaseException | None = None) -> None:
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except InvalidStateError:  # of a task that was stuck, and has ended after all
        pass
    except BaseException:  # of a callback; Future itself logs but those that are an Exception
        logging.getLogger("concurrent.futures").exception("exception calling callback")
    finally:
        del error
