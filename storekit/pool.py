"""
Who runs what: inline in the caller's thread, or by several workers that pull from one plan.

The caller of `run` is always one of its workers, and takes back the helpers that have not begun
when it has nothing left to do. So a plan makes progress even when every thread of the pool is
taken, and tasks may themselves call `run`: nothing waits for a thread of the pool to become free.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from storekit.clock import Clock
from storekit.stopping import Stop, current_stop, unless_stopped

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from storekit.tasks import Task

__all__ = ["available_cores", "completed", "failed", "run", "share", "submit", "threads_pay"]

P = ParamSpec("P")
T = TypeVar("T")

_CALL = 8
"""
Microseconds of native code a piece from which on a second thread helps. Below, two threads wait for
each other's lock of the interpreter: 16 KiB chunks from a disk, uncompressed (2 us), take 11 us
inline and 14 to 21 by two threads; with zstd (11 us) it is 28 and 18.
"""

_SLOW = 0.005
"""Seconds of a batch after which one more helper cannot be wrong: most of it was waiting."""

_has_gil: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)

_guard = threading.Lock()
_forks = 0  # how many forks lie between the first process and this one


class _Thread(threading.local):
    """What a thread is doing."""

    crew: tuple[Clock, int] | None = None
    """Whose threads may help; nobody's outside of `run`."""


_thread = _Thread()


class _Member:
    """A context in which `share` takes its helpers from a crew; from none if it is of one."""

    __slots__ = ("_before", "_crew")

    def __init__(self, clock: Clock, crew: int) -> None:
        self._crew = (clock, crew) if crew > 1 else None

    def __enter__(self) -> None:
        self._before, _thread.crew = _thread.crew, self._crew

    def __exit__(self, *_: object) -> None:
        _thread.crew = self._before


def available_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_pay(native: float) -> bool:
    """
    Whether several threads are faster than one, where each piece of work is so many microseconds of
    native code between steps of Python.
    """
    return native >= _CALL or not _has_gil()


def submit(
    clock: Clock, workers: int, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> Task[T]:
    """
    Run `task` in another thread and return its future, which can be cancelled at any time.

    Args:
        clock: Whose executor is used.

        workers: The most threads that may work on such tasks at once.
    """
    future: Task[T] = clock.task()
    future.start(_executor(clock, workers), partial(task, *args, **kwargs))
    return future


def completed(task: Callable[[], T]) -> Future[T]:
    """Run `task` here and now, and return its future, which carries the error if there is one."""
    from concurrent.futures import Future  # 4 ms, for those who have tasks

    future: Future[T] = Future()
    try:
        future.set_result(task())
    except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
        future.set_exception(error)
    return future


def failed(error: Exception) -> Future[T]:
    """The future of a task that came to nothing."""

    def task() -> T:
        raise error

    return completed(task)


def run(
    items: Iterable[T],
    work: Callable[[Iterable[T]], None],
    *,
    clock: Clock,
    workers: int,
    crew: int | None = None,
    batch: int = 1,
) -> None:
    """
    Hand out all `items`, in order and in batches, to calls of `work`, and return when all is done.

    Args:
        items: The plan; drawn from as work proceeds, never held as a whole.

        work: Called with a batch. Runs in several threads at once when `workers` is more than 1.

        clock: Whose threads help.

        workers: The most threads to work on the plan, the caller's included. With 1 everything runs
            inline.

        crew: How many threads there are to take helpers from, as in `submit`; the same number for
            plans of any length, because every number has threads of its own. Defaults to `workers`.
            More than 1 lets `work` call `share`, also where there is one worker.

        batch: How many items a worker takes at a time.

    Raises:
        BaseException: The first error of `work`. No further batch is begun, nor a further attempt
            of a request, and those begun have ended.

        CancelledError: If all this is the work of a future that was cancelled.
    """
    crew = crew or workers
    if workers <= 1:
        with _Member(clock, crew):
            work(unless_stopped(items))
        return
    plan = _Plan(items, work, batch, clock, crew, workers - 1)
    try:
        plan.pull()
        for helper in plan.helpers:  # grows as long as one that has begun goes on
            if not helper.cancel():
                helper.result()
    except BaseException as error:
        if plan.error is None or not isinstance(error, Exception):  # Ctrl-C here, not in a task
            plan.fail(error)
            raise
    if plan.error is not None:
        try:
            raise plan.error
        finally:
            plan.error = None  # else the error, its traceback and this frame keep each other alive


def share(items: Sequence[T], work: Callable[[Iterable[T]], None], *, batch: int = 1) -> None:
    """
    Hand out the parts of one item of a plan to those who have no item left.

    As `run`, with the threads of the `run` that the caller works for; inline where there is none.

    Args:
        items: The parts.

        work: Called with a batch of them, in several threads at once.

        batch: How many a worker takes at a time.
    """
    crew = _thread.crew
    if crew is None or len(items) <= batch:
        work(unless_stopped(items))
    else:
        clock, most = crew
        workers = min(most, -(-len(items) // batch))
        run(items, work, clock=clock, workers=workers, crew=most, batch=batch)


class _Plan:
    """What the workers of one `run` share."""

    def __init__(
        self,
        items: Iterable[T],
        work: Callable[[Iterable[T]], None],
        batch: int,
        clock: Clock,
        crew: int,
        most: int,
    ) -> None:
        self._items, self._work, self._batch = iter(items), work, batch
        self._clock, self._crew, self._wanted = clock, crew, most
        self._cores = most - available_cores()
        self._finished = self._seen = 0
        self._executor = _executor(clock, crew)
        self._lock, self._stop = threading.Lock(), Stop(current_stop())
        self.helpers: list[Future[None]] = []
        self.error: BaseException | None = None

    def pull(self) -> None:
        """
        Work on batches until none is left or one has failed.

        Who takes a batch calls another helper before it works; once there is one for each core,
        only if no batch has come to its end since the last was called, or its own took long. So
        there are as many as can begin before the first comes back for more: few if answers are
        quick, all if they take long.
        """
        self._stop.run(self._pull)

    def _pull(self) -> None:
        with _Member(self._clock, self._crew):
            done, took = 0, 0.0
            while self.error is None:
                try:
                    self._stop.check()
                    with self._lock:
                        batch = list(islice(self._items, self._batch))
                        self._finished += done
                        hire = self._wanted > 0 and (
                            self._wanted > self._cores
                            or self._finished == self._seen
                            or took > _SLOW
                        )
                        if hire:
                            self._seen, self._wanted = self._finished, self._wanted - 1
                    if not batch:
                        return
                    if hire:
                        with suppress(RuntimeError):  # no more threads: who is there does it all
                            self.helpers.append(self._executor.submit(self.pull))
                    begin = self._clock.now()
                    self._work(batch)
                    done, took = 1, self._clock.now() - begin
                except BaseException as error:  # noqa: BLE001 - handed to the caller of `run`
                    if self.error is None:
                        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Let nobody begin anything more."""
        self.error = error
        self._stop.set()


def _executor(clock: Clock, workers: int) -> Executor:
    name = workers, _forks
    executor = clock.executors.get(name)
    if executor is None:
        with _guard:
            executor = clock.executors.get(name)
            if executor is None:
                executor = clock.executors[name] = clock.executor(workers)
    return executor


def _forget_threads() -> None:
    """In a forked child the parent's threads do not exist, and nobody holds its locks."""
    global _guard, _forks
    _guard = threading.Lock()
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
